//! Traffic: a scenario and a seed become actions, in order of (virtual time, platform, stream, number).
//!
//! [`Plan::setup`] gives what must exist before the first payment; [`Plan::traffic`] gives the payments, repeated
//! requests and refunds. Both are lazy, and the same for one (scenario, seed, scale), whoever asks and how often.
//!
//! - **Arrivals.** A non-homogeneous Poisson process, given its count: each of the N payments falls independently where
//!   the curve of local hours puts it. Drawn by inverting the curve's integral over quarter hours in whole numbers,
//!   which is the same law as thinning, with one draw and no rounding.
//! - **Sellers.** Zipf by cumulative integer weights; the seller of rank k is account k - 1.
//! - **Amounts.** Log-normal, clamped, rounded to the currency's multiple, with [`draws`](super::draws)' own `exp`.
//! - **Refunds.** Half within `delay_p50_s`, all within `within_s`, even on both sides of it.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::draws::{Draws, Object, Source, exp, ln};
use super::scenario::{AmountTerms, CART_SIDE_SHARE_PPM, Scenario};
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;
use crate::primitives::time::Timestamp;

/// Something that happens, and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Action {
    /// Virtual time since the scenario's start. Set-up happens at 0, before everything else.
    pub at_ms: u64,
    /// Which platform, from 0.
    pub platform: u32,
    /// What kind of flow this belongs to.
    pub stream: Stream,
    /// Number within (platform, stream). For repeated requests and refunds it is the charge's.
    pub number: u64,
    /// What happens.
    pub kind: ActionKind,
}

/// Flows of one platform, in the order in which they go at the same instant.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stream {
    /// What must exist first.
    Setup,
    /// Payments.
    Charges,
    /// Payments' requests, sent again under the same idempotency key.
    Repeats,
    /// Refunds.
    Refunds,
}

/// What happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ActionKind {
    /// A connected account is opened and becomes active.
    CreateAccount {
        /// Number of the account within its platform: rank of popularity, from 0.
        index: u32,
        /// Where it is.
        country: Country,
        /// What it settles in.
        currency: Currency,
    },
    /// A buyer registers.
    CreateCustomer {
        /// Number of the customer within its platform.
        index: u32,
        /// First and last name, invented.
        name: String,
    },
    /// The platform stores a rule that divides carts.
    CreateSplitRule {
        /// Number of the rule within its platform.
        index: u32,
        /// The shares; they add up to the charge.
        shares: Vec<RuleShare>,
    },
    /// A buyer pays.
    Charge(Charge),
    /// A buyer sends something back.
    Refund(Refund),
}

/// One party's share under a split rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RuleShare {
    /// Who takes it: the account with this number, or the platform.
    pub account: Option<u32>,
    /// How much.
    pub terms: RuleTerms,
}

/// How much a share is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RuleTerms {
    /// Millionths of the charge; a multiple of 100, so at most four decimals of a percent.
    PercentPpm(u32),
    /// Minor units.
    FixedMinor(i64),
    /// What the others leave.
    Remainder,
}

/// A payment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Charge {
    /// Number of the charge within its platform; not in order of time.
    pub index: u64,
    /// Who is paid.
    pub payee: Payee,
    /// Minor units.
    pub amount_minor: i64,
    /// Currency of the payment.
    pub currency: Currency,
    /// Number of the customer.
    pub customer: u32,
    /// The method's label.
    pub method: Arc<str>,
    /// The issuer will decline it.
    pub declined: bool,
    /// This is the request of the same charge, sent again under the same idempotency key.
    pub duplicate: bool,
    /// Its request is sent twice (said on both of them).
    pub repeated: bool,
    /// A refund will follow.
    pub refunded: bool,
}

/// Who is paid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payee {
    /// One seller, less the platform's fee (0: none).
    Seller {
        /// Number of the account.
        account: u32,
        /// The platform's fee, minor units.
        application_fee_minor: i64,
    },
    /// Several sellers, by a split rule.
    Cart {
        /// Number of the rule.
        rule: u32,
    },
}

/// A refund of a charge, with its transfers and its application fee.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refund {
    /// Number of the charge.
    pub charge: u64,
    /// Minor units; all of it when `None`.
    pub amount_minor: Option<i64>,
    /// The charge's currency.
    pub currency: Currency,
    /// Whether the charge was a cart, which has transfers but no application fee to give back.
    pub cart: bool,
}

/// How many of what one platform has, after scaling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counts {
    /// Connected accounts.
    pub accounts: u32,
    /// Customers.
    pub customers: u32,
    /// Split rules.
    pub split_rules: u32,
    /// Payments, repeated requests not counted.
    pub payments: u64,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The scale is no positive number.
    #[error("a scale of {0} makes no scenario: expected a number above 0, up to 1000 (0.01 for a hundredth)")]
    Scale(f64),
    /// More than a plan can hold.
    #[error("{payments} payments at scale {scale} are more than a plan holds (4,000,000,000): lower the scale")]
    TooMany {
        /// Payments after scaling.
        payments: f64,
        /// The scale.
        scale: f64,
    },
}

/// All that will happen, as a function of scenario, seed and scale. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    scenario: Scenario,
    seed: u64,
    scale: f64,
    counts: Counts,
    source: Source,
    arrivals: Arrivals,
    sellers: Zipf,
}

impl Plan {
    /// Plans a scenario. All counts (accounts, customers, split rules, payments) are multiplied by `scale`; none falls
    /// below what the scenario needs to make sense.
    ///
    /// # Errors
    /// The scale is not a positive number, or makes too many payments.
    pub fn new(scenario: &Scenario, seed: u64, scale: f64) -> Result<Plan, PlanError> {
        if !(scale > 0.0 && scale <= 1_000.0) {
            return Err(PlanError::Scale(scale));
        }
        let payments = (scenario.payments as f64 * scale).round().max(1.0);
        if payments > 4e9 {
            return Err(PlanError::TooMany { payments, scale });
        }
        let scaled = |count: u32, least: u32| ((f64::from(count) * scale).round() as u32).max(least.min(count));
        let in_a_cart = if scenario.split_ppm > 0 { scenario.sellers_per_cart.1 } else { 1 };
        let counts = Counts {
            accounts: scaled(scenario.accounts, in_a_cart),
            customers: scaled(scenario.customers, 1),
            split_rules: scaled(scenario.split_rules, 1),
            payments: payments as u64,
        };
        Ok(Plan {
            inner: Arc::new(Inner {
                scenario: scenario.clone(),
                seed,
                scale,
                counts,
                source: Source::new(seed, &scenario.id),
                arrivals: Arrivals::new(scenario.start, scenario.duration_ms, &scenario.tz, &scenario.curve),
                sellers: Zipf::new(counts.accounts, scenario.zipf),
            }),
        })
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.inner.scenario
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// The scale.
    pub fn scale(&self) -> f64 {
        self.inner.scale
    }

    /// What each platform has.
    pub fn counts(&self) -> Counts {
        self.inner.counts
    }

    /// Everything that must exist before the first payment, platform by platform: accounts, then split rules, then
    /// customers.
    pub fn setup(&self) -> impl Iterator<Item = Action> + use<> {
        let plan = self.clone();
        (0..self.inner.scenario.platforms).flat_map(move |platform| plan.setup_of(platform))
    }

    /// What one platform must have before its first payment.
    pub fn setup_of(&self, platform: u32) -> impl Iterator<Item = Action> + use<> {
        let inner = Arc::clone(&self.inner);
        let counts = inner.counts;
        let accounts = u64::from(counts.accounts);
        let rules = accounts + u64::from(counts.split_rules);
        (0..rules + u64::from(counts.customers)).map(move |number| {
            let kind = if number < accounts {
                let (country, currency) = (inner.scenario.country, inner.scenario.currency);
                ActionKind::CreateAccount { index: number as u32, country, currency }
            } else if number < rules {
                inner.split_rule(platform, (number - accounts) as u32)
            } else {
                inner.customer(platform, (number - rules) as u32)
            };
            Action { at_ms: 0, platform, stream: Stream::Setup, number, kind }
        })
    }

    /// Payments, repeated requests and refunds of all platforms, in order.
    pub fn traffic(&self) -> Traffic {
        let platforms = (0..self.inner.scenario.platforms).map(|platform| self.traffic_of(platform));
        Traffic { platforms: platforms.map(Iterator::peekable).collect() }
    }

    /// Payments, repeated requests and refunds of one platform, in order.
    pub fn traffic_of(&self, platform: u32) -> PlatformTraffic {
        let inner = Arc::clone(&self.inner);
        let mut arrivals: Vec<(u64, u32)> = (0..inner.counts.payments as u32)
            .map(|index| (inner.arrivals.draw(&mut inner.charge_stream(platform, u64::from(index), "arrival")), index))
            .collect();
        arrivals.sort_unstable();
        PlatformTraffic { inner, platform, arrivals, next: 0, later: BinaryHeap::new() }
    }

    /// BLAKE3 over every action in order: two plans with one digest do the same things.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for action in self.setup().chain(self.traffic()) {
            hasher.update(action.line().as_bytes());
        }
        hasher.finalize()
    }
}

impl Action {
    /// The action in one line of text, the same in every version: what [`Plan::digest`] is made of.
    pub fn line(&self) -> String {
        let what = match &self.kind {
            ActionKind::CreateAccount { index, country, currency } => format!("account {index} {country} {currency}"),
            ActionKind::CreateCustomer { index, name } => format!("customer {index} {name}"),
            ActionKind::CreateSplitRule { index, shares } => {
                let mut line = format!("split_rule {index}");
                for share in shares {
                    line += &share.account.map_or(" platform".to_owned(), |account| format!(" {account}"));
                    line += &match share.terms {
                        RuleTerms::PercentPpm(ppm) => format!(":{ppm}ppm"),
                        RuleTerms::FixedMinor(minor) => format!(":{minor}"),
                        RuleTerms::Remainder => ":rest".to_owned(),
                    };
                }
                line
            }
            ActionKind::Charge(charge) => {
                let payee = match charge.payee {
                    Payee::Seller { account, application_fee_minor } => {
                        format!("seller {account} fee {application_fee_minor}")
                    }
                    Payee::Cart { rule } => format!("rule {rule}"),
                };
                let flags = [
                    (charge.declined, " declined"),
                    (charge.repeated, " repeated"),
                    (charge.duplicate, " again"),
                    (charge.refunded, " refunded"),
                ];
                let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
                let Charge { amount_minor, currency, customer, method, .. } = charge;
                format!("charge {amount_minor} {currency} {payee} customer {customer} {method}{flags}")
            }
            ActionKind::Refund(Refund { amount_minor, currency, cart, .. }) => {
                let part = amount_minor.map_or("all".to_owned(), |minor| minor.to_string());
                format!("refund {part} {currency}{}", if *cart { " cart" } else { "" })
            }
        };
        let Action { at_ms, platform, number, .. } = self;
        format!("{at_ms} {platform} {number} {what}\n")
    }
}

/// The traffic of all platforms.
#[derive(Debug)]
pub struct Traffic {
    platforms: Vec<std::iter::Peekable<PlatformTraffic>>,
}

impl Iterator for Traffic {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        // Few platforms, so a look at each is quicker than a heap; the first of equals is the lower platform.
        let mut first: Option<(u64, usize)> = None;
        for (place, platform) in self.platforms.iter_mut().enumerate() {
            if let Some(action) = platform.peek()
                && first.is_none_or(|(at_ms, _)| action.at_ms < at_ms)
            {
                first = Some((action.at_ms, place));
            }
        }
        self.platforms[first?.1].next()
    }
}

/// The traffic of one platform.
#[derive(Debug)]
pub struct PlatformTraffic {
    inner: Arc<Inner>,
    platform: u32,
    /// (time, index), sorted.
    arrivals: Vec<(u64, u32)>,
    next: usize,
    /// What charges that have gone out leave for later.
    later: BinaryHeap<Reverse<Later>>,
}

#[derive(Debug, Eq, PartialEq)]
struct Later(Action);

impl Later {
    fn key(&self) -> (u64, Stream, u64) {
        (self.0.at_ms, self.0.stream, self.0.number)
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Later) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Later) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Iterator for PlatformTraffic {
    type Item = Action;

    fn next(&mut self) -> Option<Action> {
        let arrival = self.arrivals.get(self.next).copied();
        let waiting = self.later.peek().map(|Reverse(later)| later.0.at_ms);
        match (arrival, waiting) {
            // At one instant charges go before what follows from charges.
            (Some((at_ms, index)), waiting) if waiting.is_none_or(|first| at_ms <= first) => {
                self.next += 1;
                Some(self.charge(at_ms, u64::from(index)))
            }
            _ => self.later.pop().map(|Reverse(later)| later.0),
        }
    }
}

impl PlatformTraffic {
    /// The charge, with its repeated request and its refund put aside.
    fn charge(&mut self, at_ms: u64, index: u64) -> Action {
        let platform = self.platform;
        let action = |at_ms, stream, kind| Action { at_ms, platform, stream, number: index, kind };
        let charge = self.inner.charge(platform, index);
        if charge.repeated {
            let wait_ms = 100 + self.inner.charge_stream(platform, index, "repeat_after").below(30_000);
            let again = ActionKind::Charge(Charge { duplicate: true, ..charge.clone() });
            self.later.push(Reverse(Later(action(at_ms + wait_ms, Stream::Repeats, again))));
        }
        if charge.refunded {
            let (wait_ms, refund) = self.inner.refund(platform, &charge);
            self.later.push(Reverse(Later(action(at_ms + wait_ms, Stream::Refunds, ActionKind::Refund(refund)))));
        }
        action(at_ms, Stream::Charges, ActionKind::Charge(charge))
    }
}

impl Inner {
    fn charge_stream(&self, platform: u32, index: u64, purpose: &str) -> Draws {
        self.source.stream(Object { kind: "charge", platform, number: index }, purpose)
    }

    fn charge(&self, platform: u32, index: u64) -> Charge {
        let scenario = &self.scenario;
        let stream = |purpose| self.charge_stream(platform, index, purpose);
        let chance = |ppm: u32, purpose| ppm > 0 && stream(purpose).happens(ppm);

        let mut left = stream("method").below(1_000_000) as u32;
        let line = scenario.mix.iter().find(|line| {
            let hit = left < line.share_ppm;
            left = left.saturating_sub(line.share_ppm);
            hit
        });
        let line = line.unwrap_or(&scenario.mix[0]); // the shares add up to a million, so there always is one
        let amount_minor = self.amount(line.currency, &mut stream("amount"));
        let payee = if chance(scenario.split_ppm, "cart") {
            Payee::Cart { rule: stream("rule").below(u64::from(self.counts.split_rules)) as u32 }
        } else {
            Payee::Seller {
                account: self.sellers.draw(&mut stream("seller")),
                application_fee_minor: scenario.application_fee.of(amount_minor, line.currency),
            }
        };
        let declined = chance(scenario.decline_ppm, "decline");
        Charge {
            index,
            payee,
            amount_minor,
            currency: line.currency,
            customer: stream("customer").below(u64::from(self.counts.customers)) as u32,
            method: Arc::clone(&line.method),
            declined,
            duplicate: false,
            repeated: chance(scenario.duplicate_ppm, "repeat"),
            refunded: !declined && chance(scenario.refund.share_ppm, "refund"),
        }
    }

    fn amount(&self, currency: Currency, draws: &mut Draws) -> i64 {
        let Some(&AmountTerms { mu, sigma, min_minor, max_minor }) = self.scenario.amounts.get(&currency) else {
            return currency.charge_multiple(); // a scenario has amounts for all currencies of its mix
        };
        let drawn = exp(mu + sigma * draws.normal()).clamp(min_minor as f64, max_minor as f64).round() as i64;
        let multiple = currency.charge_multiple();
        // Smallest and largest are multiples themselves, so rounding cannot leave the range.
        (drawn + multiple / 2) / multiple * multiple
    }

    /// How long after its charge a refund comes, and the refund.
    fn refund(&self, platform: u32, charge: &Charge) -> (u64, Refund) {
        let terms = &self.scenario.refund;
        let mut delay = self.charge_stream(platform, charge.index, "refund_delay");
        let wait_ms = match delay.below(2) {
            0 => delay.below(terms.delay_p50_ms.max(1)),
            _ => terms.delay_p50_ms + delay.below((terms.within_ms - terms.delay_p50_ms).max(1)),
        };
        let multiple = charge.currency.charge_multiple();
        let mut part = self.charge_stream(platform, charge.index, "refund_part");
        let partial = part.happens(terms.partial_ppm) && charge.amount_minor > multiple;
        let amount_minor = partial.then(|| {
            let units = (charge.amount_minor / multiple - 1) as u64;
            (1 + part.below(units) as i64) * multiple
        });
        let cart = matches!(charge.payee, Payee::Cart { .. });
        (wait_ms, Refund { charge: charge.index, amount_minor, currency: charge.currency, cart })
    }

    /// A cart's sellers, chosen by popularity without repetition: the first is the main one and takes what is left.
    fn split_rule(&self, platform: u32, index: u32) -> ActionKind {
        let object = Object { kind: "split_rule", platform, number: u64::from(index) };
        let (least, most) = self.scenario.sellers_per_cart;
        let size = least + self.source.stream(object, "size").below(u64::from(most - least + 1)) as u32;
        let mut draws = self.source.stream(object, "sellers");
        let mut sellers: Vec<u32> = Vec::new();
        while sellers.len() < size as usize {
            let seller = self.sellers.draw(&mut draws);
            // A steep curve would draw the same few for ever, so a seller who is in already passes on to the next.
            let free = (seller..self.counts.accounts).chain(0..seller).find(|one| !sellers.contains(one));
            match free {
                Some(one) => sellers.push(one),
                None => break,
            }
        }
        let fee = self.scenario.application_fee;
        let mut shares = Vec::new();
        if fee.bps > 0 {
            shares.push(RuleShare { account: None, terms: RuleTerms::PercentPpm(fee.bps * 100) });
        }
        if fee.fixed_minor > 0 {
            shares.push(RuleShare { account: None, terms: RuleTerms::FixedMinor(fee.fixed_minor) });
        }
        let mut parts = self.source.stream(object, "parts");
        let sides = sellers.len().saturating_sub(1).max(1) as u32;
        for &seller in sellers.iter().skip(1) {
            // In hundredths of a percent: between a tenth and all of an even part of what the smaller sellers share.
            let most = u64::from(CART_SIDE_SHARE_PPM / sides / 100);
            let ppm = (most / 10 + parts.below(most - most / 10 + 1)) as u32 * 100;
            shares.push(RuleShare { account: Some(seller), terms: RuleTerms::PercentPpm(ppm) });
        }
        shares.extend(sellers.first().map(|&main| RuleShare { account: Some(main), terms: RuleTerms::Remainder }));
        ActionKind::CreateSplitRule { index, shares }
    }

    fn customer(&self, platform: u32, index: u32) -> ActionKind {
        const FIRST: [&str; 16] = [
            "Anna", "Bram", "Chloe", "Daan", "Emma", "Finn", "Guus", "Hanna", "Isa", "Jan", "Kees", "Lotte", "Milan",
            "Noor", "Olivia", "Pieter",
        ];
        const LAST: [&str; 16] = [
            "Bakker",
            "Bos",
            "Dekker",
            "Dijkstra",
            "Hendriks",
            "Jansen",
            "de Jong",
            "Kok",
            "Meijer",
            "Mulder",
            "Peters",
            "Smit",
            "Visser",
            "de Vries",
            "van den Berg",
            "Willems",
        ];
        let object = Object { kind: "customer", platform, number: u64::from(index) };
        let mut draws = self.source.stream(object, "name");
        let (first, last) = (draws.below(16) as usize, draws.below(16) as usize);
        ActionKind::CreateCustomer { index, name: format!("{} {}", FIRST[first], LAST[last]) }
    }
}

/// Ranks by popularity: P(rank k) ∝ k^-s, from cumulative whole-number weights.
#[derive(Debug)]
struct Zipf {
    /// Sum of the weights of ranks 1..=k at place k - 1.
    cumulative: Vec<u64>,
}

impl Zipf {
    fn new(ranks: u32, exponent: f64) -> Zipf {
        let mut sum = 0_u64;
        let cumulative = (1..=ranks)
            .map(|rank| {
                // At most 2^36 each and 10^7 ranks: below 2^60. At least 1, so that nobody is out of the game.
                let weight = exp(-exponent * ln(f64::from(rank))) * (1_u64 << 36) as f64;
                sum += (weight.round() as u64).max(1);
                sum
            })
            .collect();
        Zipf { cumulative }
    }

    /// A rank, from 0.
    fn draw(&self, draws: &mut Draws) -> u32 {
        let total = self.cumulative.last().copied().unwrap_or(1);
        let point = draws.below(total);
        self.cumulative.partition_point(|&sum| sum <= point) as u32
    }
}

/// When payments arrive: the curve of local hours over the scenario's time, integrated.
#[derive(Debug)]
struct Arrivals {
    /// Per slot of at most a quarter of an hour: its start, its rate, and the integral up to its end.
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    start_ms: u64,
    rate: u64,
    integral_after: u64,
}

impl Arrivals {
    fn new(start: Timestamp, duration_ms: u64, tz: &TimeZone, curve: &[u32; 24]) -> Arrivals {
        // Every zone's offset is a multiple of a quarter of an hour, so the local hour is constant within one.
        const QUARTER_MS: i64 = 15 * 60 * 1_000;
        let mut slots = Vec::new();
        let (mut at_ms, mut integral) = (0_u64, 0_u64);
        while at_ms < duration_ms {
            let instant_ms = start.millis() + at_ms as i64;
            let length_ms = (QUARTER_MS - instant_ms.rem_euclid(QUARTER_MS)) as u64;
            let length_ms = length_ms.min(duration_ms - at_ms);
            let hour =
                jiff::Timestamp::from_millisecond(instant_ms).map_or(0, |instant| tz.to_datetime(instant).hour());
            let rate = u64::from(curve[hour.unsigned_abs() as usize % 24]);
            integral += rate * length_ms;
            slots.push(Slot { start_ms: at_ms, rate, integral_after: integral });
            at_ms += length_ms;
        }
        if integral == 0 {
            // The curve is silent during the whole scenario: spread evenly rather than nowhere.
            slots = vec![Slot { start_ms: 0, rate: 1, integral_after: duration_ms }];
        }
        Arrivals { slots }
    }

    fn draw(&self, draws: &mut Draws) -> u64 {
        let total = self.slots.last().map_or(1, |slot| slot.integral_after);
        let point = draws.below(total);
        let place = self.slots.partition_point(|slot| slot.integral_after <= point);
        let before = place.checked_sub(1).map_or(0, |previous| self.slots[previous].integral_after);
        let slot = &self.slots[place];
        slot.start_ms + (point - before) / slot.rate.max(1)
    }
}

/// What a plan holds, counted: for reports and tests.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Payments, repeated requests not counted.
    pub charges: u64,
    /// Payments that will be declined.
    pub declined: u64,
    /// Carts among them.
    pub carts: u64,
    /// Requests sent again.
    pub repeats: u64,
    /// Refunds.
    pub refunds: u64,
    /// Refunds of a part.
    pub partial_refunds: u64,
    /// Payments by method.
    pub by_method: BTreeMap<Arc<str>, u64>,
    /// Payments by seller; carts not counted.
    pub by_seller: BTreeMap<u32, u64>,
}

impl Tally {
    /// Counts actions.
    pub fn of(actions: impl IntoIterator<Item = Action>) -> Tally {
        let mut tally = Tally::default();
        for action in actions {
            match action.kind {
                ActionKind::Charge(charge) if charge.duplicate => tally.repeats += 1,
                ActionKind::Charge(charge) => {
                    tally.charges += 1;
                    tally.declined += u64::from(charge.declined);
                    *tally.by_method.entry(charge.method).or_default() += 1;
                    match charge.payee {
                        Payee::Seller { account, .. } => *tally.by_seller.entry(account).or_default() += 1,
                        Payee::Cart { .. } => tally.carts += 1,
                    }
                }
                ActionKind::Refund(refund) => {
                    tally.refunds += 1;
                    tally.partial_refunds += u64::from(refund.amount_minor.is_some());
                }
                ActionKind::CreateAccount { .. }
                | ActionKind::CreateCustomer { .. }
                | ActionKind::CreateSplitRule { .. } => {}
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str) -> Scenario {
        Scenario::read(std::path::Path::new(&format!("{}/simulations/{name}.toml", env!("CARGO_MANIFEST_DIR"))))
            .unwrap()
    }

    fn smoke(seed: u64) -> Plan {
        Plan::new(&scenario("smoke"), seed, 1.0).unwrap()
    }

    /// Asserts that a count lies within four standard deviations of a binomial's mean.
    fn in_band(count: u64, of: u64, share: f64, what: &str) {
        let (n, count) = (of as f64, count as f64);
        let band = 4.0 * (n * share * (1.0 - share)).sqrt();
        assert!((count - n * share).abs() <= band, "{what}: {count} of {n}, expected {} ± {band}", n * share);
    }

    #[test]
    fn one_seed_makes_one_plan() {
        // A golden digest: another value means that old runs can no longer be repeated.
        assert_eq!(smoke(1).digest().to_hex().as_str(), GOLDEN);
        assert_eq!(smoke(1).digest(), smoke(1).digest());
        assert_ne!(smoke(1).digest(), smoke(2).digest());
    }
    const GOLDEN: &str = "26d5493ce1071b276a500e3845439d4f009b3cc083502d9d810e7d731b96b48c";

    #[test]
    fn actions_come_in_order_of_time_platform_stream_and_number() {
        let mut scenario = scenario("smoke");
        scenario.platforms = 3;
        let plan = Plan::new(&scenario, 5, 1.0).unwrap();
        let merged: Vec<Action> = plan.traffic().collect();
        assert!(merged.is_sorted_by_key(|action| (action.at_ms, action.platform, action.stream, action.number)));
        for platform in 0..3 {
            let of_one: Vec<Action> = merged.iter().filter(|action| action.platform == platform).cloned().collect();
            assert_eq!(of_one, plan.traffic_of(platform).collect::<Vec<_>>());
            let tally = Tally::of(of_one);
            assert_eq!(tally.charges, 300);
        }
        let setup: Vec<Action> = plan.setup().collect();
        assert_eq!(setup.len(), 3 * (20 + 5 + 40));
        assert!(setup.is_sorted_by_key(|action| (action.platform, action.number)));
    }

    #[test]
    fn platforms_live_their_own_days() {
        let mut scenario = scenario("smoke");
        scenario.platforms = 2;
        let plan = Plan::new(&scenario, 5, 1.0).unwrap();
        let amounts = |platform| -> Vec<i64> {
            let charges = plan.traffic_of(platform).filter_map(|action| match action.kind {
                ActionKind::Charge(charge) => Some(charge.amount_minor),
                _ => None,
            });
            charges.collect()
        };
        assert_ne!(amounts(0), amounts(1));
    }

    #[test]
    fn a_draw_more_for_one_purpose_shifts_no_other() {
        // Declines and repeats are off in one scenario and on in the other: what both have in common stays the same.
        let busy = scenario("smoke");
        let mut plain = busy.clone();
        (plain.decline_ppm, plain.duplicate_ppm, plain.refund.share_ppm) = (0, 0, 0);
        let common = |scenario: &Scenario| -> Vec<(u64, Charge)> {
            let charges = Plan::new(scenario, 9, 1.0).unwrap().traffic().filter_map(|action| match action.kind {
                ActionKind::Charge(charge) if !charge.duplicate => {
                    Some((action.at_ms, Charge { declined: false, repeated: false, refunded: false, ..charge }))
                }
                _ => None,
            });
            charges.collect()
        };
        assert_eq!(common(&busy), common(&plain));
        assert_eq!(common(&busy).len(), 300);
    }

    #[test]
    fn a_larger_scale_adds_payments_and_moves_none_but_by_the_sellers_there_are() {
        let mut one_seller = scenario("smoke");
        (one_seller.split_ppm, one_seller.customers, one_seller.accounts) = (0, 1, 1);
        let charges = |scale: f64| -> BTreeMap<u64, (u64, i64)> {
            let plan = Plan::new(&one_seller, 3, scale).unwrap();
            let charges = plan.traffic().filter_map(|action| match action.kind {
                ActionKind::Charge(charge) if !charge.duplicate => {
                    Some((charge.index, (action.at_ms, charge.amount_minor)))
                }
                _ => None,
            });
            charges.collect()
        };
        let (small, large) = (charges(0.1), charges(1.0));
        assert_eq!((small.len(), large.len()), (30, 300));
        assert!(small.iter().all(|(index, charge)| large.get(index) == Some(charge)));
    }

    #[test]
    fn every_action_refers_to_what_the_set_up_made() {
        let plan = smoke(4);
        let counts = plan.counts();
        let mut charges = BTreeMap::new();
        for action in plan.traffic() {
            match action.kind {
                ActionKind::Charge(charge) => {
                    assert!(charge.customer < counts.customers);
                    match charge.payee {
                        Payee::Seller { account, application_fee_minor } => {
                            assert!(account < counts.accounts);
                            assert!((0..charge.amount_minor).contains(&application_fee_minor));
                        }
                        Payee::Cart { rule } => assert!(rule < counts.split_rules),
                    }
                    let first = charges.insert(charge.index, charge.clone());
                    assert_eq!(first.is_some(), charge.duplicate);
                    assert!(first.is_none_or(|first| charge == Charge { duplicate: true, ..first }));
                }
                ActionKind::Refund(refund) => {
                    let charge = &charges[&refund.charge];
                    assert!(charge.refunded && !charge.declined);
                    assert!(refund.amount_minor.is_none_or(|part| (1..charge.amount_minor).contains(&part)));
                }
                _ => panic!("set-up in the traffic"),
            }
        }
        for action in plan.setup() {
            if let ActionKind::CreateSplitRule { shares, .. } = action.kind {
                let sellers: Vec<u32> = shares.iter().filter_map(|share| share.account).collect();
                assert!((2..=4).contains(&sellers.len()), "{sellers:?}");
                assert!(sellers.iter().all(|seller| *seller < counts.accounts));
                assert_eq!(sellers.iter().collect::<std::collections::BTreeSet<_>>().len(), sellers.len());
                let given: u32 = shares
                    .iter()
                    .map(|share| match share.terms {
                        RuleTerms::PercentPpm(ppm) => ppm,
                        RuleTerms::FixedMinor(_) | RuleTerms::Remainder => 0,
                    })
                    .sum();
                assert!((80_000..=80_000 + CART_SIDE_SHARE_PPM).contains(&given), "{given}");
                assert_eq!(shares.last().map(|share| share.terms), Some(RuleTerms::Remainder));
            }
        }
    }

    #[test]
    fn the_dutch_day_keeps_its_proportions() {
        let scenario = scenario("dutch_marketplace_day");
        let plan = Plan::new(&scenario, 1, 0.05).unwrap();
        assert_eq!(plan.counts(), Counts { accounts: 100, customers: 500, split_rules: 20, payments: 6_000 });
        let actions: Vec<Action> = plan.traffic().collect();
        let tally = Tally::of(actions.iter().cloned());
        assert_eq!((tally.charges, tally.declined), (6_000, 0));
        in_band(tally.by_method["ideal"], 6_000, 0.752_688, "iDEAL");
        in_band(tally.by_method["card"], 6_000, 0.150_538, "cards");
        in_band(tally.by_method["bancontact"], 6_000, 0.096_774, "Bancontact");
        in_band(tally.carts, 6_000, 0.2, "carts");
        in_band(tally.refunds, 6_000, 0.06, "refunds");
        in_band(tally.partial_refunds, tally.refunds, 0.35, "partial refunds");
        in_band(tally.repeats, 6_000, 0.01, "repeats");

        let hour_of = |hour: u64| {
            let charges = actions.iter().filter(|action| action.stream == Stream::Charges);
            charges.filter(|action| action.at_ms / 3_600_000 == hour).count() as u64
        };
        in_band(hour_of(20), 6_000, 1.978 / 24.0, "the hour of 20:00");
        in_band(hour_of(3), 6_000, 0.082 / 24.0, "the hour of 3:00");
        let late = actions.iter().filter(|a| a.stream == Stream::Refunds && a.at_ms > 7 * 86_400_000).count() as u64;
        assert!(late > 0 && late < tally.refunds, "{late} of {} refunds in the second week", tally.refunds);
        assert!(actions.iter().all(|action| action.at_ms < 15 * 86_400_000));
    }

    #[test]
    fn amounts_have_the_median_and_the_mean_of_the_scenario() {
        let plan = Plan::new(&scenario("dutch_marketplace_day"), 1, 0.1).unwrap();
        let mut amounts: Vec<i64> = plan
            .traffic()
            .filter_map(|action| match action.kind {
                ActionKind::Charge(charge) if !charge.duplicate => Some(charge.amount_minor),
                _ => None,
            })
            .collect();
        amounts.sort_unstable();
        let median = amounts[amounts.len() / 2];
        let mean = amounts.iter().sum::<i64>() as f64 / amounts.len() as f64;
        assert!((4_000..=4_400).contains(&median), "{median}");
        assert!((7_400.0..=8_500.0).contains(&mean), "{mean}");
        assert!(amounts[0] >= 50 && amounts[amounts.len() - 1] <= 1_000_000);
    }

    #[test]
    fn the_first_seller_gets_the_share_that_zipf_gives_it() {
        // scenarios of 2,000 sellers at 1.05: 14.5 % for the first, 40.6 % for the first ten, 68.1 % for a hundred.
        let sellers = Zipf::new(2_000, 1.05);
        let total = sellers.cumulative[1_999] as f64;
        for (ranks, share) in [(1, 0.145), (10, 0.406), (100, 0.681)] {
            assert!((sellers.cumulative[ranks - 1] as f64 / total - share).abs() < 0.0006, "first {ranks}");
        }
        let plan = Plan::new(&scenario("dutch_marketplace_day"), 1, 0.05).unwrap();
        let tally = Tally::of(plan.traffic());
        let top = plan.inner.sellers.cumulative[0] as f64 / plan.inner.sellers.cumulative[99] as f64;
        in_band(tally.by_seller[&0], tally.charges - tally.carts, top, "the first seller");
    }

    #[test]
    fn yen_have_no_cents_and_dinars_end_in_zero() {
        let text = include_str!("../../simulations/smoke.toml")
            .replace("currency = \"EUR\", share = 0.4", "currency = \"KWD\", share = 0.4")
            .replace("amount = { EUR", "amount = { KWD = { mu = 8.0, sigma = 1.0, min = 500, max = 1000000 }, EUR");
        let plan = Plan::new(&Scenario::parse(&text, "kwd.toml").unwrap(), 1, 1.0).unwrap();
        let mut seen = 0;
        for action in plan.traffic() {
            let (amount, currency) = match action.kind {
                ActionKind::Charge(charge) => {
                    if let Payee::Seller { application_fee_minor, .. } = charge.payee {
                        assert_eq!(application_fee_minor % charge.currency.charge_multiple(), 0);
                    }
                    (charge.amount_minor, charge.currency)
                }
                ActionKind::Refund(refund) => (refund.amount_minor.unwrap_or(0), refund.currency),
                _ => continue,
            };
            assert_eq!(amount % currency.charge_multiple(), 0, "{amount} {currency}");
            seen += u64::from(currency.charge_multiple() == 10);
        }
        assert!(seen > 50);
    }

    #[test]
    fn payments_follow_the_clocks_of_the_zone_when_they_change() {
        // 25 October 2026 has 25 hours in Amsterdam: the silent hour from 2:00 to 3:00 comes twice.
        let mut curve = [1_000; 24];
        curve[2] = 0;
        let tz = TimeZone::get("Europe/Amsterdam").unwrap();
        let midnight = Timestamp::from_seconds(1_792_879_200);
        let arrivals = Arrivals::new(midnight, 90_000_000, &tz, &curve);
        let source = Source::new(1, "clocks");
        for number in 0..2_000 {
            let at_ms = arrivals.draw(&mut source.stream(Object { kind: "charge", platform: 0, number }, "arrival"));
            assert!(!(7_200_000..14_400_000).contains(&at_ms), "{at_ms}");
            assert!(at_ms < 90_000_000);
        }
    }

    #[test]
    fn a_scale_must_be_a_number_above_zero() {
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, 1_001.0] {
            assert!(matches!(Plan::new(&scenario("smoke"), 1, scale), Err(PlanError::Scale(_))), "{scale}");
        }
        let tiny = Plan::new(&scenario("smoke"), 1, 0.001).unwrap().counts();
        assert_eq!(tiny, Counts { accounts: 4, customers: 1, split_rules: 1, payments: 1 });
    }
}
