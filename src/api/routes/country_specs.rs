//! `/v1/country_specs`: facts about the countries that accounts live in. They come from the tables that decide, so
//! what is told here is what happens.

use serde::Serialize;

use super::super::error::{ApiError, Place};
use super::super::expansion::PLAIN;
use super::super::paging::Cursor;
use super::super::render::list::Embedded;
use super::super::request::Call;
use super::super::respond::Done;
use super::{Answered, expansion, paging};
use crate::domain::external_account::currencies_of;
use crate::domain::record::BusinessType;
use crate::domain::requirements::fresh_fields;
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;

#[derive(Serialize)]
struct CountrySpec {
    id: String,
    object: &'static str,
    default_currency: &'static str,
    supported_bank_account_currencies: BankCurrencies,
    supported_payment_currencies: Vec<&'static str>,
    supported_payment_methods: [&'static str; 1],
    supported_transfer_countries: Vec<String>,
    verification_fields: VerificationFields,
}

/// Currency to the countries of the banks that can take it.
struct BankCurrencies(Vec<(&'static str, Vec<String>)>);

impl Serialize for BankCurrencies {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(currency, countries)| (currency, countries)))
    }
}

#[derive(Serialize)]
struct VerificationFields {
    company: Fields,
    individual: Fields,
}

#[derive(Serialize)]
struct Fields {
    additional: Vec<String>,
    minimum: Vec<String>,
}

fn spec(country: Country, default: Currency) -> CountrySpec {
    let banks = |currency: Currency| {
        let of = Country::with_accounts().filter(|other| other.default_currency() == Some(currency));
        let mut countries: Vec<String> = of.map(|other| other.code().to_owned()).collect();
        if !countries.iter().any(|code| code == country.code()) {
            countries.insert(0, country.code().to_owned());
        }
        countries
    };
    let fields = |kind| {
        let (minimum, additional) = fresh_fields(country, kind);
        Fields { additional, minimum }
    };
    CountrySpec {
        id: country.code().to_owned(),
        object: "country_spec",
        default_currency: default.code(),
        supported_bank_account_currencies: BankCurrencies(
            currencies_of(country).into_iter().map(|currency| (currency.code(), banks(currency))).collect(),
        ),
        supported_payment_currencies: Currency::all().map(|currency| currency.code()).collect(),
        supported_payment_methods: ["card"],
        supported_transfer_countries: Country::with_accounts().map(|to| to.code().to_owned()).collect(),
        verification_fields: VerificationFields {
            company: fields(BusinessType::Company),
            individual: fields(BusinessType::Individual),
        },
    }
}

/// GET /v1/country_specs/{country}
pub async fn retrieve(call: Call) -> Answered {
    let fields = call.fields();
    expansion(&fields, &PLAIN)?;
    fields.finish()?;
    let text = call.path_text(0);
    let unknown = || ApiError::no_such("country", text, "country", Place::Path);
    let country: Country = text.parse().map_err(|_| unknown())?;
    Done::of(&spec(country, country.default_currency().ok_or_else(unknown)?))
}

/// GET /v1/country_specs: by code.
pub async fn index(call: Call) -> Answered {
    let fields = call.fields();
    let (page, _) = paging(&fields, &PLAIN)?;
    fields.finish()?;
    let all: Vec<Country> = Country::with_accounts().collect();
    let place = match page.cursor.id() {
        None => None,
        Some(code) => {
            let found = all.iter().position(|country| country.code() == code);
            Some(found.ok_or_else(|| page.cursor.no_such("country"))?)
        }
    };
    let (start, end, has_more) = match (&page.cursor, place) {
        (Cursor::EndingBefore(_), Some(place)) => {
            let start = place.saturating_sub(page.limit);
            (start, place, start > 0)
        }
        (_, place) => {
            let start = place.map_or(0, |place| place + 1);
            let end = (start + page.limit).min(all.len());
            (start, end, end < all.len())
        }
    };
    let chosen = all.get(start..end).unwrap_or_default();
    let specs = chosen.iter().filter_map(|country| Some(spec(*country, country.default_currency()?))).collect();
    Done::of(&Embedded::new(specs, has_more, "/v1/country_specs".to_owned()))
}
