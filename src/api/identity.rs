//! Identity values of a test account: what a number, a birthday or an address makes of a verification.
//!
//! Numbers (`id_number`, `ssn_last_4`, `tax_id`, `vat_id`) end here: only what they make of the verification goes on.

use crate::domain::record::TestResult;

use TestResult::{Failed, Verified};

/// A birthday: two dates verify, any other fails.
pub fn dob(year: i64, month: i64, day: i64) -> TestResult {
    match (year, month, day) {
        (1901 | 1902, 1, 1) => Verified,
        _ => Failed,
    }
}

/// The first line of an address: two fail.
pub fn address(line1: &str) -> TestResult {
    match line1 {
        "address_no_match" | "address_line1_no_match" => Failed,
        _ => Verified,
    }
}

/// A personal number: one fails.
pub fn id_number(number: &str) -> TestResult {
    match digits(number).as_str() {
        "111111111" => Failed,
        _ => Verified,
    }
}

/// Its last four digits.
pub fn ssn_last_4(number: &str) -> TestResult {
    match digits(number).as_str() {
        "1111" => Failed,
        _ => Verified,
    }
}

/// A company's number: two fail.
pub fn tax_id(number: &str) -> TestResult {
    match digits(number).as_str() {
        "111111111" | "111111112" => Failed,
        _ => Verified,
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
            [Verified, Verified, Failed, Failed]
        );
        assert_eq!([address("address_full_match"), address("address_no_match")], [Verified, Failed]);
        assert_eq!(
            [id_number("222222222"), id_number("000-00-0000"), id_number("111111111")],
            [Verified, Verified, Failed]
        );
        assert_eq!([ssn_last_4("0000"), ssn_last_4("1111")], [Verified, Failed]);
        assert_eq!([tax_id("000000000"), tax_id("11-1111111"), tax_id("111111112")], [Verified, Failed, Failed]);
    }
}
