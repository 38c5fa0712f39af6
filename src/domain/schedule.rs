//! When an account is paid out: its schedule (section 9.4), and the days on which its banks work.

use jiff::civil::Weekday;

use super::command::AccountInput;
use super::decide::{Halt, Refusal};
use super::record::{AccountRecord, Paying, PayoutInterval};
use crate::ledger::AccountNo;
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::time::{Day, is_business_day};

/// The longest delay that a platform may set.
const DELAY_DAYS_MAX: u8 = 31;
/// Friday, as a bit of [`Paying::weekly_days`]: Japan's default.
const FRIDAY: u8 = 1 << 4;
/// Further ahead lies no payout day: a month, a clipped month's end, and the longest row of holidays.
const SEARCH_DAYS: i32 = 80;

/// Which call's parameters an error names: the same settings have two doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// `POST /v1/accounts`
    Account,
    /// `POST /v1/balance_settings`
    BalanceSettings,
}

impl Wording {
    fn schedule(self, account: &str, settings: &str) -> String {
        match self {
            Wording::Account => format!("settings[payouts][schedule][{account}]"),
            Wording::BalanceSettings => format!("payments[payouts][schedule][{settings}]"),
        }
    }

    fn delay(self) -> &'static str {
        match self {
            Wording::Account => "settings[payouts][schedule][delay_days]",
            Wording::BalanceSettings => "payments[settlement_timing][delay_days_override]",
        }
    }
}

/// What a fresh account of a country starts with: Japan is paid out on Fridays.
pub fn default_days(country: Country) -> Option<Box<Paying>> {
    (country == Country::JP).then(|| Box::new(Paying { weekly_days: Some(FRIDAY), ..Paying::default() }))
}

impl AccountRecord {
    /// Its payout settings beyond the defaults, to change.
    pub fn paying_mut(&mut self) -> &mut Paying {
        self.paying.get_or_insert_default()
    }

    /// Weekdays of a weekly schedule, Monday as bit 0.
    pub fn weekly_days(&self) -> u8 {
        self.paying.as_ref().and_then(|paying| paying.weekly_days).unwrap_or(FRIDAY)
    }

    /// Days of a monthly schedule, the first as bit 0.
    pub fn monthly_days(&self) -> u32 {
        self.paying.as_ref().and_then(|paying| paying.monthly_days).unwrap_or(1)
    }

    /// What automatic payouts leave in the balance of a currency, minor units.
    pub fn minimum_balance(&self, currency: Currency) -> i64 {
        let minimums = self.paying.as_ref().and_then(|paying| paying.minimum_balances.as_ref());
        minimums.into_iter().flatten().find(|(have, _)| *have == currency).map_or(0, |&(_, minor)| minor)
    }

    /// Whether a schedule pays the account out.
    pub fn is_paid_out(&self) -> bool {
        !self.deleted && self.payout_interval != PayoutInterval::Manual && self.payouts_enabled
    }

    /// Whether its bank account is debited when its balance is below zero. The platform fills its own by top-ups.
    pub fn is_debited(&self, account: AccountNo) -> bool {
        !self.deleted && !account.is_platform() && self.debit_negative_balances
    }

    /// Whether the platform answers for its losses.
    pub fn is_covered(&self, account: AccountNo) -> bool {
        !account.is_platform() && self.controller.losses_application
    }
}

fn is_nominal(account: &AccountRecord, day: Day) -> bool {
    match account.payout_interval {
        // Without a schedule only debts are collected, on any working day.
        PayoutInterval::Manual | PayoutInterval::Daily => true,
        PayoutInterval::Weekly => account.weekly_days() >> bit_of(day.weekday()) & 1 == 1,
        // The 29th to the 31st are the last day of a shorter month.
        PayoutInterval::Monthly => {
            (1..=31).any(|date| account.monthly_days() >> (date - 1) & 1 == 1 && day.in_same_month(date) == day)
        }
    }
}

/// A weekday's bit in [`Paying::weekly_days`].
pub fn bit_of(weekday: Weekday) -> u8 {
    u8::try_from(weekday.to_monday_zero_offset()).unwrap_or_default()
}

/// Whether the account is paid out on this day: a working day that its schedule names, or the first one after a day
/// that the schedule names and on which banks do not work.
pub fn is_payout_day(account: &AccountRecord, day: Day) -> bool {
    if !is_business_day(day, account.country) {
        return false;
    }
    let mut named = day;
    loop {
        if is_nominal(account, named) {
            return true;
        }
        match named.plus_days(-1) {
            Some(before) if !is_business_day(before, account.country) => named = before,
            _ => return false,
        }
    }
}

/// The first payout day after `day`.
pub fn next_payout_day(account: &AccountRecord, day: Day) -> Day {
    let days = (1..SEARCH_DAYS).map(|ahead| Day(day.0.saturating_add(ahead)));
    days.into_iter().find(|&day| is_payout_day(account, day)).unwrap_or(Day(day.0.saturating_add(SEARCH_DAYS)))
}

/// Applies payout settings.
///
/// # Errors
/// 400 for what the account's country or schedule does not allow.
pub fn amend(record: &mut AccountRecord, input: &AccountInput, wording: Wording) -> Result<(), Halt> {
    let country = record.country;
    if let Some(interval) = input.payout_interval {
        let allowed = match country.code() {
            "JP" => interval != PayoutInterval::Daily,
            "BR" | "IN" => interval == PayoutInterval::Daily,
            _ => true,
        };
        if !allowed {
            let rule = if country == Country::JP { "weekly, monthly or manual, not daily" } else { "daily" };
            let message = format!("The payout schedule of accounts in {country} is {rule}.");
            return Err(Refusal::new(message).param(&wording.schedule("interval", "interval")).into());
        }
        record.payout_interval = interval;
    }
    days(record, input, wording)?;
    match input.delay_days {
        None => {}
        Some(0) => record.delay_days = country.delay_days(),
        Some(days) => {
            let min = country.delay_days();
            if !(min..=DELAY_DAYS_MAX).contains(&days) {
                let message = format!(
                    "`delay_days` of accounts in {country} is {min} to {DELAY_DAYS_MAX}; give `minimum` for {min}."
                );
                return Err(Refusal::new(message).param(wording.delay()).into());
            }
            record.delay_days = days;
        }
    }
    if let Some(debit) = input.debit_negative_balances {
        record.debit_negative_balances = debit;
    }
    minimums(record, input);
    Ok(())
}

fn days(record: &mut AccountRecord, input: &AccountInput, wording: Wording) -> Result<(), Halt> {
    let interval = record.payout_interval;
    let misplaced = |param: String, needs: &str| {
        let message = format!("`{param}` can only be set when the payout schedule's interval is {needs}.");
        Halt::from(Refusal::new(message).param(&param))
    };
    let missing = |param: String, interval: &str| {
        let message = format!("You must provide `{param}` when the payout schedule's interval is {interval}.");
        Halt::from(Refusal::new(message).code("parameter_missing").param(&param))
    };
    let weekly = wording.schedule("weekly_anchor", "weekly_payout_days");
    let monthly = wording.schedule("monthly_anchor", "monthly_payout_days");
    if let Some(days) = input.weekly_days {
        if interval != PayoutInterval::Weekly {
            return Err(misplaced(weekly, "weekly"));
        }
        record.paying_mut().weekly_days = Some(days);
    }
    if let Some(days) = input.monthly_days {
        if interval != PayoutInterval::Monthly {
            return Err(misplaced(monthly, "monthly"));
        }
        record.paying_mut().monthly_days = Some(days);
    }
    let paying = record.paying.as_ref();
    match input.payout_interval {
        Some(PayoutInterval::Weekly) if paying.is_none_or(|paying| paying.weekly_days.is_none()) => {
            Err(missing(weekly, "weekly"))
        }
        Some(PayoutInterval::Monthly) if paying.is_none_or(|paying| paying.monthly_days.is_none()) => {
            Err(missing(monthly, "monthly"))
        }
        _ => Ok(()),
    }
}

fn minimums(record: &mut AccountRecord, input: &AccountInput) {
    if input.minimum_balances.is_none() && input.clear_minimum_balances.is_none() {
        return;
    }
    let paying = record.paying_mut();
    let mut kept =
        paying.minimum_balances.take().filter(|_| input.clear_minimum_balances.is_none()).unwrap_or_default();
    for &(currency, minor) in input.minimum_balances.iter().flatten() {
        kept.retain(|(have, _)| *have != currency);
        if let Some(minor) = minor.filter(|&minor| minor > 0) {
            kept.push((currency, minor));
        }
    }
    kept.sort_unstable();
    paying.minimum_balances = (!kept.is_empty()).then_some(kept);
}

#[cfg(test)]
mod tests {
    use super::super::account::world::World;
    use super::super::command::Command;
    use super::*;

    fn account(country: &str, interval: PayoutInterval, weekly: &[u8], monthly: &[u8]) -> AccountRecord {
        let mut world = World::new();
        let input = AccountInput { country: country.parse().ok(), ..AccountInput::default() };
        let id = world.make(Command::CreateAccount(Box::new(input)));
        let mut record = world.account(AccountNo(id.birth)).clone();
        record.payout_interval = interval;
        let mask = |bits: &[u8]| bits.iter().fold(0_u32, |mask, bit| mask | 1 << bit);
        record.paying_mut().weekly_days = Some(mask(weekly) as u8);
        record.paying_mut().monthly_days = Some(mask(monthly));
        record
    }

    #[test]
    fn the_next_payout_day_is_a_working_day_of_the_accounts_country() {
        use PayoutInterval::{Daily, Manual, Monthly, Weekly};
        // country, interval, weekdays (0 = Monday), days of the month (0 = the 1st), after, next
        type Case = (&'static str, PayoutInterval, &'static [u8], &'static [u8], &'static str, &'static str);
        let table: [Case; 16] = [
            ("US", Daily, &[], &[], "2026-03-02", "2026-03-03"),
            ("US", Daily, &[], &[], "2026-03-06", "2026-03-09"), // over a weekend
            ("US", Daily, &[], &[], "2026-11-25", "2026-11-27"), // over Thanksgiving
            ("DE", Daily, &[], &[], "2026-04-02", "2026-04-07"), // over Easter
            ("DE", Daily, &[], &[], "2026-11-25", "2026-11-26"), // no Thanksgiving there
            ("GB", Daily, &[], &[], "2026-12-24", "2026-12-29"), // Christmas, a weekend, Boxing Day's substitute
            ("AU", Daily, &[], &[], "2026-12-24", "2026-12-25"), // no calendar known: weekends only
            ("US", Manual, &[], &[], "2026-03-06", "2026-03-09"), // debts are collected on any working day
            ("US", Weekly, &[4], &[], "2026-03-02", "2026-03-06"), // Friday
            ("US", Weekly, &[4], &[], "2026-03-06", "2026-03-13"),
            ("US", Weekly, &[0, 3], &[], "2026-03-02", "2026-03-05"), // Monday and Thursday
            ("US", Weekly, &[0], &[], "2026-05-18", "2026-05-26"),    // Memorial Day moves it to Tuesday
            ("US", Weekly, &[6], &[], "2026-03-03", "2026-03-09"),    // a Sunday anchor pays on Monday
            ("US", Monthly, &[], &[14], "2026-03-02", "2026-03-16"),  // the 15th is a Sunday
            ("US", Monthly, &[], &[30], "2026-04-01", "2026-04-30"),  // the 31st of a short month
            ("US", Monthly, &[], &[0, 14], "2026-04-01", "2026-04-15"),
        ];
        for (country, interval, weekly, monthly, after, next) in table {
            let account = account(country, interval, weekly, monthly);
            let found = next_payout_day(&account, after.parse().unwrap());
            assert_eq!(found.to_string(), next, "{country} {interval:?} {weekly:?} {monthly:?} after {after}");
        }
    }

    #[test]
    fn a_schedule_needs_its_days_and_only_its_own() {
        let refused = |input: AccountInput, wording: Wording| {
            let mut account = account("US", PayoutInterval::Daily, &[], &[]);
            account.paying = None;
            match amend(&mut account, &input, wording) {
                Err(Halt::Refused(refusal)) => refusal.param.clone().unwrap_or_default(),
                other => panic!("{other:?}"),
            }
        };
        let input = AccountInput::default;
        let weekly = || AccountInput { payout_interval: Some(PayoutInterval::Weekly), ..input() };
        let table = [
            (weekly(), Wording::Account, "settings[payouts][schedule][weekly_anchor]"),
            (weekly(), Wording::BalanceSettings, "payments[payouts][schedule][weekly_payout_days]"),
            (
                AccountInput { monthly_days: Some(1), ..weekly() },
                Wording::Account,
                "settings[payouts][schedule][monthly_anchor]",
            ),
            (
                AccountInput { delay_days: Some(1), ..input() },
                Wording::BalanceSettings,
                "payments[settlement_timing][delay_days_override]",
            ),
        ];
        for (input, wording, param) in table {
            assert_eq!(refused(input, wording), param);
        }
    }
}
