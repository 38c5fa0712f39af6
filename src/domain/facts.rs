//! What an account and its persons have told, and what the test values of section 3.9 make of each telling.
//!
//! A fact is a field and a finding; the value itself (a number, a birthday, a name) never gets here. Fields are those
//! that requirements may ask for, so a field is also how a requirement is named.

use minicbor::{Decode, Decoder, Encode, Encoder};

/// Defines the fields once: number, name, path on the wire.
macro_rules! fields {
    ($($number:literal $name:ident $path:literal;)*) => {
        /// A field of an account or of a person. Numbers are fixed for ever; those of persons are 40 and above.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
        #[cbor(index_only)]
        #[allow(missing_docs)]
        #[repr(u8)]
        pub enum Field { $(#[n($number)] $name = $number,)* }

        impl Field {
            /// Every field, in the order of the numbers.
            pub const ALL: &'static [Field] = &[$(Field::$name,)*];

            fn from_number(number: u8) -> Option<Field> {
                match number { $($number => Some(Field::$name),)* _ => None }
            }

            /// The path on the wire; of a person's field, within the person.
            pub fn path(self) -> &'static str {
                match self { $(Field::$name => $path,)* }
            }
        }
    };
}

fields! {
    0 Mcc "business_profile.mcc";
    1 Url "business_profile.url";
    2 Description "business_profile.product_description";
    3 TradeName "business_profile.name";
    4 Descriptor "settings.payments.statement_descriptor";
    5 Prefix "settings.card_payments.statement_descriptor_prefix";
    6 TosDate "tos_acceptance.date";
    7 TosIp "tos_acceptance.ip";
    8 BusinessType "business_type";
    9 ExternalAccount "external_account";
    10 BankOwnership "documents.bank_account_ownership_verification.files";
    20 CompanyName "company.name";
    21 CompanyLine1 "company.address.line1";
    22 CompanyCity "company.address.city";
    23 CompanyPostalCode "company.address.postal_code";
    24 CompanyState "company.address.state";
    25 CompanyPhone "company.phone";
    26 TaxId "company.tax_id";
    27 VatId "company.vat_id";
    28 OwnersProvided "company.owners_provided";
    29 DirectorsProvided "company.directors_provided";
    30 ExecutivesProvided "company.executives_provided";
    31 CompanyDocument "company.verification.document";
    40 FirstName "first_name";
    41 LastName "last_name";
    42 Dob "dob";
    43 Email "email";
    44 Phone "phone";
    45 Line1 "address.line1";
    46 City "address.city";
    47 PostalCode "address.postal_code";
    48 State "address.state";
    49 IdNumber "id_number";
    50 SsnLast4 "ssn_last_4";
    51 Title "relationship.title";
    52 Document "verification.document";
    53 AdditionalDocument "verification.additional_document";
    60 Representative "relationship.representative";
    61 Owner "relationship.owner";
    62 Director "relationship.director";
    63 Executive "relationship.executive";
    64 LegalGuardian "relationship.legal_guardian";
    65 Authorizer "relationship.authorizer";
}

impl Field {
    /// Whether it is a person's.
    pub fn is_personal(self) -> bool {
        self >= Field::FirstName
    }

    /// Its paths, as requirements list them: a birthday is asked for in three parts.
    pub fn paths(self) -> Vec<&'static str> {
        match self {
            Field::Dob => vec!["dob.day", "dob.month", "dob.year"],
            other => vec![other.path()],
        }
    }
}

/// Defines the findings once: number, name, and for what is wrong its code and reason.
macro_rules! findings {
    ($($(#[$doc:meta])* $number:literal $name:ident $(, $code:literal, $reason:literal)?;)*) => {
        /// What a test value makes of a field. Numbers are fixed for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
        #[cbor(index_only)]
        #[allow(missing_docs)]
        #[repr(u8)]
        pub enum Finding { $($(#[$doc])* #[n($number)] $name = $number,)* }

        impl Finding {
            fn from_number(number: u8) -> Option<Finding> {
                match number { $($number => Some(Finding::$name),)* _ => None }
            }

            /// Every finding.
            pub const ALL: &'static [Finding] = &[$(Finding::$name,)*];

            /// Code and reason of a requirement's error, where the value is wrong.
            pub fn error(self) -> Option<(&'static str, &'static str)> {
                match self { $(Finding::$name => error!($($code, $reason)?),)* }
            }
        }
    };
}

macro_rules! error {
    () => {
        None
    };
    ($code:literal, $reason:literal) => {
        Some(($code, $reason))
    };
}

findings! {
    /// Given, and nothing is wrong with it.
    0 Good;
    /// Given; its verification takes a moment and will pass.
    1 Pending;
    /// Neither line nor place of the address are known.
    2 AddressUnknown, "verification_failed_address_match",
        "The address could not be verified. Give the address as it stands in official documents.";
    /// The place is known, the line is not.
    3 AddressLineUnknown, "verification_failed_address_match",
        "The first line of the address could not be verified. Give it as it stands in official documents.";
    /// Name and birthday belong to nobody.
    4 IdentityUnknown, "verification_failed_keyed_identity",
        "Name and date of birth could not be verified. Correct them, or give an identity document.";
    /// The number belongs to somebody else.
    5 NumberMismatch, "verification_failed_id_number_match",
        "The identity number does not belong to this person. Correct it, or give an identity document.";
    /// The tax number belongs to another company.
    6 TaxIdMismatch, "verification_failed_tax_id_match",
        "The tax number does not belong to this company. Correct the number or the name.";
    /// The tax number was never issued.
    7 TaxIdNotIssued, "verification_failed_tax_id_not_issued",
        "The tax number was never issued. Correct it.";
    /// The test document that fails.
    8 DocumentFailed, "verification_document_failed_test_mode",
        "The document is the test document that fails. Give another one.";
    /// On a list of sanctions: a person, not a value, so nothing can be corrected.
    9 Listed;
    /// The registered directors are others.
    10 DirectorsMismatch, "verification_directors_mismatch",
        "The registered directors are others. Correct the directors of the account.";
    /// A registered director is not among the persons.
    11 DirectorsMissing, "verification_missing_directors",
        "A registered director is missing. Add all directors as persons of the account.";
    /// A director among the persons is not registered.
    12 DirectorsExtraneous, "verification_extraneous_directors",
        "A director of the account is not registered as one. Remove this relationship, or correct the person.";
    /// The name is another company's.
    13 NameMismatch, "verification_failed_name_match",
        "The company's name could not be verified. Give it as it is registered.";
    /// The name must not be used.
    14 NameDenied, "invalid_company_name_denylisted",
        "This name cannot be used for a company. Give the registered name.";
    /// The name is right, the people are not.
    15 NameAlone, "verification_failed_keyed_match",
        "The company's name is registered, with other people. Correct name, address or persons.";
    16 DescriptorMismatch, "invalid_statement_descriptor_business_mismatch",
        "The statement descriptor has to resemble the name of the business or its website.";
    17 DescriptorDenied, "invalid_statement_descriptor_denylisted",
        "This statement descriptor is too common a word. Give one that names the business.";
    18 PrefixMismatch, "invalid_statement_descriptor_prefix_mismatch",
        "The prefix has to resemble the name of the business or its statement descriptor.";
    19 PrefixDenied, "invalid_statement_descriptor_prefix_denylisted",
        "This prefix is too common a word. Give one that names the business.";
    20 UrlDenied, "invalid_url_denylisted",
        "This website cannot be that of a business. Give the business's own.";
    21 UrlGeoblocked, "invalid_url_website_inaccessible_geoblocked",
        "The website cannot be seen from abroad. Make it accessible.";
    22 UrlProblem, "invalid_url_website_other",
        "The website could not be verified. Give another one.";
    23 UrlIncomplete, "invalid_url_website_incomplete",
        "The website does not tell what it has to tell of a business. Complete it.";
    24 UrlMismatch, "invalid_url_website_business_information_mismatch",
        "The website tells of another business. Give the business's own.";
    25 UrlProtected, "invalid_url_website_inaccessible_password_protected",
        "The website is behind a password. Make it accessible.";
    26 UrlConstruction, "invalid_url_website_incomplete_under_construction",
        "The website is under construction. Complete it.";
    27 UrlInaccessible, "invalid_url_website_inaccessible",
        "The website cannot be reached. Correct its address.";
    /// Nobody uses the account: its capabilities pause.
    28 Inactive;
    29 TradeNameDenied, "invalid_business_profile_name_denylisted",
        "This name cannot be used for a business. Give the name that customers know.";
    30 TradeNameInvalid, "invalid_business_profile_name",
        "This is no name of a business. Give the name that customers know.";
    31 UrlNeeded, "invalid_url_web_presence_detected",
        "The business has a website: give it as business_profile.url.";
    /// The bank account's owner has to be shown by a document.
    32 OwnershipUnproven, "information_missing",
        "Give a document that shows who owns the bank account.";
    /// In a change: the field is cleared.
    255 Gone;
}

impl Finding {
    /// Whether the value does: it verified, or it will.
    pub fn is_fine(self) -> bool {
        matches!(self, Finding::Good | Finding::Pending)
    }
}

/// Fields with what was found of each, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<(Field, Finding)>);

impl Facts {
    /// These fields, each with nothing wrong.
    pub fn good(fields: &[Field]) -> Facts {
        let mut facts = Facts::default();
        for field in fields {
            facts.set(*field, Finding::Good);
        }
        facts
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was found of a field, if it was given.
    pub fn get(&self, field: Field) -> Option<Finding> {
        self.0.binary_search_by_key(&field, |(have, _)| *have).ok().map(|at| self.0[at].1)
    }

    /// Whether a field was given.
    pub fn has(&self, field: Field) -> bool {
        self.get(field).is_some()
    }

    /// Whether a field was given and nothing is wrong with it.
    pub fn is_fine(&self, field: Field) -> bool {
        self.get(field).is_some_and(Finding::is_fine)
    }

    /// Every field with its finding.
    pub fn iter(&self) -> impl Iterator<Item = (Field, Finding)> + '_ {
        self.0.iter().copied()
    }

    /// Sets a field, in place of what was known of it.
    pub fn set(&mut self, field: Field, finding: Finding) {
        match self.0.binary_search_by_key(&field, |(have, _)| *have) {
            Ok(at) => self.0[at].1 = finding,
            Err(at) => self.0.insert(at, (field, finding)),
        }
    }

    /// What a call tells replaces what was known; what it does not tell of stays.
    pub fn learn(&mut self, told: &Facts) {
        for (field, finding) in told.iter() {
            self.set(field, finding);
        }
        self.0.retain(|(_, finding)| *finding != Finding::Gone);
    }

    /// Verifications that took a moment are over. Whether there were any.
    pub fn settle(&mut self) -> bool {
        let mut any = false;
        for (_, finding) in &mut self.0 {
            if *finding == Finding::Pending {
                *finding = Finding::Good;
                any = true;
            }
        }
        any
    }

    /// Only a person's, or only an account's.
    pub fn personal(&self, personal: bool) -> Facts {
        Facts(self.iter().filter(|(field, _)| field.is_personal() == personal).collect())
    }
}

/// One byte string, two bytes for each field: an account has some twenty.
impl<C> Encode<C> for Facts {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let bytes: Vec<u8> = self.iter().flat_map(|(field, finding)| [field as u8, finding as u8]).collect();
        e.bytes(&bytes)?.ok()
    }

    fn is_nil(&self) -> bool {
        self.is_empty()
    }
}

impl<'b, C> Decode<'b, C> for Facts {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Facts, minicbor::decode::Error> {
        let position = d.position();
        let unknown = || minicbor::decode::Error::message("no field or finding has this number").at(position);
        let mut facts = Facts::default();
        for pair in d.bytes()?.chunks(2) {
            let &[field, finding] = pair else { return Err(unknown()) };
            let field = Field::from_number(field).ok_or_else(unknown)?;
            facts.set(field, Finding::from_number(finding).ok_or_else(unknown)?);
        }
        Ok(facts)
    }

    fn nil() -> Option<Facts> {
        Some(Facts::default())
    }
}

/// What an individual tells who is active at once (the recipe of section 3.9), for simulations and tests.
pub fn active_individual() -> Facts {
    use Field::{
        City, Dob, Email, FirstName, IdNumber, LastName, Line1, Mcc, Phone, PostalCode, State, TosDate, TosIp, Url,
    };
    Facts::good(&[
        Mcc, Url, TosDate, TosIp, FirstName, LastName, Dob, Email, Phone, Line1, City, PostalCode, State, IdNumber,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_paths_belong_to_one_field_each() {
        for (at, field) in Field::ALL.iter().enumerate() {
            assert_eq!(Field::from_number(*field as u8), Some(*field));
            assert!(Field::ALL[..at].iter().all(|other| other < field && other.path() != field.path()));
            assert!(field.paths().iter().all(|path| path.starts_with(field.path())));
        }
        for finding in Finding::ALL {
            assert_eq!(Finding::from_number(*finding as u8), Some(*finding));
        }
        assert_eq!(Field::Dob.paths().len(), 3);
        assert!(Field::FirstName.is_personal() && !Field::CompanyDocument.is_personal());
    }

    #[test]
    fn what_is_told_replaces_what_was_known() {
        let mut facts = Facts::good(&[Field::Email, Field::Dob]);
        let mut told = Facts::default();
        told.set(Field::Dob, Finding::IdentityUnknown);
        told.set(Field::Email, Finding::Gone);
        told.set(Field::Phone, Finding::Pending);
        facts.learn(&told);
        assert_eq!((facts.get(Field::Dob), facts.get(Field::Email)), (Some(Finding::IdentityUnknown), None));
        assert!(facts.settle() && !facts.settle());
        assert!(facts.is_fine(Field::Phone) && !facts.is_fine(Field::Dob));
        let bytes = minicbor::to_vec(&facts).unwrap();
        assert_eq!(bytes.len(), 5);
        assert_eq!(minicbor::decode::<Facts>(&bytes).unwrap(), facts);
        assert!(minicbor::decode::<Facts>(&[0x41, 1]).is_err() && minicbor::decode::<Facts>(&[0x42, 200, 0]).is_err());
    }
}
