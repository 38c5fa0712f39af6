//! The driver behind `florin load`: a plan's actions as HTTP requests to a running daemon.
//!
//! Requests look as the official SDKs send them: form bodies, bearer key, `Stripe-Version`, an idempotency key on every
//! POST. Accounts, split rules and customers are made first, then the traffic goes **open loop** (at a rate, or at the
//! scenario's own pace) or **closed loop** (as fast as the connections carry it).
//!
//! Latency counts from the *intended* start of a request, so a daemon that stalls for a second shows that second in
//! every request that was due meanwhile, sent or not; the time of the requests themselves is reported beside it. An
//! open-loop request can leave up to a millisecond late (the timer's step), which counts as latency too.
//!
//! The driver shares its machine with the daemon, so it does little per request: one buffer per body, one look at the
//! answer's first and last bytes, and a full parse only where they say something unexpected.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use indicatif::ProgressBar;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::progress;
use super::report::{AccountBalance, BalanceLine, ClientFigures, RunKind, RunReport, TrialBalanceFigures};
use super::scenario::Scenario;
use super::statistics::Recorder;
use super::traffic::{Action, ActionKind, Charge, Payee, Plan, PlanError, Refund, RuleTerms, Traffic};
use crate::primitives::country::Country;
use crate::primitives::currency::Currency;

/// The API version that requests name.
pub const STRIPE_VERSION: &str = "2026-10-28.endive";

/// Most actions that are made before the start (some 120 bytes each), and how many a closed loop may need per second.
const AHEAD_MAX: usize = 4_000_000;
const AHEAD_PER_S: f64 = 50_000.0;

/// How fast requests go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The scenario's own pace, this many times faster. What falls after the scenario's end (refunds of days later)
    /// goes after it at its mean pace.
    Speed(f64),
    /// This many requests a second, evenly.
    Rate(f64),
    /// Closed loop: every connection sends its next request when it has the answer to the last one.
    Max,
}

/// What to do, where and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Where the daemon listens: `http://127.0.0.1:4242`.
    pub url: String,
    /// What to send.
    pub scenario: Scenario,
    /// Seed of the plan.
    pub seed: u64,
    /// Factor of all counts.
    pub scale: f64,
    /// Secret keys, one per platform.
    pub keys: Vec<String>,
    /// How fast.
    pub pace: Pace,
    /// Keep-alive connections, and at most as many requests in flight.
    pub connections: usize,
    /// Stop after this time, warm-up included; the plan's end comes first if it is shorter.
    pub duration: Option<Duration>,
    /// What is due within this time of the start is sent and checked, but not measured.
    pub warmup: Duration,
    /// A request without an answer for this long is lost.
    pub timeout: Duration,
    /// Part of every idempotency key and order id. `None` draws one, so that a run with the same seed is a new run to
    /// the daemon; give the same one to repeat a run's requests.
    pub run_id: Option<String>,
    /// Ask for the trial balance at the end.
    pub check_books: bool,
    /// Balances of this many sellers of the first platform go into the report.
    pub top_accounts: u32,
    /// Show progress bars.
    pub progress: bool,
    /// Stop cleanly at the first Ctrl-C.
    pub stop_on_ctrl_c: bool,
}

impl LoadOptions {
    /// The scenario's own pace with 64 connections, to its end.
    pub fn new(url: &str, scenario: Scenario, key: &str) -> LoadOptions {
        LoadOptions {
            url: url.to_owned(),
            scenario,
            seed: 1,
            scale: 1.0,
            keys: vec![key.to_owned()],
            pace: Pace::Speed(1.0),
            connections: 64,
            duration: None,
            warmup: Duration::ZERO,
            timeout: Duration::from_secs(30),
            run_id: None,
            check_books: true,
            top_accounts: 10,
            progress: false,
            stop_on_ctrl_c: true,
        }
    }
}

/// What a load run found.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// Everything that goes into the report.
    pub run: RunReport,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

impl LoadReport {
    /// Whether every answer was as it should be and the books balance.
    pub fn passed(&self) -> bool {
        self.run.problem_count == 0
            && self.run.counts.errors == 0
            && self.run.trial_balance.as_ref().is_none_or(|balance| balance.zero)
    }
}

/// Why a load run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not a place to send requests to.
    #[error("cannot send to {url:?}: expected http://HOST:PORT, without TLS and path")]
    Url {
        /// As given.
        url: String,
    },
    /// A pace or count that makes no sense.
    #[error("{0}")]
    Option(String),
    /// The plan's own trouble.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Keys and platforms do not match.
    #[error(
        "the scenario has {platforms} platforms, but {keys} keys were given: give --key once per platform (on loopback \
         sk_test_sandbox_NAME opens a platform of its own)"
    )]
    Keys {
        /// Platforms of the scenario.
        platforms: u32,
        /// Keys given.
        keys: usize,
    },
    /// Nobody there.
    #[error("cannot connect to {url}: {cause}; is `florin serve` running there?")]
    Connect {
        /// As given.
        url: String,
        /// The system's words.
        cause: String,
    },
    /// What the traffic needs could not be made.
    #[error("cannot set up {what}: {answer}")]
    Setup {
        /// Which object.
        what: String,
        /// Status and error of the daemon, or what happened to the request.
        answer: String,
    },
}

/// Sends a scenario to a daemon and measures it. Needs a current-thread runtime with time and I/O.
///
/// # Errors
/// Options that make no run, a daemon that is not there, or one that refuses what the traffic needs. Refused and lost
/// requests of the traffic itself are no errors: the report counts them.
pub async fn run(options: LoadOptions) -> Result<LoadReport, LoadError> {
    LocalSet::new().run_until(drive(options)).await
}

async fn drive(options: LoadOptions) -> Result<LoadReport, LoadError> {
    check(&options)?;
    let plan = Plan::new(&options.scenario, options.seed, options.scale)?;
    let target = Rc::new(Target::new(&options)?);
    let run_id = options.run_id.clone().unwrap_or_else(drawn_run_id);
    target.connect().await.map_err(|cause| LoadError::Connect { url: options.url.clone(), cause })?;

    let shared = Rc::new(Shared::new(options, plan, run_id));
    if shared.options.stop_on_ctrl_c {
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                shared.stop();
            }
        });
    }
    set_up(&shared, &target).await?;
    shared.begin();
    let cpu_before = cpu_seconds();
    let bar = shared.traffic_bar();
    let workers: Vec<_> = (0..shared.options.connections)
        .map(|_| {
            tokio::task::spawn_local(work(
                Rc::clone(&shared),
                Link::new(Rc::clone(&target), shared.options.timeout),
                bar.clone(),
            ))
        })
        .collect();
    for worker in workers {
        // A worker ends by itself; its only other end is a panic, which goes on here.
        if let Err(error) = worker.await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
    let wall = shared.elapsed();
    bar.finish_and_clear();
    shared.count_unsent();
    let cpu_s = cpu_seconds().zip(cpu_before).map(|(after, before)| after - before);
    Ok(finish(&shared, target, wall, cpu_s).await)
}

fn check(options: &LoadOptions) -> Result<(), LoadError> {
    let positive = |value: f64| value > 0.0 && value.is_finite();
    match options.pace {
        Pace::Rate(rate) if !positive(rate) => {
            return Err(LoadError::Option(format!(
                "a rate of {rate} sends nothing: expected requests per second, or max"
            )));
        }
        Pace::Speed(speed) if !positive(speed) => {
            return Err(LoadError::Option(format!("a speed of {speed} goes nowhere: expected a factor such as 60")));
        }
        Pace::Rate(_) | Pace::Speed(_) | Pace::Max => {}
    }
    if !(1..=20_000).contains(&options.connections) {
        let message = format!("{} connections are out of range: expected 1 to 20000", options.connections);
        return Err(LoadError::Option(message));
    }
    let platforms = options.scenario.platforms;
    if options.keys.len() != platforms as usize {
        return Err(LoadError::Keys { platforms, keys: options.keys.len() });
    }
    Ok(())
}

fn drawn_run_id() -> String {
    let mut bytes = [0_u8; 4];
    // Without entropy the fixed id only means that a second run repeats the first one's keys.
    let _ = getrandom::fill(&mut bytes);
    format!("{:08x}", u32::from_be_bytes(bytes))
}

/// CPU seconds of this process so far, all threads, user and system. Linux only; steps of 10 ms.
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

// ---------------------------------------------------------------------------------------------------------------
// One connection

/// Where requests go, and the headers they share.
struct Target {
    /// `host:port`.
    authority: String,
    /// Headers per platform.
    headers: Vec<HeaderMap>,
}

impl Target {
    fn new(options: &LoadOptions) -> Result<Target, LoadError> {
        let bad = || LoadError::Url { url: options.url.clone() };
        let authority = options.url.strip_prefix("http://").ok_or_else(bad)?.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '?', '#', '@', ' ']) {
            return Err(bad());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let headers = options.keys.iter().map(|key| headers(&authority, key)).collect::<Option<Vec<_>>>();
        let headers =
            headers.ok_or_else(|| LoadError::Option("a key has characters that no header can carry".into()))?;
        Ok(Target { authority, headers })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(&self.authority).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::task::spawn_local(async move {
            // Whatever ends a connection is seen by the request that was on it.
            let _ = connection.await;
        });
        Ok(sender)
    }
}

fn headers(authority: &str, key: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(HOST, HeaderValue::from_str(authority).ok()?);
    let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("Stripe/v1 PythonBindings/16.1.0 florin-load/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(HeaderName::from_static("stripe-version"), HeaderValue::from_static(STRIPE_VERSION));
    headers.insert(
        HeaderName::from_static("x-stripe-client-user-agent"),
        HeaderValue::from_static(
            r#"{"bindings_version":"16.1.0","lang":"python","publisher":"stripe","httplib":"requests","lang_version":"3.11.2"}"#,
        ),
    );
    Some(headers)
}

/// A keep-alive connection, opened again when it breaks.
struct Link {
    target: Rc<Target>,
    timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Body of the last answer.
    answer: Vec<u8>,
}

/// What to send.
struct Wire {
    method: Method,
    platform: u32,
    path: &'static str,
    idempotency_key: Option<String>,
    acting_for: Option<String>,
    body: Bytes,
}

impl Link {
    fn new(target: Rc<Target>, timeout: Duration) -> Link {
        Link { target, timeout, sender: None, answer: Vec::new() }
    }

    /// Sends and reads the whole answer into `self.answer`.
    async fn send(&mut self, wire: &Wire) -> Result<StatusCode, Lost> {
        match tokio::time::timeout(self.timeout, self.exchange(wire)).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(lost)) => {
                self.sender = None;
                Err(lost)
            }
            Err(_) => {
                self.sender = None;
                Err(Lost::TimedOut)
            }
        }
    }

    async fn exchange(&mut self, wire: &Wire) -> Result<StatusCode, Lost> {
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.target.connect().await.map_err(|_| Lost::NoConnection)?,
        };
        sender.ready().await.map_err(|_| Lost::Broken)?;
        let mut request = Request::new(Full::new(wire.body.clone()));
        *request.method_mut() = wire.method.clone();
        *request.uri_mut() = hyper::Uri::from_static(wire.path);
        let headers = request.headers_mut();
        *headers = self.target.headers[wire.platform as usize].clone();
        for (name, text) in [("idempotency-key", &wire.idempotency_key), ("stripe-account", &wire.acting_for)] {
            if let Some(text) = text
                && let Ok(value) = HeaderValue::from_str(text)
            {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let answer = sender.send_request(request).await.map_err(|_| Lost::Broken)?;
        let status = answer.status();
        let mut body = answer.into_body();
        self.answer.clear();
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.map_err(|_| Lost::Broken)?.data_ref() {
                self.answer.extend_from_slice(data);
            }
        }
        self.sender = Some(sender);
        Ok(status)
    }
}

/// A request without an answer.
#[derive(Clone, Copy, Debug)]
enum Lost {
    NoConnection,
    Broken,
    TimedOut,
}

impl Lost {
    fn code(self) -> &'static str {
        match self {
            Lost::NoConnection => "no_connection",
            Lost::Broken => "connection_broken",
            Lost::TimedOut => "timed_out",
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// What the connections share

struct Shared {
    options: LoadOptions,
    plan: Plan,
    run_id: String,
    started: Cell<Instant>,
    stopped: Cell<bool>,
    stop: tokio::sync::Notify,
    ids: RefCell<Vec<PlatformIds>>,
    state: RefCell<State>,
}

/// Ids of what the set-up made, by number.
#[derive(Default)]
struct PlatformIds {
    accounts: Vec<String>,
    split_rules: Vec<String>,
    customers: Vec<String>,
}

struct State {
    traffic: Traffic,
    /// Actions made before the start, so that making them costs nothing while the daemon is measured.
    ahead: VecDeque<Action>,
    /// The action that a look ahead has already taken.
    put_back: Option<Job>,
    taken: u64,
    taken_late: u64,
    /// Refunds whose charge has been answered meanwhile.
    ready: VecDeque<Job>,
    /// Charges that something follows, by platform and index.
    followed: BTreeMap<(u32, u64), Followed>,
    recorder: Recorder,
    report: RunReport,
}

/// An action and when it should start, since the start of the run.
struct Job {
    action: Action,
    due: Duration,
}

/// A charge that a repeated request or a refund refers to.
#[derive(Default)]
struct Followed {
    /// The payment intent, once an answer has come: `Some(None)` where there is none.
    answer: Option<Option<Rc<str>>>,
    amount_minor: i64,
    /// A refund that came before the answer.
    refund: Option<Job>,
}

enum Next {
    Job(Box<Job>),
    Over,
}

impl Shared {
    fn new(options: LoadOptions, plan: Plan, run_id: String) -> Shared {
        let mut report = RunReport::of(RunKind::Load, &plan);
        report.started_at = Some(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let state = State {
            traffic: plan.traffic(),
            ahead: VecDeque::new(),
            put_back: None,
            taken: 0,
            taken_late: 0,
            ready: VecDeque::new(),
            followed: BTreeMap::new(),
            recorder: Recorder::new(),
            report,
        };
        Shared {
            ids: RefCell::new(Vec::new()),
            started: Cell::new(Instant::now()),
            stopped: Cell::new(false),
            stop: tokio::sync::Notify::new(),
            state: RefCell::new(state),
            options,
            plan,
            run_id,
        }
    }

    /// Makes the actions that a measured run will need, some microseconds each, then starts the clock.
    fn begin(&self) {
        let seconds = self.options.duration.map(|limit| limit.as_secs_f64());
        let count = match (self.options.pace, seconds) {
            // At the scenario's pace there is time enough between two requests.
            (Pace::Speed(_), _) => 0.0,
            (Pace::Rate(rate), Some(seconds)) => rate * seconds,
            (Pace::Max, Some(seconds)) => AHEAD_PER_S * seconds,
            (Pace::Rate(_) | Pace::Max, None) => AHEAD_MAX as f64,
        };
        let state = &mut *self.state.borrow_mut();
        let count = (count as usize).min(AHEAD_MAX);
        let bar = progress::bar("planning", None, self.options.progress && count > 0);
        while state.ahead.len() < count && !self.stopped.get() {
            let Some(action) = state.traffic.next() else { break };
            state.ahead.push_back(action);
            if state.ahead.len().is_multiple_of(8_192) {
                bar.inc(8_192);
            }
        }
        bar.finish_and_clear();
        self.started.set(Instant::now());
    }

    fn elapsed(&self) -> Duration {
        self.started.get().elapsed()
    }

    fn stop(&self) {
        self.stopped.set(true);
        self.stop.notify_waiters();
    }

    fn traffic_bar(&self) -> ProgressBar {
        let planned = self.plan.counts().payments * u64::from(self.plan.scenario().platforms);
        let total = match (self.options.pace, self.options.duration) {
            (Pace::Rate(rate), Some(duration)) => Some(planned.min((rate * duration.as_secs_f64()) as u64)),
            (_, Some(_)) => None,
            (_, None) => Some(planned),
        };
        progress::bar("requests", total, self.options.progress)
    }

    /// The next thing to send.
    fn next(&self) -> Next {
        if self.stopped.get() {
            return Next::Over;
        }
        let elapsed = self.elapsed();
        let state = &mut *self.state.borrow_mut();
        if self.options.duration.is_some_and(|limit| elapsed >= limit) {
            return Next::Over;
        }
        if let Some(mut job) = state.ready.pop_front() {
            if self.options.pace == Pace::Max {
                job.due = elapsed; // a closed loop has no intended start but this
            }
            return Next::Job(Box::new(job));
        }
        loop {
            let Some(job) = self.draw(state, elapsed) else { return Next::Over };
            if self.options.duration.is_some_and(|limit| job.due >= limit) {
                state.put_back = Some(job);
                return Next::Over;
            }
            if let Some(job) = hold(state, job) {
                return Next::Job(Box::new(job));
            }
        }
    }

    /// The next action of the plan with its intended start.
    fn draw(&self, state: &mut State, elapsed: Duration) -> Option<Job> {
        if let Some(job) = state.put_back.take() {
            return Some(job);
        }
        let action = state.ahead.pop_front().or_else(|| state.traffic.next())?;
        let due = match self.options.pace {
            Pace::Max => elapsed,
            Pace::Rate(rate) => Duration::from_secs_f64(state.taken as f64 / rate),
            Pace::Speed(speed) => {
                let day_ms = self.plan.scenario().duration_ms;
                let mut at_ms = action.at_ms as f64;
                if action.at_ms > day_ms {
                    let payments = self.plan.counts().payments * u64::from(self.plan.scenario().platforms);
                    state.taken_late += 1;
                    at_ms = day_ms as f64 * (1.0 + state.taken_late as f64 / payments as f64);
                }
                Duration::from_secs_f64(at_ms / 1_000.0 / speed)
            }
        };
        state.taken += 1;
        Some(Job { action, due })
    }

    /// Counts what was due before the end but never sent, so that a daemon that is too slow does not look quick.
    fn count_unsent(&self) {
        if self.options.pace == Pace::Max {
            return;
        }
        let end = self.options.duration.map_or(self.elapsed(), |limit| limit.min(self.elapsed()));
        let state = &mut *self.state.borrow_mut();
        let mut unsent: Vec<Duration> = state.ready.drain(..).map(|job| job.due).collect();
        while let Some(job) = self.draw(state, end) {
            if job.due >= end {
                break;
            }
            unsent.push(job.due);
        }
        for due in unsent {
            state.report.counts.unsent += 1;
            if due >= self.options.warmup {
                state.recorder.record_unsent(end.saturating_sub(due));
            }
        }
    }

    /// The request of an action, or `None` for a refund of nothing.
    fn encode(&self, action: &Action) -> Option<Wire> {
        let Action { platform, number, .. } = *action;
        let run = &self.run_id;
        let wire = |letter: char, path: &'static str, body: String| Wire {
            method: Method::POST,
            platform,
            path,
            idempotency_key: Some(format!("florin-load-{run}-{platform}-{letter}{number}")),
            acting_for: None,
            body: body.into(),
        };
        match &action.kind {
            ActionKind::Charge(charge) => {
                let ids = self.ids.borrow();
                let body = charge_form(charge, &ids[platform as usize], run, platform);
                Some(wire('c', "/v1/payment_intents", body))
            }
            ActionKind::Refund(refund) => {
                let state = self.state.borrow();
                let followed = state.followed.get(&(platform, refund.charge))?;
                let intent = followed.answer.as_ref()?.as_ref()?;
                Some(wire('r', "/v1/refunds", refund_form(refund, intent)))
            }
            ActionKind::CreateAccount { index, country, currency } => {
                Some(wire('s', "/v1/accounts", account_form(run, platform, *index, *country, *currency)))
            }
            ActionKind::CreateCustomer { index, name } => {
                Some(wire('s', "/v1/customers", customer_form(run, platform, *index, name)))
            }
            ActionKind::CreateSplitRule { index, shares } => {
                let ids = self.ids.borrow();
                let accounts = &ids[platform as usize].accounts;
                let mut form = Form::new();
                form.add("name", &format!("{run}-{platform}-{index}"));
                for (i, share) in shares.iter().enumerate() {
                    let account = share.account.map_or("platform", |account| &accounts[account as usize]);
                    form.add(&format!("shares[{i}][account]"), account);
                    match share.terms {
                        RuleTerms::PercentPpm(ppm) => {
                            let percent = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
                            form.add(&format!("shares[{i}][percent]"), &percent);
                        }
                        RuleTerms::FixedMinor(minor) => form.add(&format!("shares[{i}][amount]"), &minor.to_string()),
                        RuleTerms::Remainder => form.add(&format!("shares[{i}][remainder]"), "true"),
                    }
                }
                Some(wire('s', "/florin/split_rules", form.text))
            }
        }
    }
}

/// Lets a job through, or keeps a refund until its charge has an answer.
fn hold(state: &mut State, job: Job) -> Option<Job> {
    let Action { platform, .. } = job.action;
    match &job.action.kind {
        ActionKind::Charge(charge) => {
            if charge.refunded || charge.repeated {
                state.followed.entry((platform, charge.index)).or_default().amount_minor = charge.amount_minor;
            }
            Some(job)
        }
        ActionKind::Refund(refund) => match state.followed.get_mut(&(platform, refund.charge)) {
            Some(followed) if followed.answer.is_none() => {
                followed.refund = Some(job);
                None
            }
            Some(_) | None => Some(job),
        },
        ActionKind::CreateAccount { .. } | ActionKind::CreateCustomer { .. } | ActionKind::CreateSplitRule { .. } => {
            Some(job)
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The traffic

async fn work(shared: Rc<Shared>, mut link: Link, bar: ProgressBar) {
    let mut done: u64 = 0;
    while let Next::Job(job) = shared.next() {
        let start = shared.started.get() + job.due;
        if start > Instant::now() {
            tokio::select! {
                biased;
                () = shared.stop.notified() => break,
                () = tokio::time::sleep_until(start) => {}
            }
        }
        perform(&shared, &mut link, *job).await;
        done += 1;
        if done.is_multiple_of(32) {
            bar.inc(32);
        }
    }
    bar.inc(done % 32);
}

async fn perform(shared: &Shared, link: &mut Link, job: Job) {
    let Some(wire) = shared.encode(&job.action) else {
        // The charge was declined or lost, so there is nothing to send back.
        shared.state.borrow_mut().report.counts.skipped += 1;
        return;
    };
    let sent = shared.elapsed();
    let mut outcome = link.send(&wire).await;
    for attempt in 1..=8_u64 {
        // As SDKs do: the first request under this key is still running, so ask again a little later.
        let in_use = outcome.is_ok_and(|status| status == StatusCode::CONFLICT)
            && error_of(&link.answer).code == "idempotency_key_in_use";
        if !in_use {
            break;
        }
        shared.state.borrow_mut().report.counts.retried += 1;
        tokio::time::sleep(Duration::from_millis(10 * attempt)).await;
        outcome = link.send(&wire).await;
    }
    let answered = shared.elapsed();
    let failed = {
        let state = &mut *shared.state.borrow_mut();
        let failed = account_for(state, &job.action, outcome, &link.answer);
        if job.due >= shared.options.warmup {
            let latency = answered.saturating_sub(job.due);
            state.recorder.record(answered, latency, answered.saturating_sub(sent), failed);
        } else {
            state.report.counts.warmup += 1;
        }
        failed
    };
    if failed && outcome.is_err() {
        // Nobody there: do not turn into a storm of connections.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Books an answer; true when it was an error.
fn account_for(state: &mut State, action: &Action, outcome: Result<StatusCode, Lost>, answer: &[u8]) -> bool {
    let counts = &mut state.report.counts;
    counts.attempted += 1;
    let status = match outcome {
        Ok(status) => {
            *counts.by_status.entry(status.as_u16()).or_default() += 1;
            Some(status)
        }
        Err(lost) => {
            *counts.by_code.entry(lost.code().to_owned()).or_default() += 1;
            None
        }
    };
    let error = match status {
        Some(status) if status.is_success() => None,
        Some(_) => Some(error_of(answer)),
        None => None,
    };
    if let Some(error) = &error {
        let code = if error.code.is_empty() { &error.kind } else { &error.code };
        *counts.by_code.entry(code.clone()).or_default() += 1;
    }
    let success = status.is_some_and(|status| status.is_success());
    match &action.kind {
        ActionKind::Charge(charge) => {
            let declined = status == Some(StatusCode::PAYMENT_REQUIRED);
            let id = success.then(|| check_charge(state, action, charge, answer)).flatten();
            charge_answered(state, action.platform, charge, id, success, declined);
            if declined != charge.declined && (success || declined) {
                let done = if declined { "declined" } else { "accepted" };
                state.problem(format!("charge {} of platform {} was {done}", charge.index, action.platform));
            }
            if !success && !declined {
                state.report.counts.errors += 1;
            }
            !success && !declined
        }
        ActionKind::Refund(refund) => {
            if success {
                let followed = state.followed.get(&(action.platform, refund.charge));
                let amount = refund.amount_minor.or(followed.map(|followed| followed.amount_minor)).unwrap_or(0);
                state.report.counts.refunded += 1;
                let totals = state.report.amounts_in(refund.currency);
                totals.refunds += 1;
                totals.refunded_minor += i128::from(amount);
                let wire_amount = find_integer(answer, b"\"amount\":");
                if wire_amount != Some(amount) {
                    state.problem(format!("refund of charge {}: asked {amount}, got {wire_amount:?}", refund.charge));
                }
            } else {
                state.report.counts.errors += 1;
            }
            !success
        }
        ActionKind::CreateAccount { .. } | ActionKind::CreateCustomer { .. } | ActionKind::CreateSplitRule { .. } => {
            !success
        }
    }
}

/// Looks at an accepted charge; its payment intent's id.
fn check_charge(state: &mut State, action: &Action, charge: &Charge, answer: &[u8]) -> Option<Rc<str>> {
    let seen = IntentAnswer::glance(answer).or_else(|| serde_json::from_slice(answer).ok());
    let Some(seen) = seen else {
        state.problem(format!("charge {}: the answer is no payment intent", charge.index));
        return None;
    };
    if seen.status != "succeeded" || seen.amount != charge.amount_minor {
        let (index, platform, asked) = (charge.index, action.platform, charge.amount_minor);
        state.problem(format!(
            "charge {index} of platform {platform}: asked {asked}, got {} with status {}",
            seen.amount, seen.status
        ));
    }
    // Only charges that something follows are remembered.
    (charge.refunded || charge.repeated).then(|| seen.id.into())
}

/// Books a charge's answer, compares repeated requests, and lets a waiting refund go.
fn charge_answered(
    state: &mut State,
    platform: u32,
    charge: &Charge,
    id: Option<Rc<str>>,
    success: bool,
    declined: bool,
) {
    let mut first = true;
    if charge.refunded || charge.repeated {
        let followed = state.followed.entry((platform, charge.index)).or_default();
        let earlier = followed.answer.clone().flatten();
        if let (Some(earlier), Some(id)) = (&earlier, &id)
            && earlier != id
        {
            state.problem(format!("charge {} has two payment intents under one key: {earlier} and {id}", charge.index));
        }
        let followed = state.followed.entry((platform, charge.index)).or_default();
        first = earlier.is_none();
        if first {
            followed.answer = Some(id);
        }
        if let Some(refund) = followed.refund.take() {
            state.ready.push_back(refund);
        }
    }
    let counts = &mut state.report.counts;
    if charge.duplicate {
        counts.repeated += u64::from(success || declined);
    }
    // A charge counts once, whichever of its two requests was answered first; a decline has no id to tell by.
    if success && first {
        counts.succeeded += 1;
        let fee = match charge.payee {
            Payee::Seller { application_fee_minor, .. } => application_fee_minor,
            Payee::Cart { .. } => 0,
        };
        let totals = state.report.amounts_in(charge.currency);
        totals.charges += 1;
        totals.charged_minor += i128::from(charge.amount_minor);
        totals.application_fees_minor += i128::from(fee);
    }
    if declined && !charge.duplicate {
        state.report.counts.declined += 1;
    }
}

impl State {
    fn problem(&mut self, problem: String) {
        self.report.problem(problem);
    }
}

/// What is looked at in a payment intent.
#[derive(Debug, Deserialize, PartialEq)]
struct IntentAnswer {
    id: String,
    amount: i64,
    status: String,
}

impl IntentAnswer {
    /// Reads a compact payment intent by its ends: the id and the amount come first, and the last `status` is its own,
    /// as everything nested behind it has none. `None` where it looks otherwise.
    fn glance(answer: &[u8]) -> Option<IntentAnswer> {
        let id = answer.strip_prefix(b"{\"id\":\"")?;
        let id = &id[..id.iter().take(64).position(|&byte| byte == b'"')?];
        let amount = find_integer(&answer[..answer.len().min(160)], b"\"amount\":")?;
        let tail = &answer[answer.len().saturating_sub(600)..];
        let needle = b"\"status\":\"succeeded\"";
        let place = tail.windows(9).rposition(|window| window == b"\"status\":")?;
        if !tail[place..].starts_with(needle) || !id.starts_with(b"pi_") {
            return None;
        }
        Some(IntentAnswer { id: String::from_utf8(id.to_vec()).ok()?, amount, status: "succeeded".to_owned() })
    }
}

/// The whole number after the first occurrence of a key.
fn find_integer(text: &[u8], key: &[u8]) -> Option<i64> {
    let place = text.windows(key.len()).position(|window| window == key)? + key.len();
    let digits = text[place..].trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'-').unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// The error inside an answer; empty where there is none.
#[derive(Debug, Default, Deserialize)]
struct ErrorAnswer {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    param: String,
}

fn error_of(answer: &[u8]) -> ErrorAnswer {
    #[derive(Deserialize)]
    struct Body {
        error: ErrorAnswer,
    }
    serde_json::from_slice::<Body>(answer).map_or_else(
        |_| ErrorAnswer { kind: "no_error_object".to_owned(), ..ErrorAnswer::default() },
        |body| body.error,
    )
}

// ---------------------------------------------------------------------------------------------------------------
// Set-up

async fn set_up(shared: &Rc<Shared>, target: &Rc<Target>) -> Result<(), LoadError> {
    let counts = shared.plan.counts();
    let platforms = shared.plan.scenario().platforms;
    let empty = |count: u32| vec![String::new(); count as usize];
    *shared.ids.borrow_mut() = (0..platforms)
        .map(|_| PlatformIds {
            accounts: empty(counts.accounts),
            split_rules: empty(counts.split_rules),
            customers: empty(counts.customers),
        })
        .collect();
    let each = u64::from(counts.accounts) + u64::from(counts.split_rules) + u64::from(counts.customers);
    let bar = progress::bar("set-up", Some(each * u64::from(platforms)), shared.options.progress);
    // Rules name accounts, so the kinds go one after the other; within a kind, all connections work side by side.
    let kinds: [fn(&ActionKind) -> bool; 3] = [
        |kind| matches!(kind, ActionKind::CreateAccount { .. }),
        |kind| matches!(kind, ActionKind::CreateSplitRule { .. }),
        |kind| matches!(kind, ActionKind::CreateCustomer { .. }),
    ];
    for is_kind in kinds {
        let actions = shared.plan.setup().filter(move |action| is_kind(&action.kind));
        let actions: Rc<RefCell<dyn Iterator<Item = Action>>> = Rc::new(RefCell::new(actions));
        let workers: Vec<_> = (0..shared.options.connections.min(64))
            .map(|_| {
                let link = Link::new(Rc::clone(target), shared.options.timeout);
                tokio::task::spawn_local(make(Rc::clone(shared), link, Rc::clone(&actions), bar.clone()))
            })
            .collect();
        for worker in workers {
            match worker.await {
                Ok(made) => made?,
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn make(
    shared: Rc<Shared>,
    mut link: Link,
    actions: Rc<RefCell<dyn Iterator<Item = Action>>>,
    bar: ProgressBar,
) -> Result<(), LoadError> {
    loop {
        let action = if shared.stopped.get() { None } else { actions.borrow_mut().next() };
        let Some(action) = action else { return Ok(()) };
        let what = || match &action.kind {
            ActionKind::CreateAccount { index, country, .. } => format!("account {index} in {country}"),
            ActionKind::CreateSplitRule { index, .. } => format!("split rule {index}"),
            ActionKind::CreateCustomer { index, .. } => format!("customer {index}"),
            ActionKind::Charge(_) | ActionKind::Refund(_) => "the traffic".to_owned(),
        };
        let Some(wire) = shared.encode(&action) else { continue };
        let mut attempt = 0;
        let id = loop {
            attempt += 1;
            let answer = match link.send(&wire).await {
                Ok(status) if status.is_success() => match id_of(&link.answer) {
                    Some(id) => break id,
                    None => "the answer has no id".to_owned(),
                },
                Ok(status) => {
                    let error = error_of(&link.answer);
                    let param = if error.param.is_empty() { String::new() } else { format!(" ({})", error.param) };
                    format!("{} {}{}: {}", status.as_u16(), error.kind, param, error.message)
                }
                Err(lost) => lost.code().to_owned(),
            };
            let may_pass = matches!(&answer[..3.min(answer.len())], "409" | "429" | "503" | "no_" | "con");
            if attempt >= 5 || !may_pass {
                return Err(LoadError::Setup { what: what(), answer });
            }
            tokio::time::sleep(Duration::from_millis(50 * attempt)).await;
        };
        let ids = &mut shared.ids.borrow_mut()[action.platform as usize];
        match &action.kind {
            ActionKind::CreateAccount { index, .. } => ids.accounts[*index as usize] = id,
            ActionKind::CreateSplitRule { index, .. } => ids.split_rules[*index as usize] = id,
            ActionKind::CreateCustomer { index, .. } => ids.customers[*index as usize] = id,
            ActionKind::Charge(_) | ActionKind::Refund(_) => {}
        }
        bar.inc(1);
    }
}

fn id_of(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        id: String,
    }
    serde_json::from_slice::<Body>(answer).ok().map(|body| body.id)
}

// ---------------------------------------------------------------------------------------------------------------
// Forms

struct Form {
    text: String,
}

impl Form {
    fn new() -> Form {
        Form { text: String::with_capacity(512) }
    }

    /// Adds a pair; names keep their brackets, as SDKs send them.
    fn add(&mut self, name: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.push_str(name);
        self.text.push('=');
        self.text.extend(form_urlencoded::byte_serialize(value.as_bytes()));
    }
}

/// A payment intent that is confirmed at once. Ids and labels need no escaping.
fn charge_form(charge: &Charge, ids: &PlatformIds, run_id: &str, platform: u32) -> String {
    let mut text = String::with_capacity(480);
    let method = if charge.declined { "pm_card_visa_chargeDeclined" } else { "pm_card_visa" };
    let Charge { index, amount_minor, currency, customer, .. } = charge;
    // Writing into a String cannot fail.
    let _ = write!(
        text,
        "amount={amount_minor}&currency={}&customer={}&payment_method={method}&confirm=true\
         &automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never",
        currency.code(),
        ids.customers[*customer as usize],
    );
    let _ = match charge.payee {
        Payee::Seller { account, application_fee_minor: 0 } => {
            write!(text, "&transfer_data[destination]={}", ids.accounts[account as usize])
        }
        Payee::Seller { account, application_fee_minor } => write!(
            text,
            "&application_fee_amount={application_fee_minor}&transfer_data[destination]={}",
            ids.accounts[account as usize]
        ),
        Payee::Cart { rule } => write!(text, "&split_rule={}", ids.split_rules[rule as usize]),
    };
    let _ = write!(text, "&metadata[order_id]={run_id}-{platform}-{index}&metadata[method]={}", charge.method);
    text
}

/// A refund that takes the sellers' part and the platform's fee back.
fn refund_form(refund: &Refund, intent: &str) -> String {
    let mut text = format!("payment_intent={intent}&reverse_transfer=true");
    if !refund.cart {
        text.push_str("&refund_application_fee=true");
    }
    if let Some(amount) = refund.amount_minor {
        let _ = write!(text, "&amount={amount}");
    }
    text
}

fn customer_form(run_id: &str, platform: u32, index: u32, name: &str) -> String {
    let mut form = Form::new();
    form.add("name", name);
    form.add("email", &format!("buyer-{platform}-{index}@example.com"));
    form.add("metadata[run]", run_id);
    form.text
}

/// An individual seller whose test values make the account active in the answer that creates it.
fn account_form(run_id: &str, platform: u32, index: u32, country: Country, currency: Currency) -> String {
    let (city, postal_code, state) = match country.code() {
        "US" => ("San Francisco", "94111", Some("CA")),
        "NL" => ("Amsterdam", "1012JS", None),
        "DE" => ("Berlin", "10115", None),
        "GB" => ("London", "SW1A 1AA", None),
        _ => ("Town", "10000", None),
    };
    let (routing_number, account_number) = bank_number(country);
    let email = format!("seller-{platform}-{index}@example.com");
    let accepted_at = jiff::Timestamp::now().as_second().to_string();
    let fields = [
        ("type", "custom"),
        ("country", country.code()),
        ("email", &email),
        ("business_type", "individual"),
        ("capabilities[card_payments][requested]", "true"),
        ("capabilities[transfers][requested]", "true"),
        ("business_profile[mcc]", "5734"),
        ("business_profile[url]", "https://accessible.stripe.com"),
        ("individual[first_name]", "Jenny"),
        ("individual[last_name]", "Rosen"),
        ("individual[email]", &email),
        ("individual[phone]", "0000000000"),
        ("individual[dob][day]", "1"),
        ("individual[dob][month]", "1"),
        ("individual[dob][year]", "1902"),
        ("individual[address][line1]", "address_full_match"),
        ("individual[address][city]", city),
        ("individual[address][postal_code]", postal_code),
        ("individual[address][country]", country.code()),
        ("individual[id_number]", "222222222"),
        ("external_account[object]", "bank_account"),
        ("external_account[country]", country.code()),
        ("external_account[currency]", currency.code()),
        ("external_account[account_holder_name]", "Jenny Rosen"),
        ("external_account[account_holder_type]", "individual"),
        ("external_account[account_number]", &account_number),
        ("tos_acceptance[date]", &accepted_at),
        ("tos_acceptance[ip]", "203.0.113.7"),
        ("metadata[run]", run_id),
    ];
    let mut form = Form::new();
    for (name, value) in fields {
        form.add(name, value);
    }
    if let Some(state) = state {
        form.add("individual[address][state]", state);
    }
    if let Some(number) = routing_number {
        form.add("external_account[routing_number]", number);
    }
    form.text
}

/// Routing number and account number of the test bank account of a country.
fn bank_number(country: Country) -> (Option<&'static str>, String) {
    const WITH_IBAN: [&str; 34] = [
        "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GI", "GR", "HR", "HU", "IE", "IS",
        "IT", "LI", "LT", "LU", "LV", "MC", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK", "AE",
    ];
    match country.code() {
        "US" => (Some("110000000"), "000123456789".to_owned()),
        "GB" => (Some("108800"), "00012345".to_owned()),
        code if WITH_IBAN.contains(&code) => (None, iban(code, "370400440532013000")),
        _ => (None, "000123456789".to_owned()),
    }
}

/// ISO 13616: check digits such that the rearranged number, letters counted from 10, is 1 modulo 97.
fn iban(country: &str, account: &str) -> String {
    let remainder = account.bytes().chain(country.bytes()).chain(*b"00").fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        letter => (sum * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    format!("{country}{:02}{account}", 98 - remainder)
}

// ---------------------------------------------------------------------------------------------------------------
// The end

async fn finish(shared: &Shared, target: Rc<Target>, wall: Duration, cpu_s: Option<f64>) -> LoadReport {
    let mut link = Link::new(target, shared.options.timeout);
    let mut run = {
        let state = &mut *shared.state.borrow_mut();
        let recorder = std::mem::take(&mut state.recorder);
        let mut run = state.report.clone();
        run.latency = Some(recorder.latency());
        run.service = Some(recorder.service());
        run.series = recorder.into_series();
        run
    };
    run.wall_s = wall.as_secs_f64();
    let measured_s = (wall.as_secs_f64() - shared.options.warmup.as_secs_f64()).max(0.001);
    let measured = run.service.as_ref().map_or(0, |service| service.count);
    run.throughput = measured as f64 / measured_s;
    run.client = Some(ClientFigures {
        pace: match shared.options.pace {
            Pace::Speed(speed) => format!("speed {speed}"),
            Pace::Rate(rate) => format!("{rate} requests/s"),
            Pace::Max => "closed loop".to_owned(),
        },
        connections: shared.options.connections,
        warmup_s: shared.options.warmup.as_secs_f64(),
        run_id: shared.run_id.clone(),
        cpu_s,
        cpu_us_per_request: cpu_s.filter(|_| run.counts.attempted > 0).map(|s| s * 1e6 / run.counts.attempted as f64),
    });
    if shared.options.check_books {
        match get(&mut link, "/florin/trial_balance", None).await {
            Ok(body) => match TrialBalanceFigures::read(&body) {
                Some(figures) => {
                    if !figures.zero {
                        run.problem(format!("the trial balance is not zero: {:?}", figures.sums));
                    }
                    run.trial_balance = Some(figures);
                }
                None => run.problem("the trial balance could not be read".to_owned()),
            },
            Err(answer) => run.problem(format!("no trial balance: {answer}")),
        }
    }
    let accounts: Vec<String> = {
        let ids = shared.ids.borrow();
        ids.first().map(|ids| {
            let made = ids.accounts.iter().filter(|id| !id.is_empty());
            made.take(shared.options.top_accounts as usize).cloned().collect()
        })
    }
    .unwrap_or_default();
    for (rank, account) in accounts.into_iter().enumerate() {
        if let Ok(body) = get(&mut link, "/v1/balance", Some(account.clone())).await {
            let balances = BalanceLine::read(&body);
            run.top_accounts.push(AccountBalance { platform: 1, rank: rank as u32 + 1, id: account, balances });
        }
    }
    LoadReport { run, interrupted: shared.stopped.get() }
}

async fn get(link: &mut Link, path: &'static str, acting_for: Option<String>) -> Result<serde_json::Value, String> {
    let wire = Wire { method: Method::GET, platform: 0, path, idempotency_key: None, acting_for, body: Bytes::new() };
    match link.send(&wire).await {
        Ok(status) if status.is_success() => serde_json::from_slice(&link.answer).map_err(|e| e.to_string()),
        Ok(status) => Err(format!("{} {}", status.as_u16(), error_of(&link.answer).message)),
        Err(lost) => Err(lost.code().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Response, server};

    use super::*;
    use crate::simulation::traffic::Tally;

    /// How the stand-in for a daemon behaves.
    #[derive(Clone, Default)]
    struct Manners {
        /// Forget idempotency keys.
        forgetful: bool,
        /// Answer charges with one minor unit less.
        short: bool,
        /// Refuse accounts.
        refuses_accounts: bool,
        /// Indent answers, as some servers do.
        pretty: bool,
        /// Every answer takes this long.
        delay: Duration,
        /// After this many charges nothing is answered for so long.
        stall: Option<(u64, Duration)>,
    }

    #[derive(Default)]
    struct Seen {
        charges: u64,
        ids: u64,
        stalled_until: Option<Instant>,
        answers: BTreeMap<String, (u16, String)>,
        requests: Vec<(String, HeaderMap, String)>,
    }

    /// A stand-in for a daemon, on a port of its own.
    async fn serve(manners: Manners) -> (String, Arc<Mutex<Seen>>) {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, manners) = (Arc::clone(&shared), manners.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, manners) = (Arc::clone(&seen), manners.clone());
                    async move { Ok::<_, Infallible>(answer(request, &seen, &manners).await) }
                });
                tokio::spawn(async move {
                    let _ = server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (format!("http://{address}"), seen)
    }

    async fn answer(request: Request<Incoming>, seen: &Mutex<Seen>, manners: &Manners) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let (status, text) = decide(&path, &parts.headers, body, &mut seen.lock().unwrap(), manners);
        let until = seen.lock().unwrap().stalled_until;
        tokio::time::sleep(manners.delay).await;
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
        let mut text = text;
        if manners.pretty {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            text = serde_json::to_string_pretty(&value).unwrap();
        }
        Response::builder().status(status).body(Full::new(Bytes::from(text))).unwrap()
    }

    fn decide(path: &str, headers: &HeaderMap, body: String, seen: &mut Seen, manners: &Manners) -> (u16, String) {
        let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        let replay = key.as_ref().and_then(|key| seen.answers.get(key)).cloned();
        seen.requests.push((path.to_owned(), headers.clone(), body.clone()));
        if let Some(answer) = replay.filter(|_| !manners.forgetful) {
            return answer;
        }
        let field = |name: &str| {
            form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        seen.ids += 1;
        let number = seen.ids;
        let decided = match path {
            "/v1/accounts" if manners.refuses_accounts => {
                let error = r#"{"error":{"type":"invalid_request_error","message":"No.","param":"country"}}"#;
                (400, error.to_owned())
            }
            "/v1/accounts" => (200, format!(r#"{{"id":"acct_{number}"}}"#)),
            "/v1/customers" => (200, format!(r#"{{"id":"cus_{number}"}}"#)),
            "/florin/split_rules" => (200, format!(r#"{{"id":"split_{number}"}}"#)),
            "/v1/payment_intents" if field("payment_method").unwrap().ends_with("Declined") => {
                (402, r#"{"error":{"type":"card_error","code":"card_declined"}}"#.to_owned())
            }
            "/v1/payment_intents" => {
                seen.charges += 1;
                if let Some((after, time)) = manners.stall
                    && seen.charges == after
                {
                    seen.stalled_until = Some(Instant::now() + time);
                }
                let amount: i64 = field("amount").unwrap().parse().unwrap();
                let amount = amount - i64::from(manners.short);
                let rest = r#""metadata":{},"status":"succeeded","transfer_data":null}"#;
                (200, format!(r#"{{"id":"pi_{number}","object":"payment_intent","amount":{amount},{rest}"#))
            }
            "/v1/refunds" => {
                let intent = field("payment_intent").unwrap();
                let charge = seen.answers.values().find(|(_, text)| text.contains(&format!("\"{intent}\""))).unwrap();
                let all = find_integer(charge.1.as_bytes(), b"\"amount\":").unwrap();
                let amount = field("amount").map_or(all, |amount| amount.parse().unwrap());
                (200, format!(r#"{{"id":"re_{number}","amount":{amount},"status":"succeeded"}}"#))
            }
            "/florin/trial_balance" => (
                200,
                r#"{"object":"florin.trial_balance","balanced":true,"rows":[
                {"account":"bank","amount":-120,"currency":"eur"},{"account":"fees","amount":120,"currency":"eur"}],
                "sums":[{"amount":0,"currency":"eur"}]}"#
                    .to_owned(),
            ),
            "/v1/balance" => (
                200,
                r#"{"available":[{"amount":5,"currency":"eur"}],"pending":[{"amount":7,"currency":"eur"}]}"#.to_owned(),
            ),
            _ => (404, r#"{"error":{"type":"invalid_request_error"}}"#.to_owned()),
        };
        if let Some(key) = key {
            seen.answers.insert(key, decided.clone());
        }
        decided
    }

    fn smoke(url: &str) -> LoadOptions {
        let text = include_str!("../../simulations/smoke.toml");
        let scenario = Scenario::parse(text, "smoke.toml").unwrap();
        LoadOptions {
            pace: Pace::Max,
            connections: 8,
            stop_on_ctrl_c: false,
            ..LoadOptions::new(url, scenario, "sk_test_florin")
        }
    }

    fn in_runtime<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn a_whole_plan_goes_over_the_wire_as_it_was_made() {
        for pretty in [false, true] {
            let (report, seen) = in_runtime(async {
                let (url, seen) = serve(Manners { pretty, ..Manners::default() }).await;
                (run(smoke(&url)).await.unwrap(), seen)
            });
            let options = smoke("http://localhost");
            let tally = Tally::of(Plan::new(&options.scenario, 1, 1.0).unwrap().traffic());
            let counts = &report.run.counts;
            assert_eq!(report.run.problems, Vec::<String>::new());
            assert!(report.passed() && !report.interrupted);
            assert_eq!(counts.attempted, tally.charges + tally.repeats + tally.refunds);
            assert_eq!(counts.succeeded, tally.charges - tally.declined);
            assert_eq!((counts.declined, counts.repeated), (tally.declined, tally.repeats));
            assert_eq!((counts.refunded, counts.errors, counts.skipped), (tally.refunds, 0, 0));
            assert_eq!(report.run.amounts["eur"].charges, counts.succeeded);
            assert_eq!(report.run.top_accounts.len(), 10);
            assert_eq!(report.run.top_accounts[0].balances[0].pending_minor, 7);
            assert_eq!(report.run.latency.as_ref().map(|latency| latency.count), Some(counts.attempted));
            assert_eq!(seen.lock().unwrap().charges, tally.charges - tally.declined);
        }
    }

    #[test]
    fn requests_look_like_those_of_an_sdk() {
        let seen = in_runtime(async {
            let (url, seen) = serve(Manners::default()).await;
            run(LoadOptions { run_id: Some("r1".to_owned()), ..smoke(&url) }).await.unwrap();
            seen
        });
        let seen = seen.lock().unwrap();
        let first = |path: &str, part: &str| {
            let found = seen.requests.iter().find(|(at, _, body)| at == path && body.contains(part));
            found.map(|(_, headers, body)| (headers.clone(), body.clone())).unwrap()
        };
        let (headers, charge) = first("/v1/payment_intents", "transfer_data");
        assert_eq!(headers["authorization"], "Bearer sk_test_florin");
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(headers["stripe-version"], STRIPE_VERSION);
        assert!(headers["idempotency-key"].to_str().unwrap().starts_with("florin-load-r1-0-c"));
        for part in ["&confirm=true&", "&customer=cus_", "&application_fee_amount=", "[destination]=acct_", "[method]="]
        {
            assert!(charge.contains(part), "{part} in {charge}");
        }
        let (_, cart) = first("/v1/payment_intents", "split_rule=split_");
        assert!(!cart.contains("application_fee_amount"));
        let (_, account) = first("/v1/accounts", "");
        assert!(account.contains("external_account[account_number]=NL"), "{account}");
        let (_, rule) = first("/florin/split_rules", "");
        assert!(rule.contains("shares[0][account]=platform&shares[0][percent]=8.0000&"), "{rule}");
        assert!(rule.contains("&shares[1][amount]=25&shares[2][account]=acct_"), "{rule}");
        let (_, refund) = first("/v1/refunds", "refund_application_fee=true");
        assert!(refund.starts_with("payment_intent=pi_"), "{refund}");
    }

    #[test]
    fn a_stall_shows_in_every_request_that_was_due_meanwhile() {
        let stall = Duration::from_millis(600);
        let report = in_runtime(async {
            let (url, _) = serve(Manners { stall: Some((60, stall)), ..Manners::default() }).await;
            run(LoadOptions { pace: Pace::Rate(200.0), connections: 4, ..smoke(&url) }).await.unwrap()
        });
        assert_eq!(report.run.counts.errors, 0, "{:?}", report.run.counts);
        let (latency, service) = (report.run.latency.unwrap(), report.run.service.unwrap());
        // Some 120 of 340 requests were due while nothing moved; four of them were on the wire.
        assert!(latency.p90_us > 150_000, "{latency:?}");
        assert!(latency.max_us > 500_000, "{latency:?}");
        assert!(service.p90_us < 100_000, "{service:?}");
        assert!(service.max_us > 500_000, "{service:?}");
    }

    #[test]
    fn what_was_due_but_never_sent_counts_with_its_wait() {
        let report = in_runtime(async {
            let (url, _) = serve(Manners { delay: Duration::from_millis(40), ..Manners::default() }).await;
            let duration = Some(Duration::from_millis(400));
            run(LoadOptions { pace: Pace::Rate(500.0), connections: 2, duration, ..smoke(&url) }).await.unwrap()
        });
        let counts = &report.run.counts;
        assert!(counts.unsent > 100, "{counts:?}");
        assert_eq!(counts.unsent + counts.attempted, 200, "{counts:?}");
        let latency = report.run.latency.unwrap();
        assert_eq!(latency.count, 200);
        assert!(latency.max_us >= 300_000 && latency.p50_us > 100_000, "{latency:?}");
    }

    #[test]
    fn the_scenarios_own_pace_ends_with_its_refunds() {
        let started = Instant::now();
        let report = in_runtime(async {
            let (url, _) = serve(Manners::default()).await;
            run(LoadOptions { pace: Pace::Speed(1_000.0), ..smoke(&url) }).await.unwrap()
        });
        assert!(report.passed());
        assert!(started.elapsed() >= Duration::from_millis(600));
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_warm_up_is_checked_but_not_measured() {
        let report = in_runtime(async {
            let (url, _) = serve(Manners::default()).await;
            let warmup = Duration::from_millis(300);
            run(LoadOptions { pace: Pace::Rate(500.0), warmup, ..smoke(&url) }).await.unwrap()
        });
        assert!(report.run.counts.warmup >= 150, "{:?}", report.run.counts);
        let measured = report.run.latency.unwrap().count;
        assert_eq!(measured + report.run.counts.warmup, report.run.counts.attempted);
    }

    #[test]
    fn a_second_payment_under_one_key_is_a_problem() {
        let report = in_runtime(async {
            let (url, _) = serve(Manners { forgetful: true, ..Manners::default() }).await;
            run(smoke(&url)).await.unwrap()
        });
        assert!(!report.passed());
        assert!(report.run.problems[0].contains("two payment intents under one key: pi_"), "{:?}", report.run.problems);
    }

    #[test]
    fn an_amount_that_is_not_the_one_asked_for_is_a_problem() {
        let report = in_runtime(async {
            let (url, _) = serve(Manners { short: true, ..Manners::default() }).await;
            run(LoadOptions { scale: 0.1, ..smoke(&url) }).await.unwrap()
        });
        assert!(report.run.problem_count >= 25);
        assert!(report.run.problems[0].contains("with status succeeded"), "{:?}", report.run.problems);
    }

    #[test]
    fn a_run_that_cannot_be_says_why() {
        let refused = |options: LoadOptions| in_runtime(run(options)).unwrap_err().to_string();
        let refusals = [
            (smoke("https://localhost"), "cannot send to \"https://localhost\": expected http://HOST:PORT"),
            (smoke("http://localhost/v1"), "cannot send to \"http://localhost/v1\""),
            (smoke("http://127.0.0.1:1"), "cannot connect to http://127.0.0.1:1: "),
            (LoadOptions { keys: vec![], ..smoke("http://localhost") }, "the scenario has 1 platforms, but 0 keys"),
            (LoadOptions { pace: Pace::Rate(0.0), ..smoke("http://localhost") }, "a rate of 0 sends nothing"),
            (LoadOptions { pace: Pace::Speed(f64::NAN), ..smoke("http://localhost") }, "a speed of NaN goes nowhere"),
            (LoadOptions { connections: 0, ..smoke("http://localhost") }, "0 connections are out of range"),
            (LoadOptions { scale: 0.0, ..smoke("http://localhost") }, "a scale of 0 makes no scenario"),
        ];
        for (options, expected) in refusals {
            let message = refused(options);
            assert!(message.starts_with(expected), "{message}");
        }
        let refusal = in_runtime(async {
            let (url, _) = serve(Manners { refuses_accounts: true, ..Manners::default() }).await;
            run(smoke(&url)).await.unwrap_err().to_string()
        });
        assert!(refusal.starts_with("cannot set up account "), "{refusal}");
        assert!(refusal.ends_with(" in NL: 400 invalid_request_error (country): No."), "{refusal}");
    }

    #[test]
    fn a_glance_reads_what_a_parse_reads() {
        let compact = br#"{"id":"pi_1","object":"payment_intent","amount":4200,"latest_charge":"ch_1","status":"succeeded","transfer_data":{"destination":"acct_1"}}"#;
        assert_eq!(IntentAnswer::glance(compact), serde_json::from_slice(compact).ok());
        for other in [
            br#"{"id":"pi_1","amount":4200,"status":"requires_action"}"#.as_slice(),
            br#"{ "id": "pi_1", "amount": 4200, "status": "succeeded" }"#,
            br#"{"id":"ch_1","amount":4200,"status":"succeeded"}"#,
            br#"{"id":"pi_1"#,
            b"",
        ] {
            assert_eq!(IntentAnswer::glance(other), None);
        }
    }

    #[test]
    fn test_ibans_have_right_check_digits() {
        assert_eq!(iban("DE", "370400440532013000"), "DE89370400440532013000");
        assert_eq!(bank_number(Country::US).0, Some("110000000"));
    }

    #[test]
    fn the_cpu_time_of_this_process_grows() {
        if let Some(before) = cpu_seconds() {
            let started = std::time::Instant::now();
            while started.elapsed() < Duration::from_millis(60) {
                std::hint::black_box(started);
            }
            let used = cpu_seconds().unwrap() - before;
            assert!((0.01..10.0).contains(&used), "{used}");
        }
    }
}
