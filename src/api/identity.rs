//! Values of a test account (section 3.9): what a number, a birthday, an address or a website makes of a verification.
//!
//! Numbers (`id_number`, `ssn_last_4`, `tax_id`, `vat_id`) end here: only what was found of them goes on.

use crate::domain::facts::Finding;

use Finding::Good;

/// A birthday: 1902-01-01 verifies at once, 1901-01-01 in a moment, any other fails.
pub fn dob(year: i64, month: i64, day: i64) -> Finding {
    match (year, month, day) {
        (1902, 1, 1) => Good,
        (1901, 1, 1) => Finding::Pending,
        (1900, 1, 1) => Finding::Listed,
        _ => Finding::IdentityUnknown,
    }
}

/// The first line of an address: two fail.
pub fn address(line1: &str) -> Finding {
    match line1 {
        "address_no_match" => Finding::AddressUnknown,
        "address_line1_no_match" => Finding::AddressLineUnknown,
        _ => Good,
    }
}

/// A personal number: one fails, one takes a moment.
pub fn id_number(number: &str) -> Finding {
    match digits(number).as_str() {
        "000000000" => Finding::Pending,
        "111111111" => Finding::NumberMismatch,
        _ => Good,
    }
}

/// Its last four digits.
pub fn ssn_last_4(number: &str) -> Finding {
    match digits(number).as_str() {
        "0000" => Finding::Pending,
        "1111" => Finding::NumberMismatch,
        _ => Good,
    }
}

/// A company's number: two fail, two take a moment.
pub fn tax_id(number: &str) -> Finding {
    match digits(number).as_str() {
        "000000000" | "000000001" => Finding::Pending,
        "111111111" => Finding::TaxIdMismatch,
        "111111112" => Finding::TaxIdNotIssued,
        _ => Good,
    }
}

/// A document, by its file: there are two test files; `None` for any other.
pub fn document(file: &str) -> Option<Finding> {
    match file {
        "file_identity_document_success" => Some(Good),
        "file_identity_document_failure" => Some(Finding::DocumentFailed),
        _ => None,
    }
}

/// A first name: it decides for directors.
pub fn first_name(name: &str) -> Finding {
    match name {
        "mismatch_director" => Finding::DirectorsMismatch,
        "missing_director" => Finding::DirectorsMissing,
        "extraneous_director" => Finding::DirectorsExtraneous,
        _ => Good,
    }
}

/// A company's name.
pub fn company_name(name: &str) -> Finding {
    match name {
        "mismatch_business_name" => Finding::NameMismatch,
        "disallowed_name" => Finding::NameDenied,
        "match_name_only" => Finding::NameAlone,
        _ => Good,
    }
}

/// What is printed on a payer's statement.
pub fn descriptor(text: &str) -> Finding {
    match text.to_ascii_lowercase().as_str() {
        "mismatch" => Finding::DescriptorMismatch,
        "disallowed" => Finding::DescriptorDenied,
        _ => Good,
    }
}

/// What it begins with.
pub fn prefix(text: &str) -> Finding {
    match text.to_ascii_lowercase().as_str() {
        "mismatch" => Finding::PrefixMismatch,
        "disallowed" => Finding::PrefixDenied,
        _ => Good,
    }
}

/// A website: the test hosts under `stripe.com` decide, any other is fine.
pub fn url(url: &str) -> Finding {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    match host.strip_suffix(".stripe.com") {
        Some("disallowed") => Finding::UrlDenied,
        Some("geoblocked") => Finding::UrlGeoblocked,
        Some("problem") => Finding::UrlProblem,
        Some("missing") => Finding::UrlIncomplete,
        Some("mismatch") => Finding::UrlMismatch,
        Some("passwordprotected") => Finding::UrlProtected,
        Some("underconstruction") => Finding::UrlConstruction,
        Some("inaccessible") => Finding::UrlInaccessible,
        Some("inactivity") => Finding::Inactive,
        _ => Good,
    }
}

/// The name that customers know.
pub fn trade_name(name: &str) -> Finding {
    match name {
        "disallowed_dba" => Finding::TradeNameDenied,
        "invalid_dba" => Finding::TradeNameInvalid,
        _ => Good,
    }
}

/// What is sold.
pub fn description(text: &str) -> Finding {
    if text == "require_url" { Finding::UrlNeeded } else { Good }
}

/// A bank account's number: two start a check of who owns it.
pub fn ownership(number: &str) -> Option<Finding> {
    match number {
        "000999999991" => Some(Finding::Pending),
        "000999999992" => Some(Finding::OwnershipUnproven),
        _ => None,
    }
}

/// Dashes and blanks do not count.
fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_test_values_decides() {
        assert_eq!(
            [dob(1902, 1, 1), dob(1901, 1, 1), dob(1900, 1, 1), dob(1990, 5, 5)],
            [Good, Finding::Pending, Finding::Listed, Finding::IdentityUnknown]
        );
        assert_eq!([address("address_full_match"), address("address_no_match")], [Good, Finding::AddressUnknown]);
        assert_eq!(
            [id_number("222222222"), id_number("000-00-0000"), id_number("111111111")],
            [Good, Finding::Pending, Finding::NumberMismatch]
        );
        assert_eq!([ssn_last_4("0000"), ssn_last_4("1111")], [Finding::Pending, Finding::NumberMismatch]);
        assert_eq!(
            [tax_id("222222222"), tax_id("11-1111111"), tax_id("111111112")],
            [Good, Finding::TaxIdMismatch, Finding::TaxIdNotIssued]
        );
        assert_eq!(
            ["https://accessible.stripe.com", "https://missing.stripe.com/a?b", "MISMATCH.stripe.com", "https://x.com"]
                .map(url),
            [Good, Finding::UrlIncomplete, Finding::UrlMismatch, Good]
        );
    }
}
