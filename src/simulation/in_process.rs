//! The driver behind `florin simulate`: a plan against real routers, actors, journal and store, in this process.
//!
//! Every platform's actions reach its router in the plan's order; each carries its virtual time, and the platform's
//! clock follows it. Requests overlap (a window of them is under way), so batches form as they do under HTTP; the
//! digest at the end does not depend on how.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::report::{AccountBalance, BalanceLine, PlatformDigest, RunKind, RunReport, TrialBalanceFigures};
use super::statistics::Recorder;
use super::traffic::{Action, ActionKind, Charge, Payee, Plan, Refund, RuleTerms};
use crate::domain::command::{AccountInput, Command, IdempotencyKey, IntentInput, MethodInput, Request, TextPatch};
use crate::domain::decide::Reply;
use crate::domain::facts::active_individual;
use crate::domain::record::{
    AccountKind, BankOutcome, BankStatus, Brand, BusinessType, Card, Check, ExternalAccount, Funding, Made,
    PayoutInterval, Recipe, RecordKey, Share, ShareTerms, Slot,
};
use crate::domain::tables::Tables;
use crate::engine::boot::{Engine, EngineOptions, Founding, StartError};
use crate::engine::platform::{Platform, SubmitError};
use crate::engine::router::Settled;
use crate::ledger::AccountNo;
use crate::primitives::id::ObjectKind;
use crate::primitives::time::Timestamp;
use crate::primitives::{Country, Currency};

/// Requests of one platform that are under way at once.
const WINDOW: usize = 512;

/// How a plan is run.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// Data folder; must be empty or not there.
    pub data: PathBuf,
    /// Threads with routers.
    pub cells: usize,
    /// Stop the engine and start it again after this share of the actions.
    pub restart_at: Option<f64>,
    /// Most entries of one batch.
    pub batch_limit: usize,
    /// Prices and rates.
    pub tables: Tables,
    /// Balances of this many sellers of each platform go into the report.
    pub top_accounts: usize,
}

/// How many of what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    charges: u64,
    succeeded: u64,
    declined: u64,
    replays: u64,
    refunds: u64,
    refused: u64,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The engine does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The folder has something in it.
    #[error("{0} is not empty: a simulation begins with a new data folder")]
    NotEmpty(PathBuf),
    /// Something that must exist first could not be made.
    #[error("set-up: {0}")]
    Setup(String),
    /// The engine stopped.
    #[error("the engine stopped in the middle of the run")]
    Stopped,
}

/// Runs a plan. Must be called inside an actix system.
///
/// # Errors
/// [`SimulateError`].
pub async fn run(plan: &Plan, options: &SimulateOptions, progress: &dyn Fn(u64)) -> Result<RunReport, SimulateError> {
    if std::fs::read_dir(&options.data).is_ok_and(|mut files| files.next().is_some()) {
        return Err(SimulateError::NotEmpty(options.data.clone()));
    }
    let scenario = plan.scenario();
    let founding = Founding { country: scenario.country, currency: scenario.currency, clock: Some(scenario.start) };
    let engine_options = EngineOptions {
        platforms: vec![founding; scenario.platforms as usize],
        cells: options.cells,
        seed: Some(plan.seed()),
        batch_limit: options.batch_limit,
        tables: options.tables.clone(),
        ..EngineOptions::new(&options.data)
    };
    let mut engine = Engine::start(engine_options.clone(), &|_| {}).await?;
    let recorder = Rc::new(RefCell::new(Recorder::new()));
    let mut drivers: Vec<Driver> =
        (0..scenario.platforms).map(|number| Driver::new(plan, number, Rc::clone(&recorder))).collect();
    for result in futures_util::future::join_all(
        drivers.iter_mut().zip(engine.platforms()).map(|(driver, platform)| driver.set_up(platform, plan)),
    )
    .await
    {
        result?;
    }
    let started = Instant::now();
    if let Some(share) = options.restart_at {
        drive(&mut drivers, &engine, share, started, progress).await?;
        engine.stop().await;
        engine = Engine::start(engine_options, &|_| {}).await?;
    }
    drive(&mut drivers, &engine, 1.0, started, progress).await?;
    let seconds = started.elapsed().as_secs_f64();

    let mut report = RunReport::of(RunKind::Simulate, plan);
    report.wall_s = seconds;
    let mut books: Vec<(String, Currency, i128)> = Vec::new();
    for (driver, platform) in drivers.into_iter().zip(engine.platforms()) {
        driver.close(platform, options.top_accounts, &mut report, &mut books).await;
    }
    report.trial_balance = Some(TrialBalanceFigures::of(books));
    let recorder = recorder.take();
    (report.latency, report.service) = (Some(recorder.latency()), Some(recorder.service()));
    report.series = recorder.into_series();
    #[allow(clippy::cast_precision_loss)] // a speed, for people
    let throughput = report.counts.attempted as f64 / seconds.max(1e-9);
    report.throughput = throughput;
    engine.stop().await;
    Ok(report)
}

async fn drive(
    drivers: &mut [Driver],
    engine: &Engine,
    share: f64,
    started: Instant,
    progress: &dyn Fn(u64),
) -> Result<(), SimulateError> {
    let runs = drivers
        .iter_mut()
        .zip(engine.platforms())
        .map(|(driver, platform)| driver.run(platform, share, started, progress));
    futures_util::future::join_all(runs).await.into_iter().collect()
}

type Receiver = oneshot::Receiver<Result<Settled, SubmitError>>;

/// A request that is under way.
struct Pending {
    what: What,
    receiver: Receiver,
    since: Instant,
}

enum What {
    Charge(Charge),
    Repeat,
    Refund(Refund),
}

/// One platform's share of a plan.
struct Driver {
    number: u32,
    start: Timestamp,
    actions: Vec<Action>,
    next: usize,
    accounts: Vec<u64>,
    customers: Vec<u64>,
    rules: Vec<u64>,
    /// Births of the charges that succeeded and will be refunded or repeated, and their amounts.
    charges: BTreeMap<u64, (u64, i64)>,
    pending: VecDeque<Pending>,
    counts: Counts,
    money: RunReport,
    recorder: Rc<RefCell<Recorder>>,
}

impl Driver {
    fn new(plan: &Plan, number: u32, recorder: Rc<RefCell<Recorder>>) -> Driver {
        Driver {
            number,
            start: plan.scenario().start,
            actions: plan.traffic_of(number).collect(),
            next: 0,
            accounts: Vec::new(),
            customers: Vec::new(),
            rules: Vec::new(),
            charges: BTreeMap::new(),
            pending: VecDeque::new(),
            counts: Counts::default(),
            money: RunReport::default(),
            recorder,
        }
    }

    async fn set_up(&mut self, platform: &Platform, plan: &Plan) -> Result<(), SimulateError> {
        let mut waiting: VecDeque<(usize, Receiver)> = VecDeque::new();
        for action in plan.setup_of(self.number) {
            let kind = match &action.kind {
                ActionKind::CreateAccount { .. } => 0,
                ActionKind::CreateCustomer { .. } => 2,
                // Rules name accounts: those must be there.
                _ => 1,
            };
            if kind == 1 || waiting.len() >= WINDOW {
                while let Some((kind, receiver)) = waiting.pop_front() {
                    self.made(kind, receiver).await?;
                }
            }
            let request = self.setup_request(&action.kind);
            waiting.push_back((kind, platform.enqueue(request, Some(self.start))));
        }
        while let Some((kind, receiver)) = waiting.pop_front() {
            self.made(kind, receiver).await?;
        }
        Ok(())
    }

    async fn made(&mut self, kind: usize, receiver: Receiver) -> Result<(), SimulateError> {
        let births = [&mut self.accounts, &mut self.rules, &mut self.customers];
        match receiver.await {
            Ok(Ok(Settled::Answer(answer))) => {
                births.into_iter().nth(kind).into_iter().for_each(|list| list.push(answer.seq));
                Ok(())
            }
            Ok(other) => Err(SimulateError::Setup(format!("{other:?}"))),
            Err(_) => Err(SimulateError::Stopped),
        }
    }

    async fn run(
        &mut self,
        platform: &Platform,
        share: f64,
        started: Instant,
        progress: &dyn Fn(u64),
    ) -> Result<(), SimulateError> {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // a share of a count
        let until = ((self.actions.len() as f64 * share) as usize).min(self.actions.len());
        while self.next < until {
            let action = self.actions[self.next].clone();
            self.next += 1;
            let at = self.start.plus_millis(i64::try_from(action.at_ms).unwrap_or(i64::MAX)).unwrap_or(self.start);
            let (what, request) = match action.kind {
                ActionKind::Charge(charge) => {
                    let request = self.charge_request(&charge);
                    let what = if charge.duplicate { What::Repeat } else { What::Charge(charge) };
                    (what, request)
                }
                ActionKind::Refund(refund) => {
                    // The charge may still be under way.
                    while !self.charges.contains_key(&refund.charge) && !self.pending.is_empty() {
                        self.settle_one(started).await?;
                    }
                    let Some(&(birth, _)) = self.charges.get(&refund.charge) else { continue };
                    (What::Refund(refund), refund_request(birth, &refund))
                }
                ActionKind::CreateAccount { .. }
                | ActionKind::CreateCustomer { .. }
                | ActionKind::CreateSplitRule { .. } => {
                    continue;
                }
            };
            let receiver = platform.enqueue(request, Some(at));
            self.pending.push_back(Pending { what, receiver, since: Instant::now() });
            if self.pending.len() >= WINDOW {
                self.settle_one(started).await?;
            }
            if self.next.is_multiple_of(256) {
                progress(256);
            }
        }
        while !self.pending.is_empty() {
            self.settle_one(started).await?;
        }
        Ok(())
    }

    async fn settle_one(&mut self, started: Instant) -> Result<(), SimulateError> {
        let Some(Pending { what, receiver, since }) = self.pending.pop_front() else { return Ok(()) };
        let settled = receiver.await.map_err(|_| SimulateError::Stopped)?;
        let took = since.elapsed();
        self.recorder.borrow_mut().record(started.elapsed(), took, took, settled.is_err());
        match (what, settled) {
            (What::Charge(charge), Ok(Settled::Answer(answer))) => {
                self.counts.charges += 1;
                if matches!(answer.reply, Reply::Object(_)) {
                    self.counts.succeeded += 1;
                    let totals = self.money.amounts_in(charge.currency);
                    totals.charges += 1;
                    totals.charged_minor += i128::from(charge.amount_minor);
                    if let Payee::Seller { application_fee_minor, .. } = charge.payee {
                        totals.application_fees_minor += i128::from(application_fee_minor);
                    }
                    if charge.refunded || charge.repeated {
                        self.charges.insert(charge.index, (answer.seq, charge.amount_minor));
                    }
                } else {
                    self.counts.declined += 1;
                }
            }
            (What::Repeat, Ok(Settled::Replay(_))) => self.counts.replays += 1,
            (What::Refund(refund), Ok(Settled::Answer(_))) => {
                self.counts.refunds += 1;
                let charged = self.charges.get(&refund.charge).map_or(0, |&(_, amount)| amount);
                let back = refund.amount_minor.unwrap_or(charged);
                let totals = self.money.amounts_in(refund.currency);
                totals.refunds += 1;
                totals.refunded_minor += i128::from(back);
            }
            (_, other) => {
                tracing::warn!(?other, "a request of the plan got an answer that it should not get");
                self.counts.refused += 1;
            }
        }
        Ok(())
    }

    /// Adds what this platform came to.
    async fn close(
        self,
        platform: &Platform,
        top: usize,
        report: &mut RunReport,
        trial: &mut Vec<(String, Currency, i128)>,
    ) {
        report.counts.attempted +=
            self.counts.charges + self.counts.replays + self.counts.refunds + self.counts.refused;
        report.counts.succeeded += self.counts.succeeded;
        report.counts.declined += self.counts.declined;
        report.counts.refunded += self.counts.refunds;
        report.counts.repeated += self.counts.replays;
        report.counts.errors += self.counts.refused;
        for (code, more) in &self.money.amounts {
            let Ok(currency) = code.parse::<Currency>() else { continue };
            let totals = report.amounts_in(currency);
            totals.charges += more.charges;
            totals.charged_minor += more.charged_minor;
            totals.application_fees_minor += more.application_fees_minor;
            totals.refunds += more.refunds;
            totals.refunded_minor += more.refunded_minor;
        }
        if let Some(image) = platform.image().await {
            let today = image.state.now.day();
            for (index, &birth) in self.accounts.iter().take(top).enumerate() {
                let account = AccountNo(birth);
                let Some((_, books)) = image.books.iter().find(|(have, _)| *have == account) else { continue };
                let currencies: std::collections::BTreeSet<Currency> =
                    books.holdings().iter().map(|holding| holding.currency).collect();
                report.top_accounts.push(AccountBalance {
                    platform: platform.number(),
                    rank: u32::try_from(index + 1).unwrap_or(u32::MAX),
                    id: platform.ids().encode(&RecordKey::head(birth).id(ObjectKind::Account, Slot::MAIN)),
                    balances: currencies
                        .into_iter()
                        .map(|currency| BalanceLine {
                            currency: currency.to_string(),
                            available_minor: books.available(currency, today),
                            pending_minor: books.pending(currency, today),
                        })
                        .collect(),
                });
            }
        }
        match platform.digest().await {
            Some((digest, sequence)) => {
                let digest = digest.to_string();
                report.digests.push(PlatformDigest { platform: platform.number(), sequence, digest });
            }
            None => report.problem(format!("platform {}: no digest, something was still under way", platform.number())),
        }
        let (balance, _) = platform.trial_balance().await;
        if !balance.is_zero() {
            report.problem(format!("platform {}: the trial balance is not zero", platform.number()));
        }
        trial.extend(balance.rows().map(|(name, currency, minor)| (name.to_owned(), currency, minor)));
    }

    fn setup_request(&self, kind: &ActionKind) -> Request {
        match kind {
            ActionKind::CreateAccount { country, currency, .. } => account_request(*country, *currency),
            ActionKind::CreateSplitRule { index, shares } => {
                let shares = shares
                    .iter()
                    .map(|share| Share {
                        account: AccountNo(share.account.map_or(0, |number| self.accounts[number as usize])),
                        terms: match share.terms {
                            RuleTerms::PercentPpm(ppm) => ShareTerms::Percent(ppm),
                            RuleTerms::FixedMinor(minor) => ShareTerms::Fixed(minor),
                            RuleTerms::Remainder => ShareTerms::Remainder(1),
                        },
                    })
                    .collect();
                plain(Command::CreateSplitRule { name: format!("cart-{index}"), shares })
            }
            ActionKind::CreateCustomer { name, .. } => {
                let mut request = plain(Command::CreateCustomer { method: None, default: None });
                request.texts.set("name", name.as_str());
                request
            }
            ActionKind::Charge(charge) => self.charge_request(charge),
            ActionKind::Refund(refund) => refund_request(0, refund),
        }
    }

    fn charge_request(&self, charge: &Charge) -> Request {
        let (destination, application_fee, split_rule) = match charge.payee {
            Payee::Seller { account, application_fee_minor } => {
                let fee = (application_fee_minor > 0).then_some(Some(application_fee_minor));
                (Some(AccountNo(self.accounts[account as usize])), fee, None)
            }
            Payee::Cart { rule } => (None, None, Some(self.rules[rule as usize])),
        };
        let input = IntentInput {
            amount: Some(charge.amount_minor),
            currency: Some(charge.currency),
            confirm: true,
            method: Some(MethodInput::Inline(card(charge.declined))),
            customer: Some(self.customers[charge.customer as usize]),
            destination,
            application_fee,
            split_rule,
            ..IntentInput::default()
        };
        let mut request = plain(Command::CreateIntent(Box::new(input)));
        request.texts.set("metadata[order]", charge.index.to_string());
        request.texts.set("metadata[method]", charge.method.as_ref());
        request.idempotency = Some(idempotency(charge.index));
        request
    }
}

fn plain(command: Command) -> Request {
    Request {
        acting: AccountNo::PLATFORM,
        command,
        texts: TextPatch::default(),
        idempotency: None,
        request_id: String::new(),
    }
}

fn refund_request(birth: u64, refund: &Refund) -> Request {
    plain(Command::CreateRefund {
        target: RecordKey::head(birth).id(ObjectKind::PaymentIntent, Slot::MAIN),
        amount: refund.amount_minor,
        reason: None,
        reverse_transfer: true,
        refund_application_fee: !refund.cart,
        asks_payer: None,
    })
}

/// A seller that is active at once (the recipe of section 3.9).
fn account_request(country: Country, currency: Currency) -> Request {
    let made = Made { seq: 0, at: Timestamp(0) };
    let bank = ExternalAccount {
        made,
        country,
        currency,
        routing_number: Some("110000000".to_owned()),
        last4: "6789".to_owned(),
        fingerprint: "simulated".to_owned(),
        default_for_currency: true,
        outcome: BankOutcome::Paid,
        status: BankStatus::New,
        holder_type: None,
        deleted: false,
        card: None,
        check: None,
        instant: None,
    };
    let input = AccountInput {
        country: Some(country),
        kind: Some(AccountKind::Custom),
        business_type: Some(BusinessType::Individual),
        capabilities: vec![("card_payments".to_owned(), true), ("transfers".to_owned(), true)],
        facts: active_individual(),
        external_account: Some(Box::new(bank)),
        tos_accepted_at: Some(Timestamp(0)),
        payout_interval: Some(PayoutInterval::Manual),
        ..AccountInput::default()
    };
    plain(Command::CreateAccount(Box::new(input)))
}

fn card(declined: bool) -> Card {
    Card {
        brand: Brand::Visa,
        funding: Funding::Credit,
        country: Country::US,
        last4: if declined { 2 } else { 4_242 },
        exp_month: 12,
        exp_year: 2_034,
        fingerprint: *b"simulate",
        recipe: if declined { Recipe::GenericDecline } else { Recipe::Succeed },
        cvc_check: Check::Pass,
    }
}

fn idempotency(index: u64) -> IdempotencyKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&index.to_be_bytes());
    IdempotencyKey {
        key,
        endpoint: *b"intents.",
        parameters: key,
        text: format!("order-{index}"),
        path: "POST /v1/payment_intents".to_owned(),
    }
}
