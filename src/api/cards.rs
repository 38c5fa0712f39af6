//! Test cards and test bank accounts: what a number or a name stands for.
//!
//! The only place that sees a card number, a security code or a bank account number. It turns them into brand, last
//! four digits, keyed fingerprint and recipe; they go no further. One table each; a new test card is a row.

use std::borrow::Cow;

use super::secrets::{Secrets, hex};
use super::{bank_formats, identity};
use crate::domain::record::{BankOutcome, BankStatus, Brand, Card, Check, ExternalAccount, Funding, Made, Recipe};
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::time::Timestamp;

/// A card that cannot be used as given: a 402 with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCard {
    /// Error code.
    pub code: &'static str,
    /// The issuer's reason, where it is a decline.
    pub decline_code: Option<&'static str>,
    /// The field at fault.
    pub param: &'static str,
    /// For the payer.
    pub message: &'static str,
}

const INCORRECT_NUMBER: BadCard = BadCard {
    code: "incorrect_number",
    decline_code: None,
    param: "number",
    message: "Your card number is incorrect.",
};
const INVALID_NUMBER: BadCard = BadCard {
    code: "invalid_number",
    decline_code: None,
    param: "number",
    message: "The card number is not a valid credit card number.",
};
const NOT_A_TEST_CARD: BadCard = BadCard {
    code: "card_declined",
    decline_code: Some("test_mode_live_card"),
    param: "number",
    message: "Your card was declined. This key is a test key, and the card is no known test card.",
};
const INVALID_MONTH: BadCard = BadCard {
    code: "invalid_expiry_month",
    decline_code: None,
    param: "exp_month",
    message: "Your card's expiration month is invalid.",
};
const INVALID_YEAR: BadCard = BadCard {
    code: "invalid_expiry_year",
    decline_code: None,
    param: "exp_year",
    message: "Your card's expiration year is invalid.",
};
const INVALID_CVC: BadCard =
    BadCard { code: "invalid_cvc", decline_code: None, param: "cvc", message: "Your card's security code is invalid." };

/// A card as given: the number and the security code end here.
#[derive(Clone, Copy)]
pub struct RawCard<'a> {
    /// Digits, with or without spaces.
    pub number: &'a str,
    /// 1 to 12.
    pub exp_month: i64,
    /// Two or four digits.
    pub exp_year: i64,
    /// Security code.
    pub cvc: Option<&'a str>,
}

/// A row of the table.
struct TestCard {
    number: &'static str,
    /// After `pm_card_` and `tok_`.
    names: &'static [&'static str],
    brand: Brand,
    funding: Funding,
    country: &'static str,
    recipe: Recipe,
    /// What a check of a security code says.
    cvc: Check,
}

use Brand::{Amex, Diners, Discover, Jcb, Mastercard, Unionpay, Visa};
use Funding::{Credit, Debit, Prepaid};

const fn row(
    number: &'static str,
    names: &'static [&'static str],
    brand: Brand,
    funding: Funding,
    country: &'static str,
    recipe: Recipe,
) -> TestCard {
    TestCard { number, names, brand, funding, country, recipe, cvc: Check::Pass }
}

/// A success, by country.
const fn abroad(number: &'static str, names: &'static [&'static str], country: &'static str) -> TestCard {
    row(number, names, Visa, Credit, country, Recipe::Succeed)
}

/// A US card with a recipe.
const fn us(number: &'static str, names: &'static [&'static str], recipe: Recipe) -> TestCard {
    row(number, names, Visa, Credit, "US", recipe)
}

/// Section 13 of the reference.
static CARDS: &[TestCard] = &[
    us("4242424242424242", &["visa", "us"], Recipe::Succeed),
    row("4000056655665556", &["visa_debit"], Visa, Debit, "US", Recipe::Succeed),
    row("5555555555554444", &["mastercard"], Mastercard, Credit, "US", Recipe::Succeed),
    row("2223003122003222", &[], Mastercard, Credit, "US", Recipe::Succeed),
    row("5200828282828210", &["mastercard_debit"], Mastercard, Debit, "US", Recipe::Succeed),
    row("5105105105105100", &["mastercard_prepaid"], Mastercard, Prepaid, "US", Recipe::Succeed),
    row(
        "378282246310005",
        &["amex", "amex_threeDSecureNotSupported"],
        Amex,
        Credit,
        "US",
        Recipe::AuthenticationUnsupported,
    ),
    row("371449635398431", &[], Amex, Credit, "US", Recipe::Succeed),
    row("6011111111111117", &["discover"], Discover, Credit, "US", Recipe::Succeed),
    row("3056930009020004", &["diners"], Diners, Credit, "US", Recipe::Succeed),
    row("3566002020360505", &["jcb"], Jcb, Credit, "JP", Recipe::Succeed),
    row("6200000000000005", &["unionpay"], Unionpay, Credit, "CN", Recipe::Succeed),
    us("4000000000000077", &["bypassPending"], Recipe::BypassPending),
    row("4000003720000278", &["bypassPendingInternational"], Visa, Credit, "IE", Recipe::BypassPending),
    abroad("4000000760000002", &["br"], "BR"),
    abroad("4000001240000000", &["ca"], "CA"),
    abroad("4000004840008001", &["mx"], "MX"),
    abroad("4000000400000008", &["at"], "AT"),
    abroad("4000000560000004", &["be"], "BE"),
    abroad("4000002080000001", &["dk"], "DK"),
    abroad("4000002460000001", &["fi"], "FI"),
    abroad("4000002500000003", &["fr"], "FR"),
    abroad("4000002760000016", &["de"], "DE"),
    abroad("4000003720000005", &["ie"], "IE"),
    abroad("4000003800000008", &["it"], "IT"),
    abroad("4000005280000002", &["nl"], "NL"),
    abroad("4000005780000007", &["no"], "NO"),
    abroad("4000006160000005", &["pl"], "PL"),
    abroad("4000006200000007", &["pt"], "PT"),
    abroad("4000007240000007", &["es"], "ES"),
    abroad("4000007520000008", &["se"], "SE"),
    abroad("4000007560000009", &["ch"], "CH"),
    abroad("4000008260000000", &["gb"], "GB"),
    row("4000058260000005", &["gb_debit"], Visa, Debit, "GB", Recipe::Succeed),
    abroad("4000000360000006", &["au"], "AU"),
    abroad("4000001560000002", &["cn"], "CN"),
    abroad("4000003440000004", &["hk"], "HK"),
    abroad("4000003560000008", &["in"], "IN"),
    abroad("4000003920000003", &["jp"], "JP"),
    abroad("4000005540000008", &["nz"], "NZ"),
    abroad("4000007020000003", &["sg"], "SG"),
    us("4000000000000002", &["visa_chargeDeclined", "chargeDeclined"], Recipe::GenericDecline),
    us(
        "4000000000009995",
        &["visa_chargeDeclinedInsufficientFunds", "chargeDeclinedInsufficientFunds"],
        Recipe::InsufficientFunds,
    ),
    us("4000000000009987", &["visa_chargeDeclinedLostCard", "chargeDeclinedLostCard"], Recipe::LostCard),
    us("4000000000009979", &["visa_chargeDeclinedStolenCard", "chargeDeclinedStolenCard"], Recipe::StolenCard),
    us("4000000000000069", &["chargeDeclinedExpiredCard"], Recipe::ExpiredCard),
    TestCard { cvc: Check::Fail, ..us("4000000000000127", &["chargeDeclinedIncorrectCvc"], Recipe::IncorrectCvc) },
    us("4000000000000119", &["chargeDeclinedProcessingError"], Recipe::ProcessingError),
    us(
        "4000000000006975",
        &["visa_chargeDeclinedVelocityLimitExceeded", "chargeDeclinedVelocityLimitExceeded"],
        Recipe::VelocityExceeded,
    ),
    us(
        "4100000000000019",
        &["radarBlock", "visa_chargeDeclinedFraudulent", "chargeDeclinedFraudulent"],
        Recipe::Fraudulent,
    ),
    us("4000000000004954", &["riskLevelHighest"], Recipe::Fraudulent),
    us("4000000000000341", &["chargeCustomerFail"], Recipe::ChargeCustomerFail),
    us("4000002500003155", &["authenticationRequiredOnSetup"], Recipe::AuthenticateUnlessSetUp),
    us("4000002760003184", &["authenticationRequired"], Recipe::AuthenticateAlways),
    us("4000003800000446", &["authenticationRequiredSetupForOffSession"], Recipe::AuthenticateOnSession),
    us(
        "4000008260003178",
        &["authenticationRequiredChargeDeclinedInsufficientFunds"],
        Recipe::AuthenticateThenInsufficientFunds,
    ),
    us("4000000000003220", &["threeDSecure2Required"], Recipe::AuthenticateAlways),
    us("4000008400001629", &["threeDSecureRequiredChargeDeclined"], Recipe::AuthenticateThenDecline),
    us("4000008400001280", &["threeDSecureRequiredProcessingError"], Recipe::AuthenticationError),
    us("4000000000003055", &["threeDSecureOptional"], Recipe::AuthenticateIfAsked),
    us("4000000032200000", &[], Recipe::AuthenticateSilently),
    us("4000000000000259", &["createDispute"], Recipe::Dispute),
    us("4000000000002685", &["createDisputeProductNotReceived"], Recipe::DisputeNotReceived),
    us("4000000000001976", &["createDisputeInquiry"], Recipe::DisputeInquiry),
    us("4000000000005423", &["createIssuerFraudRecord"], Recipe::Succeed),
    us("4000000404000079", &["createMultipleDisputes"], Recipe::DisputeTwice),
    us("4000000404000038", &["createCe3EligibleDispute"], Recipe::DisputeCe3),
    us("4000008400000779", &["createComplianceDispute"], Recipe::DisputeCompliance),
    row(
        "5105008400000002",
        &["createMastercardComplianceDispute"],
        Mastercard,
        Credit,
        "US",
        Recipe::DisputeCompliance,
    ),
    us("4000000000007726", &["pendingRefund"], Recipe::RefundPending),
    us("4000000000005126", &["refundFail"], Recipe::RefundFails),
    us("4000000000009235", &["riskLevelElevated"], Recipe::Succeed),
    TestCard { cvc: Check::Fail, ..us("4000000000000101", &["cvcCheckFail"], Recipe::Succeed) },
    us("4000000000000036", &["avsZipFail"], Recipe::Succeed),
    us("4000000000000028", &["avsLine1Fail"], Recipe::Succeed),
    us("4000000000000010", &["avsFail"], Recipe::Succeed),
    us("4000000000000044", &["avsUnchecked"], Recipe::Succeed),
    us("4000000000004202", &["visa_triggerNextRequirements"], Recipe::Succeed),
    us("4000000000004210", &["visa_triggerChargeBlock"], Recipe::Succeed),
    us("4000000000004236", &["visa_triggerPayoutBlock"], Recipe::Succeed),
    row("4000056655665572", &["visa_debit_us_transferFail"], Visa, Debit, "US", Recipe::Succeed),
    row("4000056755665555", &["visa_debit_us_instantPayoutUnsupported"], Visa, Debit, "US", Recipe::Succeed),
    row("6011981111111113", &["discover_debit_us_transferSuccess"], Discover, Debit, "US", Recipe::Succeed),
];

/// Expiry of a card given by name: far enough, and the same in every run.
const NAMED_EXPIRY: (u8, u16) = (12, 2034);
/// A year as far ahead as cards are believed to last.
const YEARS_AHEAD_MAX: i64 = 50;

impl TestCard {
    fn card(&self, secrets: &Secrets, exp_month: u8, exp_year: u16, cvc_given: bool) -> Card {
        Card {
            brand: self.brand,
            funding: self.funding,
            country: self.country.parse().unwrap_or(Country::US),
            last4: self.number[self.number.len() - 4..].parse().unwrap_or_default(),
            exp_month,
            exp_year,
            fingerprint: secrets.card_fingerprint(self.number),
            recipe: self.recipe,
            cvc_check: if cvc_given { self.cvc } else { Check::Absent },
        }
    }
}

/// The card of a test name: `pm_card_visa`, `tok_visa`.
pub fn named(secrets: &Secrets, text: &str) -> Option<Card> {
    let name = text.strip_prefix("pm_card_").or_else(|| text.strip_prefix("tok_"))?;
    let card = CARDS.iter().find(|card| card.names.contains(&name))?;
    let (month, year) = NAMED_EXPIRY;
    // Named cards are charged as if their code had been given; only the one that fails the check says so.
    Some(card.card(secrets, month, year, card.cvc == Check::Fail))
}

/// The card of a number, if it is a test card whose details can be right.
///
/// # Errors
/// [`BadCard`].
pub fn raw(secrets: &Secrets, given: &RawCard<'_>, now: Timestamp) -> Result<Card, BadCard> {
    let digits: String = given.number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if digits.len() < 12 || digits.len() > 19 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(INVALID_NUMBER);
    }
    if !passes_luhn(&digits) {
        return Err(INCORRECT_NUMBER);
    }
    let (this_year, this_month, _) = now.day().to_civil();
    let this_year = i64::from(this_year);
    let exp_month = u8::try_from(given.exp_month).ok().filter(|month| (1..=12).contains(month)).ok_or(INVALID_MONTH)?;
    let exp_year = if (0..100).contains(&given.exp_year) { given.exp_year + 2000 } else { given.exp_year };
    if exp_year < this_year || exp_year > this_year + YEARS_AHEAD_MAX {
        return Err(INVALID_YEAR);
    }
    if exp_year == this_year && exp_month < this_month {
        return Err(INVALID_MONTH);
    }
    let card = CARDS.iter().find(|card| card.number == digits).ok_or(NOT_A_TEST_CARD)?;
    if let Some(cvc) = given.cvc {
        let right_length = match card.brand {
            Amex => (3..=4).contains(&cvc.len()),
            Visa | Mastercard | Discover | Diners | Jcb | Unionpay => cvc.len() == 3,
        };
        if !right_length || !cvc.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(INVALID_CVC);
        }
    }
    Ok(card.card(secrets, exp_month, u16::try_from(exp_year).map_err(|_| INVALID_YEAR)?, given.cvc.is_some()))
}

/// The check digit of a card number.
fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            if place % 2 == 0 {
                digit
            } else if digit > 4 {
                digit * 2 - 9
            } else {
                digit * 2
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

// ---------------------------------------------------------------------------------------------------------------
// Bank accounts

/// A bank account as given: the number ends here.
#[derive(Clone, Copy)]
pub struct RawBank<'a> {
    /// Where the bank is.
    pub country: Country,
    /// Of the account.
    pub currency: Currency,
    /// Routing number, sort code or the like.
    pub routing_number: Option<&'a str>,
    /// Account number or IBAN.
    pub account_number: &'a str,
    /// `individual` or `company`.
    pub holder_type: Option<&'a str>,
}

/// A bank account that cannot be: a 400 with this code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBank {
    /// Error code.
    pub code: &'static str,
    /// The field at fault.
    pub param: &'static str,
    /// What is wrong.
    pub message: Cow<'static, str>,
}

const BAD_ACCOUNT: BadBank = BadBank {
    code: "account_number_invalid",
    param: "account_number",
    message: Cow::Borrowed(
        "Invalid account number: expected as many digits as accounts of this country have or, where it uses them, an \
         IBAN whose check digits are right.",
    ),
};
const BAD_ROUTING: BadBank = BadBank {
    code: "routing_number_invalid",
    param: "routing_number",
    message: Cow::Borrowed("The bank routing number provided is invalid."),
};

/// What the last digits of a test account say about payouts to it (section 13.4), US and UK.
static BY_NUMBER: &[(&str, BankOutcome)] = &[
    ("000111111116", BankOutcome::NoAccount),
    ("000111111113", BankOutcome::AccountClosed),
    ("000222222227", BankOutcome::InsufficientFunds),
    ("000333333335", BankOutcome::DebitNotAuthorized),
    ("000444444440", BankOutcome::InvalidCurrency),
    ("11111116", BankOutcome::NoAccount),
    ("11111113", BankOutcome::AccountClosed),
    ("22222227", BankOutcome::InsufficientFunds),
    ("33333335", BankOutcome::DebitNotAuthorized),
    ("44444440", BankOutcome::InvalidCurrency),
];

/// The same for IBANs, by their last four digits after the test account `3704 0044 0532 01`.
static BY_IBAN: &[(&str, BankOutcome)] = &[
    ("3001", BankOutcome::NoAccount),
    ("3002", BankOutcome::AccountClosed),
    ("3003", BankOutcome::InsufficientFunds),
    ("3004", BankOutcome::DebitNotAuthorized),
    ("3005", BankOutcome::InvalidCurrency),
];
const IBAN_TEST_ACCOUNT: &str = "37040044053201";

/// Test tokens of bank accounts: name, country, currency.
static BANK_TOKENS: &[(&str, Country, Currency)] = &[
    ("btok_us", Country::US, Currency::USD),
    ("btok_us_verified", Country::US, Currency::USD),
    ("btok_gb", Country::GB, Currency::GBP),
    ("btok_gb_gbp", Country::GB, Currency::GBP),
];

/// Test tokens of bank accounts in the US whose debits fail or come back (section 13.4; the last one is Florin's own), by
/// what follows `btok_us_verified_`, with their account numbers.
static BANK_TOKENS_US: &[(&str, &str)] = &[
    ("noAccount", "000111111116"),
    ("accountClosed", "000111111113"),
    ("insufficientFunds", "000222222227"),
    ("debitNotAuthorized", "000333333335"),
    ("invalidCurrency", "000444444440"),
    ("reversed", "000123456789"),
];

/// Whether the money of a top-up from this test token is taken back by the bank after its arrival.
pub fn returns(text: &str) -> bool {
    text == "btok_us_verified_reversed"
}

/// The test account that instant payouts never reach.
const NOT_INSTANT: &str = "000888888883";

/// The bank account of a number. Its record is completed (made, default) by the decision.
///
/// # Errors
/// [`BadBank`].
pub fn bank(secrets: &Secrets, given: &RawBank<'_>) -> Result<ExternalAccount, BadBank> {
    let number: String = given.account_number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let number = number.to_ascii_uppercase();
    let is_iban = number.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if is_iban && !is_valid_iban(&number) {
        return Err(BAD_ACCOUNT);
    }
    if !is_iban && (number.len() < 4 || number.len() > 20 || !number.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(BAD_ACCOUNT);
    }
    let format = bank_formats::of(given.country);
    if is_iban && !bank_formats::iban_fits(given.country, &number)
        || !is_iban
            && (bank_formats::wants_iban(given.country) || format.is_some_and(|form| !form.takes_account(&number)))
    {
        return Err(BAD_ACCOUNT);
    }
    let routing: Option<String> =
        given.routing_number.map(|text| text.chars().filter(|c| !matches!(c, ' ' | '-')).collect());
    let routing_fits = match format {
        Some(format) if !is_iban => format.takes_routing(routing.as_deref()),
        _ => routing.as_ref().is_none_or(|text| (3..=11).contains(&text.len())),
    };
    if !routing_fits {
        let shown = format.map_or("xxxxxxxxx", |format| format.shown);
        let message = format!(
            "Invalid routing number for {}. The number must contain both the bank code and the branch code, and should \
             be in the format {shown}.",
            given.country
        );
        return Err(BadBank { message: Cow::Owned(message), ..BAD_ROUTING });
    }
    let outcome = if is_iban {
        let (head, tail) = number.split_at(number.len() - 4);
        let is_test = head.ends_with(IBAN_TEST_ACCOUNT);
        BY_IBAN.iter().find(|(last, _)| is_test && *last == tail).map(|(_, outcome)| *outcome)
    } else {
        BY_NUMBER
            .iter()
            .find(|(of, _)| number == *of || number.trim_start_matches('0') == *of)
            .map(|(_, outcome)| *outcome)
    };
    Ok(ExternalAccount {
        made: Made { seq: 0, at: Timestamp(0) },
        country: given.country,
        currency: given.currency,
        last4: number[number.len() - 4..].to_owned(),
        fingerprint: hex(&secrets.bank_fingerprint(routing.as_deref().unwrap_or_default(), &number)),
        routing_number: routing,
        default_for_currency: false,
        outcome: outcome.unwrap_or(BankOutcome::Paid),
        status: BankStatus::New,
        holder_type: given.holder_type.map(str::to_owned),
        deleted: false,
        card: None,
        check: identity::ownership(&number).filter(|_| given.country == Country::US),
        instant: (number == NOT_INSTANT).then_some(false),
    })
}

/// The bank account of a test token.
pub fn named_bank(secrets: &Secrets, text: &str) -> Option<ExternalAccount> {
    if let Some(name) = text.strip_prefix("btok_us_verified_") {
        let &(_, account_number) = BANK_TOKENS_US.iter().find(|(known, _)| *known == name)?;
        let (country, currency, routing_number) = (Country::US, Currency::USD, Some("110000000"));
        return bank(secrets, &RawBank { country, currency, routing_number, account_number, holder_type: None }).ok();
    }
    let &(_, country, currency) = BANK_TOKENS.iter().find(|(name, _, _)| *name == text)?;
    let (routing_number, account_number) = match country {
        Country::GB => (Some("108800"), "00012345"),
        _ => (Some("110000000"), "000123456789"),
    };
    bank(secrets, &RawBank { country, currency, routing_number, account_number, holder_type: None }).ok()
}

/// ISO 13616: the country's letters and check digits go to the end, letters count from 10, and the whole is 1 mod 97.
fn is_valid_iban(iban: &str) -> bool {
    if iban.len() < 15 || iban.len() > 34 || !iban.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let (head, tail) = iban.split_at(4);
    if !head.as_bytes()[..2].iter().all(u8::is_ascii_uppercase) || !head.as_bytes()[2..].iter().all(u8::is_ascii_digit)
    {
        return false;
    }
    let remainder = tail.bytes().chain(head.bytes()).fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        _ => (sum * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::new([1; 32], [2; 32], [3; 32])
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_795_000_000) // 18 November 2026
    }

    fn raw_card(number: &str) -> RawCard<'_> {
        RawCard { number, exp_month: 11, exp_year: 2026, cvc: Some("123") }
    }

    #[test]
    fn every_row_is_a_number_with_a_right_check_digit_and_no_name_twice() {
        let mut names = std::collections::BTreeSet::new();
        let mut numbers = std::collections::BTreeSet::new();
        for card in CARDS {
            assert!(passes_luhn(card.number), "{}", card.number);
            assert!(numbers.insert(card.number), "{} twice", card.number);
            assert!(card.country.parse::<Country>().is_ok());
            for name in card.names {
                assert!(names.insert(*name), "{name} twice");
            }
        }
    }

    #[test]
    fn a_name_and_its_number_are_the_same_card() {
        let (secrets, now) = (secrets(), now());
        for card in CARDS {
            let given = RawCard { cvc: None, ..raw_card(card.number) };
            let by_number = raw(&secrets, &given, now).unwrap();
            for name in card.names {
                for prefix in ["pm_card_", "tok_"] {
                    let by_name = named(&secrets, &format!("{prefix}{name}")).unwrap();
                    assert_eq!(by_name.fingerprint, by_number.fingerprint);
                    assert_eq!(by_name.recipe, card.recipe);
                    assert_eq!(by_name.last4, by_number.last4);
                }
            }
        }
        assert_eq!(named(&secrets, "pm_card_nope"), None);
        assert_eq!(named(&secrets, "visa"), None);
    }

    #[test]
    fn wrong_details_are_told_apart() {
        let (secrets, now) = (secrets(), now());
        let good = raw_card("4242424242424242");
        let code = |given: RawCard<'_>| raw(&secrets, &given, now).map(|_| ()).map_err(|bad| bad.code);
        assert_eq!(code(good), Ok(()));
        assert_eq!(code(RawCard { number: "4242 4242 4242 4242", ..good }), Ok(()));
        assert_eq!(code(RawCard { number: "4242424242424241", ..good }), Err("incorrect_number"));
        assert_eq!(code(RawCard { number: "42", ..good }), Err("invalid_number"));
        assert_eq!(code(RawCard { number: "4111111111111111", ..good }), Err("card_declined"));
        assert_eq!(code(RawCard { exp_month: 13, ..good }), Err("invalid_expiry_month"));
        assert_eq!(code(RawCard { exp_month: 10, ..good }), Err("invalid_expiry_month"));
        assert_eq!(code(RawCard { exp_year: 2025, ..good }), Err("invalid_expiry_year"));
        assert_eq!(code(RawCard { exp_year: 34, ..good }), Ok(()));
        assert_eq!(code(RawCard { cvc: Some("99"), ..good }), Err("invalid_cvc"));
        assert_eq!(code(RawCard { number: "378282246310005", cvc: Some("1234"), ..good }), Ok(()));
    }

    #[test]
    fn a_card_keeps_neither_number_nor_code() {
        let card = raw(&secrets(), &raw_card("4000000000000101"), now()).unwrap();
        assert_eq!(card.cvc_check, Check::Fail);
        let shown = format!("{card:?}");
        assert!(!shown.contains("4000000000000101") && !shown.contains("123"), "{shown}");
    }

    #[test]
    fn test_bank_accounts_decide_their_payouts() {
        let secrets = secrets();
        let outcome = |country, currency, routing_number, account_number| {
            bank(&secrets, &RawBank { country, currency, routing_number, account_number, holder_type: None })
                .map(|bank| (bank.outcome, bank.last4))
                .map_err(|bad| bad.code)
        };
        let us = |number| outcome(Country::US, Currency::USD, Some("110000000"), number);
        assert_eq!(us("000123456789"), Ok((BankOutcome::Paid, "6789".to_owned())));
        assert_eq!(us("000111111116"), Ok((BankOutcome::NoAccount, "1116".to_owned())));
        assert_eq!(us("000444444440"), Ok((BankOutcome::InvalidCurrency, "4440".to_owned())));
        assert_eq!(us("abc"), Err("account_number_invalid"));
        let gb = |number| outcome(Country::GB, Currency::GBP, Some("108800"), number);
        assert_eq!(gb("00012345"), Ok((BankOutcome::Paid, "2345".to_owned())));
        assert_eq!(gb("11111113"), Ok((BankOutcome::AccountClosed, "1113".to_owned())));
        let de = |number| outcome(Country::DE, Currency::EUR, None, number);
        assert_eq!(de("DE89370400440532013000"), Ok((BankOutcome::Paid, "3000".to_owned())));
        assert_eq!(de("DE62370400440532013001"), Ok((BankOutcome::NoAccount, "3001".to_owned())));
        assert_eq!(de("DE89370400440532013009"), Err("account_number_invalid"));
        assert_eq!(outcome(Country::US, Currency::USD, Some("1"), "000123456789"), Err("routing_number_invalid"));
        let token = |text: &str| named_bank(&secrets, text).map(|bank| bank.outcome);
        assert_eq!(token("btok_us_verified"), Some(BankOutcome::Paid));
        assert_eq!(token("btok_us_verified_accountClosed"), Some(BankOutcome::AccountClosed));
        assert_eq!(token("btok_us_verified_nothing"), None);
        assert_eq!(BANK_TOKENS_US.iter().filter(|(name, _)| returns(&format!("btok_us_verified_{name}"))).count(), 1);
    }
}
