//! Laws that hold for every sequence of requests, and for every way of running them.

use std::path::Path;

use florin::domain::command::{Command, IntentInput, MethodInput, Request, Verdict};
use florin::domain::record::{CaptureMethod, DisputeReason, Recipe, RecordKey, Share, ShareTerms, Tier};
use florin::domain::split::divide;
use florin::domain::tables::Tables;
use florin::engine::boot::{Engine, EngineOptions, Founding};
use florin::engine::digest::Digest;
use florin::engine::plain::Told;
use florin::engine::recovery::Replayed;
use florin::engine::router::Settled;
use florin::ledger::{AccountNo, SourceType};
use florin::primitives::id::ObjectKind;
use florin::primitives::{Country, Currency};
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::town::{NOON, Town, card, charge_id, intent, refund};

const USD: Currency = Currency::USD;
const EUR: Currency = Currency::EUR;

/// A wish in terms of what exists: numbers are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Wish {
    Charge { amount: i64, eur: bool, seller: Option<u8>, fee: Option<i64>, recipe: u8, manual: bool },
    Cart { amount: i64 },
    Refund { payment: u8, part: Option<i64>, reverse: bool, fee: bool },
    Capture { payment: u8, part: Option<i64> },
    Cancel { payment: u8 },
    Confirm { payment: u8 },
    Transfer { amount: i64, seller: u8, from: Option<u8> },
    Reverse { payment: u8, part: Option<i64> },
    RefundFee { payment: u8, part: Option<i64> },
    Payout { amount: i64, seller: Option<u8> },
    Decide { payment: u8, child: u8, verdict: u8 },
    Dispute { payment: u8, part: Option<i64>, inquiry: bool },
    Wait { days: u8 },
}

fn wish() -> impl Strategy<Value = Wish> {
    let part = || proptest::option::of(1..12_000_i64);
    prop_oneof![
        6 => (50..20_000_i64, any::<bool>(), proptest::option::of(any::<u8>()), proptest::option::of(1..3_000_i64), 0..8_u8, proptest::bool::weighted(0.2))
            .prop_map(|(amount, eur, seller, fee, recipe, manual)| Wish::Charge { amount, eur, seller, fee, recipe, manual }),
        2 => (200..30_000_i64).prop_map(|amount| Wish::Cart { amount }),
        4 => (any::<u8>(), part(), any::<bool>(), any::<bool>())
            .prop_map(|(payment, part, reverse, fee)| Wish::Refund { payment, part, reverse, fee }),
        2 => (any::<u8>(), part()).prop_map(|(payment, part)| Wish::Capture { payment, part }),
        1 => any::<u8>().prop_map(|payment| Wish::Cancel { payment }),
        1 => any::<u8>().prop_map(|payment| Wish::Confirm { payment }),
        2 => (1..9_000_i64, any::<u8>(), proptest::option::of(any::<u8>()))
            .prop_map(|(amount, seller, from)| Wish::Transfer { amount, seller, from }),
        2 => (any::<u8>(), part()).prop_map(|(payment, part)| Wish::Reverse { payment, part }),
        1 => (any::<u8>(), part()).prop_map(|(payment, part)| Wish::RefundFee { payment, part }),
        1 => (1..9_000_i64, proptest::option::of(any::<u8>())).prop_map(|(amount, seller)| Wish::Payout { amount, seller }),
        2 => (any::<u8>(), 1..4_u8, 0..3_u8)
            .prop_map(|(payment, child, verdict)| Wish::Decide { payment, child, verdict }),
        2 => (any::<u8>(), part(), any::<bool>())
            .prop_map(|(payment, part, inquiry)| Wish::Dispute { payment, part, inquiry }),
        1 => (0..4_u8).prop_map(|days| Wish::Wait { days }),
    ]
}

/// A town with three sellers and a rule, and the requests that wishes become in it.
struct Play {
    town: Town,
    sellers: Vec<AccountNo>,
    rule: u64,
    payments: Vec<u64>,
    /// Every request that was made after the founding, in order.
    requests: Vec<Request>,
}

impl Play {
    fn new() -> Play {
        let mut play = Play {
            town: Town::with_rates(&[(USD, EUR, "0.9137"), (EUR, USD, "1.0849")]),
            sellers: Vec::new(),
            rule: 0,
            payments: Vec::new(),
            requests: Vec::new(),
        };
        for (country, currency) in [(Country::US, USD), (Country::DE, EUR), (Country::US, USD)] {
            let seller = crate::town::seller(country, currency);
            let seq = play.ask(AccountNo::PLATFORM, Command::CreateAccount(Box::new(seller))).expect("a seller");
            play.sellers.push(AccountNo(seq));
        }
        let share = |account, terms| Share { account, terms };
        let shares = vec![
            share(play.sellers[0], ShareTerms::Percent(333_333)),
            share(
                play.sellers[1],
                ShareTerms::Tiers(vec![Tier { up_to: Some(5_000), ppm: 200_000 }, Tier { up_to: None, ppm: 150_000 }]),
            ),
            share(play.sellers[2], ShareTerms::Fixed(17)),
            share(AccountNo::PLATFORM, ShareTerms::Remainder(1)),
        ];
        let rule = Command::CreateSplitRule { name: "cart".to_owned(), shares };
        play.rule = play.ask(AccountNo::PLATFORM, rule).expect("a rule");
        play
    }

    fn ask(&mut self, acting: AccountNo, command: Command) -> Option<u64> {
        let request = Request { acting, ..Town::request(command) };
        self.requests.push(request.clone());
        match self.town.told(&request) {
            Told::Decided(done) => Some(done.seq),
            Told::Refused(_) => None,
            other => panic!("{other:?}"),
        }
    }

    fn payment(&self, number: u8) -> u64 {
        // A number that is no payment is asked for, too.
        self.payments.get(usize::from(number) % (self.payments.len() + 1)).copied().unwrap_or(2)
    }

    fn grant(&mut self, wish: &Wish) {
        let p = AccountNo::PLATFORM;
        let seller = |number: u8| self.sellers[usize::from(number) % self.sellers.len()];
        let tr = |birth| RecordKey::head(birth).id(ObjectKind::Transfer, 0);
        match wish.clone() {
            Wish::Charge { amount, eur, seller: to, fee, recipe, manual } => {
                let to = to.map(seller);
                let recipe = match recipe {
                    0 => Recipe::GenericDecline,
                    1 | 2 => Recipe::BypassPending,
                    3 => Recipe::DisputeTwice,
                    4 => Recipe::DisputeInquiry,
                    _ => Recipe::Succeed,
                };
                let command = intent(amount, if eur { EUR } else { USD }, |input| {
                    input.method = Some(MethodInput::Inline(card(recipe)));
                    input.destination = to;
                    input.application_fee = fee.filter(|_| to.is_some()).map(Some);
                    input.capture_method = manual.then_some(CaptureMethod::Manual);
                });
                if let Some(birth) = self.ask(p, command) {
                    self.payments.push(birth);
                }
            }
            Wish::Cart { amount } => {
                let rule = self.rule;
                if let Some(birth) = self.ask(p, intent(amount, USD, |input| input.split_rule = Some(rule))) {
                    self.payments.push(birth);
                }
            }
            Wish::Refund { payment, part, reverse, fee } => {
                self.ask(p, refund(self.payment(payment), part, reverse, fee));
            }
            Wish::Capture { payment, part } => {
                let intent = self.payment(payment);
                self.ask(
                    p,
                    Command::CaptureIntent { intent, amount: part, application_fee: None, transfer_amount: None },
                );
            }
            Wish::Cancel { payment } => {
                self.ask(p, Command::CancelIntent { intent: self.payment(payment), reason: None });
            }
            Wish::Confirm { payment } => {
                let input =
                    IntentInput { method: Some(MethodInput::Inline(card(Recipe::Succeed))), ..IntentInput::default() };
                self.ask(p, Command::ConfirmIntent { intent: self.payment(payment), input: Box::new(input) });
            }
            Wish::Transfer { amount, seller: to, from } => {
                let command = Command::CreateTransfer {
                    amount: Some(amount),
                    currency: USD,
                    destination: seller(to),
                    source_transaction: from.map(|from| charge_id(self.payment(from))),
                    source_type: SourceType::Card,
                };
                if let Some(birth) = self.ask(p, command) {
                    self.payments.push(birth);
                }
            }
            Wish::Reverse { payment, part } => {
                let transfer = tr(self.payment(payment));
                self.ask(
                    p,
                    Command::ReverseTransfer { transfer, amount: part, refund_application_fee: part.is_some() },
                );
            }
            Wish::RefundFee { payment, part } => {
                let fee = RecordKey::head(self.payment(payment)).id(ObjectKind::ApplicationFee, 0);
                self.ask(p, Command::RefundFee { fee, amount: part });
            }
            Wish::Payout { amount, seller: of } => {
                let acting = of.map_or(p, seller);
                let currency = if acting == self.sellers[1] { EUR } else { USD };
                let command =
                    Command::CreatePayout { amount, currency, destination: None, source_type: SourceType::Card };
                self.ask(acting, command);
            }
            Wish::Decide { payment, child, verdict } => {
                let key = RecordKey { birth: self.payment(payment), child: u32::from(child) };
                let verdict = [Verdict::Won, Verdict::Lost, Verdict::Escalated][usize::from(verdict)];
                self.ask(p, Command::DecideDispute { dispute: key.id(ObjectKind::Dispute, 0), verdict });
            }
            Wish::Dispute { payment, part, inquiry } => {
                let (charge, reason) = (charge_id(self.payment(payment)), DisputeReason::General);
                self.ask(p, Command::OpenDispute { charge, amount: part, reason, inquiry });
            }
            Wish::Wait { days } => {
                let to = self.town.now.plus_days(i32::from(days)).expect("in range");
                self.ask(p, Command::AdvanceClock { to });
                self.town.now = to;
            }
        }
    }
}

/// What is refunded, charged back and reversed never exceeds what was captured and transferred.
fn expect_flows_in_bounds(town: &Town, payments: &[u64]) {
    for &birth in payments {
        let flow = town.flow(birth);
        if let Some(charge) = &flow.charge {
            assert!(charge.amount_refunded <= charge.amount && charge.disputable() >= 0, "{charge:?}");
        }
        for transfer in &flow.transfers {
            assert!((0..=transfer.amount).contains(&transfer.amount_reversed), "{transfer:?}");
            if let Some(fee) = &transfer.fee {
                assert!((0..=fee.amount).contains(&fee.amount_refunded), "{fee:?}");
                assert!((0..=fee.charged).contains(&fee.charged_refunded), "{fee:?}");
            }
        }
    }
}

fn cases(few: u32) -> Config {
    // FLORIN_CASES raises the number for a night.
    let cases = std::env::var("FLORIN_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(few);
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn books_close_and_a_replay_equals_the_first_life(wishes in proptest::collection::vec(wish(), 1..60)) {
        let mut play = Play::new();
        for wish in &wishes {
            play.grant(wish);
        }
        play.town.expect_books_closed();
        expect_flows_in_bounds(&play.town, &play.payments);

        let mut replayed = Replayed::new(true);
        for bytes in &play.town.plain.entries {
            replayed.read(bytes).expect("an entry reads back");
        }
        prop_assert_eq!(replayed.digest(), play.town.plain.digest());
    }

    #[test]
    fn shares_add_up_to_the_last_minor_unit(
        total in 0..1_000_000_000_i64,
        percents in proptest::collection::vec(1..200_000_u32, 0..5),
        remainders in proptest::collection::vec(1..9_u32, 0..4),
    ) {
        let share = |terms| Share { account: AccountNo(1), terms };
        let shares: Vec<Share> = percents
            .iter()
            .map(|&ppm| share(ShareTerms::Percent(ppm)))
            .chain(remainders.iter().map(|&weight| share(ShareTerms::Remainder(weight))))
            .collect();
        prop_assume!(!shares.is_empty());
        let (amounts, kept) = divide(total, &shares).expect("no fixed shares, nothing to exceed");
        prop_assert_eq!(amounts.iter().sum::<i64>() + kept, total);
        prop_assert!(amounts.iter().all(|&amount| amount >= 0) && kept >= 0);
        if !remainders.is_empty() {
            prop_assert_eq!(kept, 0);
        }
        for (amount, ppm) in amounts.iter().zip(&percents) {
            let exact = i128::from(total) * i128::from(*ppm);
            prop_assert!((i128::from(*amount) * 1_000_000 - exact).abs() < 1_000_000, "within one unit of its percentage");
        }
    }
}

/// Runs requests on real routers and actors, all enqueued at once so that batches form.
fn digest_on_actors(
    data: &Path,
    requests: &[(Request, florin::primitives::Timestamp)],
    tables: &Tables,
    batch_limit: usize,
) -> Digest {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    actix::System::with_tokio_rt(runtime).block_on(async {
        let founding = Founding { country: Country::US, currency: USD, clock: Some(NOON) };
        let options = EngineOptions {
            platforms: vec![founding],
            tables: tables.clone(),
            seed: Some(7),
            batch_limit,
            ..EngineOptions::new(data)
        };
        let engine = Engine::start(options, &|_| {}).await.expect("it starts");
        let platform = &engine.platforms()[0];
        let receivers: Vec<_> =
            requests.iter().map(|(request, at)| platform.enqueue(request.clone(), Some(*at))).collect();
        for receiver in receivers {
            match receiver.await.expect("an answer") {
                Ok(Settled::Answer(_)) | Err(florin::engine::platform::SubmitError::Refused(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        let (digest, _) = platform.digest().await.expect("nothing is under way");
        engine.stop().await;
        digest
    })
}

proptest! {
    #![proptest_config(cases(6))]

    /// Many commands on one balance and one charge per batch: the batch must not change any answer.
    #[test]
    fn batches_of_any_size_equal_one_at_a_time(wishes in proptest::collection::vec(wish(), 30..120)) {
        let mut play = Play::new();
        let mut requests: Vec<(Request, florin::primitives::Timestamp)> = Vec::new();
        for request in &play.requests {
            requests.push((request.clone(), NOON));
        }
        for wish in &wishes {
            let (now, before) = (play.town.now, play.requests.len());
            play.grant(wish);
            requests.extend(play.requests[before..].iter().map(|request| (request.clone(), now)));
        }
        let reference = play.town.plain.digest();
        let tables = play.town.plain.world.state.tables.clone();
        for batch_limit in [1, 7, 1_024] {
            let folder = tempfile::tempdir().expect("a folder");
            let digest = digest_on_actors(folder.path(), &requests, &tables, batch_limit);
            prop_assert_eq!(digest, reference, "batch limit {}", batch_limit);
        }
    }
}
