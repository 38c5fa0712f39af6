//! Instants and days as data. There is no clock here: `now` always comes in with the command.
//!
//! A [`Timestamp`] is a count of milliseconds, a [`Day`] a count of days, both since 1970-01-01 in UTC, both with a
//! public field because every number is a meaningful value. What is further from now than an i32 of days can count is
//! clamped, never wrapped; nobody pays out then.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use minicbor::{Decode, Encode};

use super::country::Country;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] pub i64);

/// A calendar day of UTC: days since 1970-01-01.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Day(#[n(0)] pub i32);

/// The text is not a day.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a day: {text:?}: expected year-month-day such as 2026-10-30")]
pub struct BadDay {
    /// What was read, cut after 16 characters.
    pub text: String,
}

impl Timestamp {
    /// An instant from milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// An instant from whole seconds since the epoch, as on the wire. Seconds that no i64 of milliseconds can hold
    /// become the first or last instant there is, which compares as they would.
    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: what `created` shows.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The UTC day that this instant lies in.
    pub const fn day(self) -> Day {
        let days = self.0.div_euclid(MILLIS_PER_DAY);
        if days < i32::MIN as i64 {
            Day(i32::MIN)
        } else if days > i32::MAX as i64 {
            Day(i32::MAX)
        } else {
            Day(days as i32)
        }
    }

    /// Milliseconds since the midnight that began its day.
    pub const fn millis_of_day(self) -> i64 {
        self.0.rem_euclid(MILLIS_PER_DAY)
    }

    /// The instant `millis` later (earlier when negative); none beyond the range.
    pub const fn plus_millis(self, millis: i64) -> Option<Timestamp> {
        match self.0.checked_add(millis) {
            Some(sum) => Some(Timestamp(sum)),
            None => None,
        }
    }

    /// The instant `seconds` later; none beyond the range.
    pub const fn plus_seconds(self, seconds: i64) -> Option<Timestamp> {
        match seconds.checked_mul(1000) {
            Some(millis) => self.plus_millis(millis),
            None => None,
        }
    }

    /// The same time of day `days` later; none beyond the range.
    pub const fn plus_days(self, days: i32) -> Option<Timestamp> {
        // i32 × 86 400 000 always has room in an i64.
        self.plus_millis(days as i64 * MILLIS_PER_DAY)
    }

    /// Milliseconds from `earlier` to this instant, clamped to the range of an i64.
    pub const fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-10-30T14:15:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, rest) = (self.day(), self.millis_of_day());
        let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
        write!(f, "{day}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1000)
    }
}

impl Day {
    /// The day with this civil date (proleptic Gregorian); none when there is no such date or no room for it.
    pub const fn from_civil(year: i32, month: u8, day: u8) -> Option<Day> {
        if month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        Some(match days_from_civil(year as i64, month, day) {
            days if days < i32::MIN as i64 || days > i32::MAX as i64 => return None,
            days => Day(days as i32),
        })
    }

    /// Year, month (1-12) and day of the month (1-31).
    pub const fn to_civil(self) -> (i32, u8, u8) {
        // Howard Hinnant's "civil_from_days": eras of 400 years that begin on 1 March, so that the leap day comes last.
        let shifted = self.0 as i64 + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u8;
        let year = year_of_era + era * 400 + (month <= 2) as i64;
        (year as i32, month, day)
    }

    /// The midnight (UTC) that begins this day.
    pub const fn midnight(self) -> Timestamp {
        Timestamp(self.0 as i64 * MILLIS_PER_DAY)
    }

    /// Day of the week.
    pub const fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        match (self.0 as i64 + 3).rem_euclid(7) {
            0 => Weekday::Monday,
            1 => Weekday::Tuesday,
            2 => Weekday::Wednesday,
            3 => Weekday::Thursday,
            4 => Weekday::Friday,
            5 => Weekday::Saturday,
            _ => Weekday::Sunday,
        }
    }

    /// The day `days` later (earlier when negative); none beyond the range.
    pub const fn plus_days(self, days: i32) -> Option<Day> {
        match self.0.checked_add(days) {
            Some(sum) => Some(Day(sum)),
            None => None,
        }
    }

    /// Days from `earlier` to this day.
    pub const fn days_since(self, earlier: Day) -> i64 {
        self.0 as i64 - earlier.0 as i64
    }

    /// The day with this number in this one's month, or the month's last day when it is shorter: how a monthly anchor of
    /// 29 to 31 behaves.
    pub fn in_same_month(self, day_of_month: u8) -> Day {
        let (year, month, own) = self.to_civil();
        let wanted = day_of_month.clamp(1, days_in_month(year, month));
        Day(self.0.saturating_add(i32::from(wanted) - i32::from(own)))
    }
}

impl From<jiff::civil::Date> for Day {
    fn from(date: jiff::civil::Date) -> Day {
        // A jiff date lies within ±9999 years, so there is room.
        Day(days_from_civil(i64::from(date.year()), date.month() as u8, date.day() as u8) as i32)
    }
}

impl TryFrom<Day> for jiff::civil::Date {
    type Error = jiff::Error;

    /// # Errors
    /// Outside the years -9999 to 9999.
    fn try_from(day: Day) -> Result<jiff::civil::Date, jiff::Error> {
        let (year, month, day) = day.to_civil();
        let year = i16::try_from(year).unwrap_or(i16::MAX); // refused by `new`, as it should be
        jiff::civil::Date::new(year, month as i8, day as i8)
    }
}

impl fmt::Display for Day {
    /// `2026-10-30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.to_civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = BadDay;

    /// Reads exactly `yyyy-mm-dd`.
    fn from_str(text: &str) -> Result<Day, BadDay> {
        parse_day(text.as_bytes()).ok_or_else(|| BadDay { text: text.chars().take(16).collect() })
    }
}

fn parse_day(text: &[u8]) -> Option<Day> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i32, |n, digit| digit.is_ascii_digit().then(|| n * 10 + i32::from(digit - b'0')))
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    Day::from_civil(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
}

const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's "days_from_civil", the inverse of [`Day::to_civil`].
const fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = if month > 2 { month - 3 } else { month + 9 } as i64;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The day at whose UTC midnight the money of a charge becomes available: `delay_days` after the day of `created`,
/// counted in the country's days (reference 4.1).
///
/// Business-day countries ([`Country::business_days`]) skip Saturdays and Sundays, the US the holidays of the Federal
/// Reserve too; elsewhere every day counts. Recorded: Friday 29 December 2023 + 2 = Wednesday 3 January 2024, Sunday
/// 24 December 2023 + 2 = Wednesday 27 December.
///
/// With a delay of 0 it is the day of `created` itself, whose midnight has passed: available at once.
pub fn available_on(created: Timestamp, country: Country, delay_days: u8) -> Day {
    let start = created.day();
    if !country.business_days() {
        return Day(start.0.saturating_add(i32::from(delay_days)));
    }
    let (mut day, mut counted) = (start, 0);
    while counted < delay_days {
        let Some(next) = day.plus_days(1) else { return day };
        day = next;
        counted += u8::from(is_business_day(day, country));
    }
    day
}

/// Whether banks of the country work on this day: neither Saturday nor Sunday nor a holiday that
/// [`calendar`](super::calendar) knows.
pub fn is_business_day(day: Day, country: Country) -> bool {
    match day.weekday() {
        Weekday::Saturday | Weekday::Sunday => false,
        _ => !super::calendar::is_bank_holiday(day, country),
    }
}

/// Whether the Federal Reserve Banks are closed for a holiday on this day.
///
/// Their rule: a holiday that falls on a Sunday is kept on the Monday after it; one that falls on a Saturday is not moved
/// (the banks are open on the Friday before). Juneteenth counts since 2021.
pub fn is_us_bank_holiday(day: Day) -> bool {
    let (year, month, date) = day.to_civil();
    let weekday = day.weekday();
    // A holiday with a fixed date: on the date itself, or on the Monday after a Sunday. None of them is the last of its
    // month, so that Monday lies in the same month.
    let fixed = |holiday: u8| date == holiday || (weekday == Weekday::Monday && date == holiday + 1);
    let nth = |wanted: Weekday, n: u8| weekday == wanted && date.div_ceil(7) == n;
    match month {
        1 => fixed(1) || nth(Weekday::Monday, 3), // New Year; Martin Luther King
        2 => nth(Weekday::Monday, 3),             // Presidents
        5 => weekday == Weekday::Monday && date + 7 > 31, // Memorial: the last Monday
        6 => year >= 2021 && fixed(19),           // Juneteenth
        7 => fixed(4),                            // Independence
        9 => nth(Weekday::Monday, 1),             // Labor
        10 => nth(Weekday::Monday, 2),            // Columbus
        11 => fixed(11) || nth(Weekday::Thursday, 4), // Veterans; Thanksgiving
        12 => fixed(25),                          // Christmas
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn at(text: &str, hour: i64) -> Timestamp {
        day(text).midnight().plus_seconds(hour * 3600).unwrap()
    }

    #[test]
    fn recorded_availability_in_the_us() {
        for (created, available) in [
            ("2023-12-29", "2024-01-03"), // Friday; Monday is New Year
            ("2023-12-24", "2023-12-27"), // Sunday; Monday is Christmas
            ("2024-03-04", "2024-03-06"), // Monday
            ("2024-03-08", "2024-03-12"), // Friday
            ("2024-03-09", "2024-03-12"), // Saturday
        ] {
            for hour in [0, 12, 23] {
                assert_eq!(available_on(at(created, hour), Country::US, 2), day(available), "{created}");
            }
        }
        assert_eq!(available_on(at("2024-03-04", 9), Country::US, 0), day("2024-03-04"));
    }

    #[test]
    fn other_countries_count_their_own_days() {
        assert_eq!(available_on(at("2023-12-29", 9), Country::CA, 7), day("2024-01-05"), "calendar days");
        assert_eq!(available_on(at("2023-12-29", 9), Country::DE, 7), day("2024-01-05"));
        assert_eq!(available_on(at("2023-12-29", 9), Country::AU, 2), day("2024-01-02"), "weekends, no holidays");
        assert_eq!(available_on(Timestamp(i64::MAX), Country::AU, 255), Day(i32::MAX));
        assert_eq!(available_on(Timestamp(i64::MAX), Country::DE, 255), Day(i32::MAX));
    }

    #[test]
    fn federal_reserve_holidays_of_three_years() {
        // As the Federal Reserve published them. 2022-01-01, 2022-12-25 and 2023-01-01: a Saturday (not kept on the
        // Friday before), and two Sundays (kept on the Monday after); 2023-11-11 was a Saturday, 2026-07-04 is one.
        let published = "2022-01-17 2022-02-21 2022-05-30 2022-06-20 2022-07-04 2022-09-05 2022-10-10 2022-11-11 \
            2022-11-24 2022-12-26 2023-01-02 2023-01-16 2023-02-20 2023-05-29 2023-06-19 2023-07-04 2023-09-04 2023-10-09 \
            2023-11-23 2023-12-25 2026-01-01 2026-01-19 2026-02-16 2026-05-25 2026-06-19 2026-09-07 2026-10-12 2026-11-11 \
            2026-11-26 2026-12-25";
        let expected: Vec<Day> = published.split_whitespace().map(day).collect();
        let found: Vec<Day> = (day("2022-01-01").0..=day("2026-12-31").0)
            .map(Day)
            .filter(|d| [2022, 2023, 2026].contains(&d.to_civil().0))
            .filter(|d| is_us_bank_holiday(*d) && is_business_day(*d, Country::AU))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn instants_and_days_read_and_print() {
        let instant = Timestamp::from_millis(1_793_369_700_123);
        assert_eq!(instant.to_string(), "2026-10-30T14:15:00.123Z");
        assert_eq!((instant.seconds(), instant.day()), (1_793_369_700, day("2026-10-30")));
        assert_eq!(Timestamp::from_millis(-1).seconds(), -1);
        assert_eq!(Timestamp::from_millis(-1).day(), Day(-1));
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp(i64::MAX));
        assert_eq!(Timestamp(i64::MAX).plus_days(1), None);
        assert_eq!(day("1970-01-01"), Day(0));
        assert_eq!(Day(0).weekday(), Weekday::Thursday);
        assert_eq!(day("2024-01-31").in_same_month(30), day("2024-01-30"));
        assert_eq!(day("2024-02-10").in_same_month(31), day("2024-02-29"));
        for text in ["", "2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "24-01-01", "2024-1-01", "2024-01-0x"]
        {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        assert!(jiff::civil::Date::try_from(Day(i32::MAX)).is_err());
        assert_eq!(Day::from_civil(i32::MAX, 1, 1), None);
    }

    proptest! {
        #[test]
        fn the_calendar_agrees_with_jiff(days in -3_000_000..2_900_000_i32) {
            let date = jiff::civil::Date::try_from(Day(days)).unwrap();
            prop_assert_eq!(Day::from(date), Day(days));
            prop_assert_eq!(date.weekday(), Day(days).weekday());
            let (year, month, day) = Day(days).to_civil();
            prop_assert_eq!((date.year() as i32, date.month() as u8, date.day() as u8), (year, month, day));
            prop_assert_eq!(Day::from_civil(year, month, day), Some(Day(days)));
        }

        #[test]
        fn nothing_overflows(millis: i64, seconds: i64, days: i32, delay: u8) {
            let instant = Timestamp(millis);
            let _ = (instant.to_string(), instant.plus_seconds(seconds), instant.plus_days(days), Day(days).to_string());
            let _ = (available_on(instant, Country::US, delay), Timestamp::from_seconds(seconds), Day(days).midnight());
            prop_assert_eq!(Day(days).midnight().day(), Day(days));
        }

        #[test]
        fn money_is_never_available_earlier_for_a_longer_delay(days in 15_000..25_000_i32, delay in 0..40_u8) {
            let created = Day(days).midnight();
            let (sooner, later) = (available_on(created, Country::US, delay), available_on(created, Country::US, delay + 1));
            prop_assert!(sooner < later);
            prop_assert!(delay == 0 || is_business_day(sooner, Country::US));
        }

        #[test]
        fn both_are_plain_numbers_in_the_journal(millis: i64, days: i32) {
            let bytes = minicbor::to_vec((Timestamp(millis), Day(days))).unwrap();
            prop_assert_eq!(minicbor::decode::<(i64, i32)>(&bytes).unwrap(), (millis, days));
            prop_assert_eq!(minicbor::decode::<(Timestamp, Day)>(&bytes).unwrap(), (Timestamp(millis), Day(days)));
        }
    }
}
