//! The router actor: one per platform. Gives every command of the platform its place, decides it on the machine, sends
//! the postings to the account actors, and hands the entries to the journal. Replies leave when they are durable.
//!
//! Handlers translate; the rules are in `domain/`, the order is in [`super::machine`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResponse, WrapFuture,
};
use futures_util::future::{FutureExt, join_all};
use tokio::sync::{mpsc, oneshot};

use super::account_actor::{AccountActor, Apply, Ask};
use super::clock;
use super::idempotency::Known;
use super::journal::{Append, Writer};
use super::machine::{Decided, Fetch, Machine, Step};
use super::platform::{Answer, Core, RatesInForce, SubmitError};
use super::state::{Clock, State};
use crate::domain::command::{Command, Request};
use crate::domain::decide::Need;
use crate::domain::record::{RecordKey, Shared};
use crate::domain::tables::Tables;
use crate::ledger::{AccountNo, Books, TrialBalance};
use crate::primitives::time::Timestamp;

/// How many due items may ride along with one batch of a real clock.
const DUE_PER_BATCH: usize = 256;

/// What a submission came to.
#[derive(Debug)]
pub enum Settled {
    /// Its own answer.
    Answer(Answer),
    /// That of the entry which used the idempotency key first.
    Replay(u64),
}

/// The other end of a submission.
pub type ReplyTo = oneshot::Sender<Result<Settled, SubmitError>>;

/// A request on its way through the router.
#[derive(Debug)]
pub struct Submission {
    /// What is wanted.
    pub request: Request,
    /// When it comes, on a simulated clock; `None`: now.
    pub at: Option<Timestamp>,
    /// Who waits.
    pub reply: ReplyTo,
}

/// Submits a request.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Submit(pub Submission);

/// Asks for what is at hand of some records: `None` where the store has to be asked.
#[derive(Debug, Message)]
#[rtype(result = "Seen<Vec<Option<Option<Shared>>>>")]
pub struct Records(pub Vec<RecordKey>);

/// Asks for an account's books.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AskBooks(pub AccountNo, pub oneshot::Sender<(Books, Timestamp)>);

/// Asks how far the platform is, and what its trial balance says.
#[derive(Debug, Message)]
#[rtype(result = "Seen<TrialBalance>")]
pub struct AskTrialBalance;

/// Asks for the state: for digests and snapshots.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AskState(pub Which, pub oneshot::Sender<Image>);

/// Whose books an image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of every account that has any.
    All,
    /// The same, for a snapshot: what changes from now on is noted anew.
    Everything,
    /// Of the accounts that changed since the last snapshot.
    Changed,
}

/// Ends the router: it lets go of the journal's writer and of its account actors.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Halt;

/// Asks for the tables in force.
#[derive(Debug, Message)]
#[rtype(result = "Seen<Tables>")]
pub struct AskTables;

/// Asks for the birth of a split rule.
#[derive(Debug, Message)]
#[rtype(result = "Seen<Option<u64>>")]
pub struct AskRule(pub String);

/// Asks for what money is converted by.
#[derive(Debug, Message)]
#[rtype(result = "Seen<RatesInForce>")]
pub struct AskRates;

/// Asks what is at hand of an idempotency key.
#[derive(Debug, Message)]
#[rtype(result = "Seen<Known>")]
pub struct AskKey(pub [u8; 16]);

/// The state of a platform between two batches.
#[derive(Debug)]
pub struct Image {
    /// The router's share.
    pub state: State,
    /// Books of accounts, in order.
    pub books: Vec<(AccountNo, Books)>,
}

/// Something that was read, and the sequence of the state that it shows.
#[derive(Debug, MessageResponse)]
pub struct Seen<T: 'static> {
    /// What was read.
    pub value: T,
    /// Of which state.
    pub seq: u64,
    /// The platform's time.
    pub now: Timestamp,
}

/// Replies that wait for the durable mark, in order of sequence.
#[derive(Debug, Default)]
struct Waiting {
    replies: VecDeque<(u64, ReplyTo, Result<Settled, SubmitError>)>,
    durable: u64,
}

impl Waiting {
    fn push(&mut self, seq: u64, to: ReplyTo, reply: Result<Settled, SubmitError>) {
        if seq <= self.durable {
            // Nobody may be listening any more: the caller hung up, its effect stays.
            let _ = to.send(reply);
        } else {
            self.replies.push_back((seq, to, reply));
        }
    }

    fn advance(&mut self, durable: u64) {
        self.durable = self.durable.max(durable);
        while self.replies.front().is_some_and(|(seq, ..)| *seq <= self.durable) {
            if let Some((_, to, reply)) = self.replies.pop_front() {
                let _ = to.send(reply);
            }
        }
    }
}

/// The router of one platform.
pub struct RouterActor {
    work: Option<Work>,
    queue: Vec<Submission>,
    flushing: bool,
    waiting: Rc<RefCell<Waiting>>,
    acks: Option<mpsc::UnboundedReceiver<u64>>,
    books: Option<BTreeMap<AccountNo, Books>>,
}

/// What an open batch works with: out of the actor while it runs, so that nothing else can touch it.
struct Work {
    machine: Machine,
    accounts: BTreeMap<AccountNo, Addr<AccountActor>>,
    core: Arc<Core>,
    writer: Arc<Writer>,
    waiting: Rc<RefCell<Waiting>>,
    batch: Vec<Append>,
    replies: Vec<(u64, ReplyTo, Result<Settled, SubmitError>)>,
    batch_limit: usize,
    /// Accounts whose books changed since the last snapshot.
    changed: BTreeSet<AccountNo>,
}

impl RouterActor {
    /// A router on a recovered machine and its accounts' books.
    pub fn new(
        machine: Machine,
        (books, changed): (BTreeMap<AccountNo, Books>, BTreeSet<AccountNo>),
        core: Arc<Core>,
        writer: Arc<Writer>,
        acks: mpsc::UnboundedReceiver<u64>,
        batch_limit: usize,
    ) -> RouterActor {
        let waiting = Rc::new(RefCell::new(Waiting { replies: VecDeque::new(), durable: machine.state.seq }));
        let work = Work {
            machine,
            accounts: BTreeMap::new(),
            core,
            writer,
            waiting: Rc::clone(&waiting),
            batch: Vec::new(),
            replies: Vec::new(),
            batch_limit: batch_limit.max(1),
            changed,
        };
        RouterActor {
            work: Some(work),
            queue: Vec::new(),
            flushing: false,
            waiting,
            acks: Some(acks),
            books: Some(books),
        }
    }

    fn flush_soon(&mut self, ctx: &mut Context<RouterActor>) {
        if !self.flushing {
            self.flushing = true;
            ctx.notify(Flush);
        }
    }

    fn work(&mut self) -> &mut Work {
        match &mut self.work {
            Some(work) => work,
            // Handlers do not run while a batch is open: `ctx.wait` holds them back.
            None => die("a router was asked something inside a batch"),
        }
    }
}

/// A bug of ours that leaves memory and books apart: the process ends, and recovery replays the journal.
fn die(what: &str) -> ! {
    tracing::error!(what, "stopping at once: the journal is the truth, start again");
    std::process::abort()
}

impl Actor for RouterActor {
    type Context = Context<RouterActor>;

    fn started(&mut self, ctx: &mut Context<RouterActor>) {
        ctx.set_mailbox_capacity(usize::MAX >> 1);
        if let (Some(work), Some(books)) = (self.work.as_mut(), self.books.take()) {
            for (account, books) in books {
                work.accounts.insert(account, AccountActor::new(books).start());
            }
        }
        if let Some(mut acks) = self.acks.take() {
            let waiting = Rc::clone(&self.waiting);
            actix::spawn(async move {
                while let Some(mut durable) = acks.recv().await {
                    while let Ok(later) = acks.try_recv() {
                        durable = durable.max(later);
                    }
                    waiting.borrow_mut().advance(durable);
                }
            });
        }
        // What is due on a real clock fires without a request.
        ctx.run_interval(Duration::from_millis(200), |router, ctx| {
            let Some(work) = &router.work else { return };
            let state = &work.machine.state;
            let until = if state.clock == Clock::Real { clock::wall() } else { state.target.unwrap_or(state.now) };
            if state.next_due(until).is_some() {
                router.flush_soon(ctx);
            }
        });
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Handler<Submit> for RouterActor {
    type Result = ();

    fn handle(&mut self, Submit(submission): Submit, ctx: &mut Context<RouterActor>) {
        self.queue.push(submission);
        self.flush_soon(ctx);
    }
}

impl Handler<Flush> for RouterActor {
    type Result = ();

    fn handle(&mut self, Flush: Flush, ctx: &mut Context<RouterActor>) {
        let Some(mut work) = self.work.take() else {
            // A question has it: the context polls items once more after a message of the mailbox has made it wait.
            // This one comes again, behind the answer.
            ctx.notify(Flush);
            return;
        };
        self.flushing = false;
        let queue = std::mem::take(&mut self.queue);
        let batch = async move {
            // Decisions catch their own panics. One anywhere else leaves machine, accounts and journal apart.
            if AssertUnwindSafe(work.run(queue)).catch_unwind().await.is_err() {
                die("a batch panicked");
            }
            work
        };
        ctx.wait(batch.into_actor(self).map(|work, router, _| router.work = Some(work)));
    }
}

impl Handler<Records> for RouterActor {
    type Result = Seen<Vec<Option<Option<Shared>>>>;

    fn handle(&mut self, Records(keys): Records, _: &mut Context<RouterActor>) -> Self::Result {
        let machine = &mut self.work().machine;
        let value = keys.into_iter().map(|key| machine.record(key)).collect();
        Seen { value, seq: machine.state.seq, now: machine.state.now }
    }
}

impl Handler<AskTrialBalance> for RouterActor {
    type Result = Seen<TrialBalance>;

    fn handle(&mut self, _: AskTrialBalance, _: &mut Context<RouterActor>) -> Self::Result {
        let state = &self.work().machine.state;
        Seen { value: state.trial_balance(), seq: state.seq, now: state.now }
    }
}

impl Handler<AskRule> for RouterActor {
    type Result = Seen<Option<u64>>;

    fn handle(&mut self, AskRule(name): AskRule, _: &mut Context<RouterActor>) -> Self::Result {
        let state = &self.work().machine.state;
        Seen { value: state.rules.get(&name).copied(), seq: state.seq, now: state.now }
    }
}

impl Handler<AskTables> for RouterActor {
    type Result = Seen<Tables>;

    fn handle(&mut self, _: AskTables, _: &mut Context<RouterActor>) -> Self::Result {
        let state = &self.work().machine.state;
        Seen { value: state.tables.clone(), seq: state.seq, now: state.now }
    }
}

impl Handler<AskRates> for RouterActor {
    type Result = Seen<RatesInForce>;

    fn handle(&mut self, _: AskRates, _: &mut Context<RouterActor>) -> Self::Result {
        let work = self.work();
        let (now, machine) = (work.now(), &work.machine);
        let value = RatesInForce { tables: machine.state.tables.clone(), market: Arc::clone(machine.rates()), now };
        Seen { value, seq: machine.state.seq, now }
    }
}

impl Handler<AskKey> for RouterActor {
    type Result = Seen<Known>;

    fn handle(&mut self, AskKey(key): AskKey, _: &mut Context<RouterActor>) -> Self::Result {
        let work = self.work();
        let (state, now) = (&work.machine.state, work.now());
        Seen { value: state.idempotency.find(&key, now), seq: state.seq, now }
    }
}

impl Handler<AskBooks> for RouterActor {
    type Result = ();

    fn handle(&mut self, AskBooks(account, to): AskBooks, ctx: &mut Context<RouterActor>) {
        let Some(work) = self.work.take() else { die("asked inside a batch") };
        let asked = async move {
            let books = work.ask(account).await;
            let now = work.now();
            let _ = to.send((books, now));
            work
        };
        ctx.wait(asked.into_actor(self).map(|work, router, _| router.work = Some(work)));
    }
}

impl Handler<AskState> for RouterActor {
    type Result = ();

    fn handle(&mut self, AskState(which, to): AskState, ctx: &mut Context<RouterActor>) {
        let Some(mut work) = self.work.take() else { die("asked inside a batch") };
        let asked = async move {
            let image = work.image(which).await;
            let _ = to.send(image);
            work
        };
        ctx.wait(asked.into_actor(self).map(|work, router, _| router.work = Some(work)));
    }
}

impl Handler<Halt> for RouterActor {
    type Result = ();

    fn handle(&mut self, Halt: Halt, ctx: &mut Context<RouterActor>) {
        self.work = None;
        ctx.stop();
    }
}

impl Work {
    /// The platform's time.
    fn now(&self) -> Timestamp {
        let state = &self.machine.state;
        match state.clock {
            Clock::Real => clock::wall().max(state.now),
            Clock::Virtual => state.now,
        }
    }

    async fn run(&mut self, queue: Vec<Submission>) {
        self.fire_due().await;
        for submission in queue {
            self.settle(submission).await;
            if self.batch.len() >= self.batch_limit {
                self.commit().await;
            }
        }
        self.commit().await;
        let projected = self.core.projected();
        self.machine.sweep(projected);
    }

    /// Real clock: some of what is due. Virtual clock: the rest of an advance, or of a request, that a restart
    /// interrupted.
    async fn fire_due(&mut self) {
        if self.machine.state.target.is_some() {
            return self.advance().await;
        }
        if self.machine.state.clock == Clock::Virtual {
            return self.fire_until(self.machine.state.now).await;
        }
        let until = self.now();
        for _ in 0..DUE_PER_BATCH {
            let Some((request, _)) = self.machine.due_request(until) else { break };
            if !self.fire(&request, until).await {
                break;
            }
        }
    }

    async fn settle(&mut self, submission: Submission) {
        let Submission { request, at, reply } = submission;
        if let Some(at) = at {
            self.fire_until(at).await;
        }
        let now = at.unwrap_or_else(|| self.now());
        let step = self.decide(&request, now).await;
        let seq = self.machine.state.seq;
        let settled = match step {
            Step::Decided(decided) => {
                if matches!(request.command, Command::AdvanceClock { .. }) {
                    self.advance().await;
                } else if self.machine.state.clock == Clock::Virtual {
                    // Its time stands still: what is due at once would wait for an advance.
                    self.fire_until(self.machine.state.now).await;
                }
                Ok(Settled::Answer(answer(*decided)))
            }
            Step::Replay(seq) => Ok(Settled::Replay(seq)),
            Step::Refused(refusal) => Err(SubmitError::Refused(refusal)),
            Step::KeyReused { other_endpoint, seq } => Err(SubmitError::KeyReused { other_endpoint, seq }),
            Step::Panicked => Err(SubmitError::Panicked),
            Step::Missing(_) => die("a fact was missing after it had been fetched"),
        };
        // A reply names the state that it saw: it leaves when that is durable.
        let seq = self.machine.state.seq.max(seq);
        self.replies.push((seq, reply, settled));
    }

    /// A simulated clock moves to `at`: everything due before fires first, each at its due time.
    async fn fire_until(&mut self, at: Timestamp) {
        while let Some((request, due_at)) = self.machine.due_request(at) {
            if !self.fire(&request, due_at).await {
                break;
            }
            if self.batch.len() >= self.batch_limit {
                self.commit().await;
            }
        }
    }

    /// Fires everything up to the target of an advance, in slices that let the cell breathe.
    async fn advance(&mut self) {
        while let Some(target) = self.machine.state.target {
            let Some((request, due_at)) = self.machine.due_request(target) else { break };
            if !self.fire(&request, due_at).await {
                break;
            }
            if self.batch.len() >= self.batch_limit {
                self.commit().await;
                tokio::task::yield_now().await;
            }
        }
        self.machine.state.settle_clock();
    }

    /// Fires a due item. One that cannot be decided is a bug of ours: it stays first in the queue, and is said loudly
    /// rather than tried for ever.
    async fn fire(&mut self, request: &Request, now: Timestamp) -> bool {
        match self.decide(request, now).await {
            Step::Decided(_) => true,
            step => {
                tracing::error!(command = ?request.command, ?step, "what is due could not be decided; it stays due");
                false
            }
        }
    }

    /// Decides one request, fetching what it needs; its entry joins the batch.
    async fn decide(&mut self, request: &Request, now: Timestamp) -> Step {
        loop {
            match self.machine.decide(request, now) {
                Step::Missing(Fetch::Fact(Need::Books(account))) => {
                    let books = self.ask(account).await;
                    self.machine.give_books(account, books);
                }
                Step::Missing(Fetch::Fact(Need::Record(key))) => {
                    let record = self.core.stored_record(key);
                    self.machine.give_record(key, record);
                }
                Step::Missing(Fetch::Key(key)) => {
                    let used = self.core.stored_key(&key, now);
                    self.machine.give_key(key, used);
                }
                Step::Decided(decided) => {
                    if self.core.vault.ensure(self.machine.state.next_key_no.saturating_add(1)).is_err() {
                        die("the key file cannot be grown");
                    }
                    let (platform, seq) = (self.core.number, decided.seq);
                    self.batch.push(Append { platform, seq, payload: decided.bytes.clone() });
                    return Step::Decided(decided);
                }
                step @ (Step::Refused(_) | Step::Replay(_) | Step::KeyReused { .. } | Step::Panicked) => return step,
            }
        }
    }

    /// An account's books as its actor has them; an account that never moved has none and no need of an actor yet.
    async fn ask(&self, account: AccountNo) -> Books {
        let Some(actor) = self.accounts.get(&account) else { return Books::default() };
        match actor.send(Ask).await {
            Ok(totals) => totals.0,
            Err(_) => die("an account actor is gone"),
        }
    }

    /// Sends the batch's postings to the accounts, compares their answers, and hands the entries to the journal.
    async fn commit(&mut self) {
        if !self.batch.is_empty() {
            self.post().await;
            let batch = std::mem::take(&mut self.batch);
            if let Err(error) = self.writer.append(batch) {
                tracing::error!(%error, "the journal takes no entries");
                die("the journal takes no entries");
            }
        }
        let mut waiting = self.waiting.borrow_mut();
        for (seq, to, reply) in self.replies.drain(..) {
            waiting.push(seq, to, reply);
        }
    }

    async fn post(&mut self) {
        let posts = self.machine.take_posts();
        let mut accounts = Vec::with_capacity(posts.len());
        let mut sends = Vec::with_capacity(posts.len());
        for (account, posts) in posts {
            let actor = self.accounts.entry(account).or_insert_with(|| AccountActor::new(Books::default()).start());
            self.changed.insert(account);
            accounts.push(account);
            sends.push(actor.send(Apply(posts)));
        }
        for (account, totals) in accounts.into_iter().zip(join_all(sends).await) {
            let Ok(totals) = totals else { die("an account actor is gone") };
            if self.machine.copy(account).is_some_and(|copy| *copy != totals.0) {
                die("an account's books differ from the router's copy");
            }
        }
    }

    async fn image(&mut self, which: Which) -> Image {
        let wanted: Vec<(AccountNo, &Addr<AccountActor>)> = match which {
            Which::All | Which::Everything => self.accounts.iter().map(|(&account, actor)| (account, actor)).collect(),
            Which::Changed => {
                self.changed.iter().filter_map(|&account| Some((account, self.accounts.get(&account)?))).collect()
            }
        };
        let totals = join_all(wanted.iter().map(|(_, actor)| actor.send(Ask))).await;
        let books = wanted
            .into_iter()
            .zip(totals)
            .map(|((account, _), totals)| match totals {
                Ok(totals) => (account, totals.0),
                Err(_) => die("an account actor is gone"),
            })
            .filter(|(_, books)| which == Which::Changed || !books.holdings().is_empty())
            .collect();
        if which != Which::All {
            self.changed.clear();
        }
        Image { state: self.machine.state.clone(), books }
    }
}

fn answer(decided: Decided) -> Answer {
    let Decided { seq, now, reply, images, .. } = decided;
    Answer { reply, seq, now, images, replay_of: None }
}

impl std::fmt::Debug for RouterActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouterActor").field("queued", &self.queue.len()).finish_non_exhaustive()
    }
}
