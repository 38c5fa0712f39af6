//! Days on which banks do not work: by rule where there is one, so that no table runs out.
//!
//! Known are the Federal Reserve's (United States), TARGET's (every country whose currency is the euro) and those of
//! England and Wales (United Kingdom). Elsewhere banks work from Monday to Friday. The published lists that the rules
//! are checked against lie in `fixtures/bank_holidays.csv`, with their sources.

use jiff::civil::Weekday;

use super::country::Country;
use super::currency::Currency;
use super::time::{Day, is_us_bank_holiday};

/// Days of England and Wales that no rule gives: moved or added by proclamation.
const PROCLAIMED: [(i32, u8, u8); 5] = [
    (2020, 5, 8),  // the early May holiday, for the 75th anniversary of VE Day
    (2022, 6, 2),  // the spring holiday, for the Platinum Jubilee
    (2022, 6, 3),  // the Jubilee itself
    (2022, 9, 19), // the funeral of Elizabeth II
    (2023, 5, 8),  // the coronation of Charles III
];
/// Mondays that those were moved from.
const MOVED_AWAY: [(i32, u8, u8); 2] = [(2020, 5, 4), (2022, 5, 30)];

/// Whether banks of the country keep a holiday on this day. What falls on a weekend need not be told.
pub fn is_bank_holiday(day: Day, country: Country) -> bool {
    match country {
        Country::US => is_us_bank_holiday(day),
        Country::GB => is_uk_bank_holiday(day),
        _ => country.default_currency() == Some(Currency::EUR) && is_target_holiday(day),
    }
}

/// Closing days of TARGET, the euro's settlement system: New Year, Good Friday, Easter Monday, 1 May, 25 and 26
/// December.
fn is_target_holiday(day: Day) -> bool {
    let (_, month, date) = day.to_civil();
    matches!((month, date), (1, 1) | (5, 1) | (12, 25 | 26)) || is_easter_holiday(day)
}

/// Bank holidays of England and Wales. One with a fixed date that falls on a weekend is kept on the next free weekday.
fn is_uk_bank_holiday(day: Day) -> bool {
    let civil = day.to_civil();
    if PROCLAIMED.contains(&civil) {
        return true;
    }
    let (_, month, date) = civil;
    let monday = day.weekday() == Weekday::Monday;
    let fixed = match (month, date) {
        (1, 1) | (12, 25 | 26) => true,
        // New Year on a weekend moves to the Monday after it.
        (1, 2 | 3) => monday,
        // Christmas and Boxing Day push each other on: whatever they leave over lands on a Monday or a Tuesday.
        (12, 27 | 28) => monday || day.weekday() == Weekday::Tuesday,
        // The first and the last Monday of May, the last one of August.
        (5, _) => monday && (date <= 7 || date > 24) && !MOVED_AWAY.contains(&civil),
        (8, _) => monday && date > 24,
        _ => false,
    };
    fixed || is_easter_holiday(day)
}

/// Good Friday or Easter Monday.
fn is_easter_holiday(day: Day) -> bool {
    let (year, ..) = day.to_civil();
    let to_easter = easter_sunday(year).map(|sunday| day.days_since(sunday));
    matches!(to_easter, Some(-2 | 1))
}

/// Easter Sunday of the Gregorian calendar (the computus of Meeus, Jones and Butcher).
fn easter_sunday(year: i32) -> Option<Day> {
    let (a, b, c) = (year.rem_euclid(19), year.div_euclid(100), year.rem_euclid(100));
    let (d, e) = (b.div_euclid(4), b.rem_euclid(4));
    let g = (8 * b + 13).div_euclid(25);
    let h = (19 * a + b - d - g + 15).rem_euclid(30);
    let (i, k) = (c.div_euclid(4), c.rem_euclid(4));
    let l = (32 + 2 * e + 2 * i - h - k).rem_euclid(7);
    let m = (a + 11 * h + 19 * l).div_euclid(433);
    let month = (h + l - 7 * m + 90).div_euclid(25);
    let date = (h + l - 7 * m + 33 * month + 19).rem_euclid(32);
    Day::from_civil(year, u8::try_from(month).ok()?, u8::try_from(date).ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const PUBLISHED: &str = include_str!("../../fixtures/bank_holidays.csv");

    #[test]
    fn the_rules_give_exactly_the_published_holidays() {
        let mut years: BTreeMap<(&str, i32), BTreeSet<Day>> = BTreeMap::new();
        for line in PUBLISHED.lines().filter(|line| !line.starts_with('#')).skip(1) {
            let mut cells = line.split(',');
            let (calendar, day) = (cells.next().unwrap(), cells.next().unwrap().parse::<Day>().unwrap());
            years.entry((calendar, day.to_civil().0)).or_default().insert(day);
        }
        assert_eq!(years.len(), 16, "calendars and years in the fixture");
        for ((calendar, year), published) in years {
            let country = match calendar {
                "us" => Country::US,
                "uk" => Country::GB,
                "target" => Country::DE,
                other => panic!("{other}"),
            };
            let (first, last) = (Day::from_civil(year, 1, 1).unwrap(), Day::from_civil(year, 12, 31).unwrap());
            let weekdays = (first.0..=last.0).map(Day).filter(|day| {
                !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && is_bank_holiday(*day, country)
            });
            assert_eq!(weekdays.collect::<BTreeSet<_>>(), published, "{calendar} {year}");
        }
    }

    #[test]
    fn easter_is_where_the_almanac_puts_it() {
        let published = "2019-04-21 2020-04-12 2021-04-04 2022-04-17 2023-04-09 2024-03-31 2025-04-20 2026-04-05 2027-03-28 \
            2028-04-16 2038-04-25";
        for text in published.split_whitespace() {
            let day: Day = text.parse().unwrap();
            assert_eq!(easter_sunday(day.to_civil().0), Some(day));
        }
    }

    #[test]
    fn countries_without_a_known_calendar_have_only_weekends() {
        let christmas: Day = "2026-12-25".parse().unwrap();
        assert!(is_bank_holiday(christmas, Country::DE) && !is_bank_holiday(christmas, Country::JP));
    }
}
