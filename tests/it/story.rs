//! A day in a small town in which every kind of command happens: what journals are filled with, where it matters that
//! nothing is missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use florin::domain::command::{
    AccountInput, Command, ExternalInput, ExternalPatch, IdempotencyKey, IntentInput, MethodInput, PersonInput,
    RejectReason, Request, Verdict,
};
use florin::domain::decide::Reply;
use florin::domain::due::DueKind;
use florin::domain::facts::{Facts, Field, Finding, active_individual};
use florin::domain::record::{
    BankOutcome, BusinessType, CaptureMethod, DisputeReason, EvidenceWords, MethodRef, Recipe, RecordKey, RefundReason,
    Share, ShareTerms, Slot, TokenContent,
};
use florin::domain::tables::Tables;
use florin::engine::entry::JournalEntry;
use florin::engine::plain::{Plain, Told};
use florin::engine::vault::{KeyVault, Root};
use florin::ledger::{AccountNo, Bucket, FeeKind, House, Leg, Posting, SourceType};
use florin::primitives::id::{IdCipher, ObjectId, ObjectKind};
use florin::primitives::money::Money;
use florin::primitives::time::Timestamp;
use florin::primitives::{Country, Currency};

use crate::town::{Done, Town, bank, card, dispute_id, intent, refund, seller};

const USD: Currency = Currency::USD;
const EUR: Currency = Currency::EUR;
const P: AccountNo = AccountNo::PLATFORM;

/// A town, and the requests that made it, with the time of each.
pub struct Story {
    pub town: Town,
    pub requests: Vec<(Request, Timestamp)>,
}

/// A bare machine with the town's secrets: to decide its entries again.
pub fn fresh() -> (Plain, KeyVault) {
    let vault = KeyVault::seeded(7, 1);
    let ids = Arc::new(IdCipher::new(Root::seeded(7).platform(1).ids));
    (Plain::new(ids, Arc::new(vault.clone()), true), vault)
}

/// Decides an entry again, and expects the same bytes.
pub fn decide_again(plain: &mut Plain, vault: &KeyVault, payload: &[u8]) {
    let entry = JournalEntry::from_bytes(payload).expect("an entry");
    let seq = plain.world.state.seq + 1;
    match plain.decide(&entry.request(vault), entry.now) {
        Told::Decided(decided) => assert_eq!(decided.bytes, payload, "entry {seq}: {:?}", entry.command),
        other => panic!("entry {seq}, {:?}, came to {other:?}", entry.command),
    }
    plain.machine.state.settle_clock();
}

/// The number of every kind of command, and how many there are: a new kind does not compile until it is told of here.
pub const KINDS: usize = 52;

/// The same of due items.
pub const DUE_KINDS: usize = 11;

fn kind(command: &Command) -> usize {
    match command {
        Command::CreateAccount(_) => 0,
        Command::UpdateAccount { .. } => 1,
        Command::DeleteAccount { .. } => 2,
        Command::SetCapability { .. } => 3,
        Command::CreateCustomer { .. } => 4,
        Command::UpdateCustomer { .. } => 5,
        Command::DeleteCustomer { .. } => 6,
        Command::CreateCardToken { .. } => 7,
        Command::CreateBankToken { .. } => 8,
        Command::CreateMethod { .. } => 9,
        Command::UpdateMethod { .. } => 10,
        Command::AttachMethod { .. } => 11,
        Command::DetachMethod { .. } => 12,
        Command::CreateIntent(_) => 13,
        Command::UpdateIntent { .. } => 14,
        Command::ConfirmIntent { .. } => 15,
        Command::CaptureIntent { .. } => 16,
        Command::CancelIntent { .. } => 17,
        Command::UpdateCharge { .. } => 18,
        Command::CreateRefund { .. } => 19,
        Command::UpdateRefund { .. } => 20,
        Command::CreateTransfer { .. } => 21,
        Command::UpdateTransfer { .. } => 22,
        Command::ReverseTransfer { .. } => 23,
        Command::UpdateReversal { .. } => 24,
        Command::RefundFee { .. } => 25,
        Command::UpdateFeeRefund { .. } => 26,
        Command::CreatePayout { .. } => 27,
        Command::UpdatePayout { .. } => 28,
        Command::CancelPayout { .. } => 29,
        Command::CreateSplitRule { .. } => 30,
        Command::Adjust { .. } => 31,
        Command::AdvanceClock { .. } => 32,
        Command::PutTables(_) => 33,
        Command::Due(_) => 34,
        Command::FoundPlatform { .. } => 35,
        Command::CreateCharge(_) => 36,
        Command::CaptureCharge { .. } => 37,
        Command::DebitAccount { .. } => 38,
        // Later than the first format's journal; their stories are in `intents.rs`.
        Command::Authenticate { .. } => 40,
        Command::CreateSetup(_) => 41,
        Command::UpdateSetup { .. } => 42,
        Command::ConfirmSetup { .. } => 43,
        Command::CancelSetup { .. } => 44,
        Command::AddExternalAccount { .. } => 100,
        Command::UpdateExternalAccount { .. } => 101,
        Command::DeleteExternalAccount { .. } => 102,
        Command::CreatePerson { .. } => 103,
        Command::UpdatePerson { .. } => 104,
        Command::DeletePerson { .. } => 105,
        Command::RejectAccount { .. } => 106,
        Command::UnrejectAccount { .. } => 107,
        Command::CreateIdentityToken { .. } => 108,
        Command::UpdateDispute { .. } => 55,
        Command::CloseDispute { .. } => 56,
        Command::OpenDispute { .. } => 57,
        Command::DecideDispute { .. } => 58,
        Command::ReversePayout { .. } => 65,
        Command::CreateInstantPayout { .. } => 66,
        Command::UpdateBalanceSettings(_) => 67,
        Command::CreateTopup(_) => 68,
        Command::UpdateTopup { .. } => 69,
        Command::CancelTopup { .. } => 70,
        // Later than the first format's journal; their stories are in `catalog.rs` and `edge.rs`.
        Command::CreateKey { .. } => 90,
        Command::RevokeKey { .. } => 91,
        Command::CreateProduct(_) => 92,
        Command::UpdateProduct { .. } => 93,
        Command::DeleteProduct { .. } => 94,
        Command::CreatePrice(_) => 95,
        Command::UpdatePrice { .. } => 96,
        Command::CancelRefund { .. } => 36,
        Command::ExpireRefund { .. } => 37,
    }
}

/// Kinds of commands, and of due items, in a journal.
pub fn kinds<'a>(payloads: impl Iterator<Item = &'a [u8]>) -> (BTreeSet<usize>, BTreeSet<&'static str>) {
    let (mut commands, mut due) = (BTreeSet::new(), BTreeSet::new());
    for payload in payloads {
        let entry = JournalEntry::from_bytes(payload).expect("an entry");
        commands.insert(kind(&entry.command));
        if let Command::Due(item) = &entry.command {
            due.insert(match item.kind {
                DueKind::Mature { .. } => "mature",
                DueKind::PayoutArrives(_) => "payout",
                DueKind::AuthorizationExpires(_) => "authorization",
                DueKind::VerificationEnds(_) => "verification",
                DueKind::RequirementsFallDue(_) => "requirements",
                DueKind::DisputeOpens(_) => "dispute",
                DueKind::DisputeEnds(_) => "dispute's end",
                DueKind::DisputeDecided(_) => "dispute's decision",
                DueKind::PayOut(_) => "automatic payout",
                DueKind::Collect { .. } => "collection",
                DueKind::PayoutFails(_) => "payout failure",
                DueKind::TopupArrives(_) => "top-up",
                DueKind::TopupReturns(_) => "top-up return",
                DueKind::Reserve { .. } => "reserve",
                DueKind::RefundSettles(_) => "refund",
                DueKind::RefundExpires { .. } => "refund's wait",
                DueKind::RefundsResume { .. } => "refund's money",
            });
        }
    }
    (commands, due)
}

impl Story {
    fn ask_with(&mut self, acting: AccountNo, command: Command, texts: &[(&str, &str)], key: Option<u8>) -> Done {
        let mut request = Request { acting, request_id: "req_story".to_owned(), ..Town::request(command) };
        for (path, text) in texts {
            request.texts.set(*path, *text);
        }
        request.idempotency = key.map(|n| IdempotencyKey {
            key: [n; 16],
            endpoint: [n; 8],
            parameters: [n; 16],
            text: format!("key-{n}"),
            path: "POST /v1/story".to_owned(),
        });
        let at = self.town.now;
        match self.town.told(&request) {
            Told::Decided(done) => {
                self.requests.push((request, at));
                *done
            }
            other => panic!("{:?} came to {other:?}", request.command),
        }
    }

    fn ask(&mut self, command: Command) -> Done {
        self.ask_with(P, command, &[], None)
    }

    fn made(&mut self, command: Command) -> ObjectId {
        let done = self.ask(command);
        match done.reply {
            Reply::Object(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn advance_days(&mut self, days: i32) {
        let to = self.town.now.plus_days(days).expect("in range");
        self.ask(Command::AdvanceClock { to });
        self.town.now = to;
    }

    /// `turns` repeats the money's part of the day.
    pub fn told(turns: u8) -> Story {
        let town = Town::with_rates(&[(USD, EUR, "0.9137"), (EUR, USD, "1.0849")]);
        let mut story = Story { town, requests: Vec::new() };
        let (us, de) = story.accounts();
        let (customer, method) = story.people();
        let share = |account, terms| Share { account, terms };
        let shares = vec![
            share(us, ShareTerms::Percent(600_000)),
            share(de, ShareTerms::Fixed(170)),
            share(P, ShareTerms::Remainder(1)),
        ];
        let rule = story.ask(Command::CreateSplitRule { name: "cart".to_owned(), shares }).seq;
        for turn in 0..turns {
            story.payments(us, de, customer, method, rule, i64::from(turn));
            story.charge_models(us, de);
            story.transfers(us, de);
            story.advance_days(4);
            story.debits(us);
            story.payouts(us);
            story.disputes(us);
        }
        story.repair(us);
        story.late_refunds(us);
        story.advance_days(12);
        story
    }

    fn accounts(&mut self) -> (AccountNo, AccountNo) {
        let name = [("individual[first_name]", "Ada"), ("metadata[store]", "1")];
        let us =
            AccountNo(self.ask_with(P, Command::CreateAccount(Box::new(seller(Country::US, USD))), &name, None).seq);
        let de = AccountNo(self.ask(Command::CreateAccount(Box::new(seller(Country::DE, EUR)))).seq);
        let account = Box::new(bank(Country::US, USD, BankOutcome::Paid));
        let token = self.ask(Command::CreateBankToken { bank: account }).seq;
        let by_token = AccountInput { external_account: None, external_token: Some(token), ..seller(Country::US, USD) };
        let gone = AccountNo(self.ask(Command::CreateAccount(Box::new(by_token))).seq);
        let input = Box::new(AccountInput { debit_negative_balances: Some(false), ..AccountInput::default() });
        self.ask_with(P, Command::UpdateAccount { account: gone, input }, &[("metadata[store]", "3")], None);
        self.ask(Command::SetCapability { account: gone, name: "card_payments".to_owned(), requested: false });
        self.ask(Command::DeleteAccount { account: gone });
        self.company();
        (us, de)
    }

    /// A company with its people, where it is paid out to, and what becomes of it.
    fn company(&mut self) {
        let personal = active_individual().personal(true);
        let mut facts = active_individual().personal(false);
        facts.learn(&Facts::good(&[Field::CompanyName, Field::TaxId]));
        let input = AccountInput { business_type: Some(BusinessType::Company), facts, ..seller(Country::US, USD) };
        let account = AccountNo(self.ask(Command::CreateAccount(Box::new(input))).seq);

        let mut told = personal.clone();
        told.set(Field::Representative, Finding::Good);
        told.set(Field::Dob, Finding::Pending);
        let token = TokenContent::Person(told);
        let token = self.ask(Command::CreateIdentityToken { content: Box::new(token) }).seq;
        let input = PersonInput { token: Some(token), ..PersonInput::default() };
        let name = [("first_name", "Ada"), ("last_name", "Lovelace")];
        self.ask_with(P, Command::CreatePerson { account, input: Box::new(input) }, &name, None);
        let input = PersonInput { facts: personal, ..PersonInput::default() };
        self.ask(Command::CreatePerson { account, input: Box::new(input) });
        let input = PersonInput { facts: Facts::good(&[Field::Owner]), ..PersonInput::default() };
        let update = Command::UpdatePerson { account, person: 2, input: Box::new(input) };
        self.ask_with(P, update, &[("metadata[share]", "half")], None);
        self.ask(Command::DeletePerson { account, person: 2 });

        let other = bank(Country::US, USD, BankOutcome::Paid);
        let input = ExternalInput { account: Some(Box::new(other)), default: Some(true), ..ExternalInput::default() };
        let external = self.made(Command::AddExternalAccount { account, input: Box::new(input) });
        let change = ExternalPatch { holder_type: Some(Some("company".to_owned())), ..ExternalPatch::default() };
        self.ask(Command::UpdateExternalAccount { external, change });
        self.ask(Command::DeleteExternalAccount { external: ObjectId { slot: 1, ..external } });

        self.ask(Command::RejectAccount { account, reason: RejectReason::Fraud, pays_out: false });
        self.ask(Command::UnrejectAccount { account });
        // Verified, and then told otherwise: it has a week.
        self.advance_days(1);
        let mut wrong = Facts::default();
        wrong.set(Field::TaxId, Finding::TaxIdMismatch);
        let input = AccountInput { facts: wrong, ..AccountInput::default() };
        self.ask(Command::UpdateAccount { account, input: Box::new(input) });
    }

    fn people(&mut self) -> (u64, MethodRef) {
        let customer =
            self.ask_with(P, Command::CreateCustomer { method: None, default: None }, &[("name", "Grace")], None).seq;
        let saved = |seq| MethodRef { key: RecordKey::head(seq), slot: Slot::MAIN };
        let method = saved(
            self.ask(Command::CreateMethod { input: MethodInput::Inline(card(Recipe::Succeed)), customer: None }).seq,
        );
        self.ask(Command::AttachMethod { method: MethodInput::Saved(method), customer });
        self.ask(Command::UpdateCustomer { customer, default_method: Some(Some(method)) });
        self.ask(Command::UpdateMethod { method, exp_month: Some(11), exp_year: Some(2_035) });
        let token = self.ask(Command::CreateCardToken { card: card(Recipe::Succeed) }).seq;
        let gone = self.ask(Command::CreateCustomer { method: None, default: None }).seq;
        let other = self.made(Command::AttachMethod { method: MethodInput::Token(token), customer: gone });
        let other = MethodRef { key: RecordKey { birth: other.birth, child: other.child }, slot: other.slot };
        self.ask(Command::DetachMethod { method: other });
        self.ask(Command::DeleteCustomer { customer: gone });
        (customer, method)
    }

    fn payments(&mut self, us: AccountNo, de: AccountNo, customer: u64, method: MethodRef, rule: u64, turn: i64) {
        let to = |seller, fee| {
            move |input: &mut IntentInput| {
                input.destination = Some(seller);
                input.application_fee = Some(Some(fee));
                input.customer = Some(customer);
                input.method = Some(MethodInput::Saved(method));
            }
        };
        let texts = [("metadata[order]", "o-1"), ("description", "Two chairs")];
        let paid = self.ask_with(P, intent(10_000 + turn, USD, to(us, 1_230)), &texts, Some(1 + 4 * turn as u8)).seq;
        let charge = RecordKey::head(paid).id(ObjectKind::Charge, 0);
        self.ask_with(P, Command::UpdateCharge { charge, customer: None }, &[("description", "Two red chairs")], None);
        let refunded =
            match self.ask_with(P, refund(paid, Some(2_500), true, true), &[], Some(2 + 4 * turn as u8)).reply {
                Reply::Object(id) => id,
                other => panic!("{other:?}"),
            };
        self.ask_with(P, Command::UpdateRefund { refund: refunded }, &[("metadata[why]", "scratched")], None);
        self.ask(Command::CreateRefund {
            target: charge,
            amount: Some(100),
            reason: Some(RefundReason::RequestedByCustomer),
            reverse_transfer: false,
            refund_application_fee: false,
            asks_payer: None,
        });
        // Refused, and kept under its key.
        self.ask_with(P, refund(paid, Some(99_999_999), true, true), &[], Some(3 + 4 * turn as u8));
        let fee = RecordKey::head(paid).id(ObjectKind::ApplicationFee, 0);
        let fee_refund = self.made(Command::RefundFee { fee, amount: Some(50) });
        self.ask_with(P, Command::UpdateFeeRefund { fee_refund }, &[("metadata[a]", "b")], None);
        // Converted for the seller, and converted for the platform.
        self.ask(intent(7_777, USD, to(de, 333)));
        self.ask(intent(4_321, EUR, to(us, 99)));
        self.ask(intent(30_001, USD, |input| input.split_rule = Some(rule)));
        self.ask(intent(250_000, USD, |input| {
            input.method = Some(MethodInput::Inline(card(Recipe::BypassPending)));
        }));
        self.ask(intent(1_999, USD, |input| {
            input.method = Some(MethodInput::Inline(card(Recipe::GenericDecline)));
        }));
        let later = self.ask(intent(5_000, USD, |input| {
            input.confirm = false;
            input.method = None;
            input.capture_method = Some(CaptureMethod::Manual);
        }));
        let change = IntentInput { amount: Some(5_500), ..IntentInput::default() };
        self.ask(Command::UpdateIntent { intent: later.seq, input: Box::new(change) });
        let confirm = IntentInput {
            method: Some(MethodInput::Saved(method)),
            customer: Some(customer),
            ..IntentInput::default()
        };
        self.ask(Command::ConfirmIntent { intent: later.seq, input: Box::new(confirm) });
        self.ask(Command::CaptureIntent {
            intent: later.seq,
            amount: Some(5_000),
            application_fee: None,
            transfer_amount: None,
        });
        let held = |input: &mut IntentInput| input.capture_method = Some(CaptureMethod::Manual);
        let canceled = self.ask(intent(900, USD, held)).seq;
        self.ask(Command::CancelIntent { intent: canceled, reason: None });
        // Never captured: it expires.
        self.ask(intent(901, USD, held));
    }

    /// Direct charges, charges on behalf of an account, and charges without a payment intent.
    fn charge_models(&mut self, us: AccountNo, de: AccountNo) {
        let fee = |input: &mut IntentInput| input.application_fee = Some(Some(321));
        // In the account's own currency, and converted: the platform earns dollars either way.
        self.ask_with(us, intent(6_001, USD, fee), &[], None);
        let direct = self.ask_with(de, intent(6_003, USD, fee), &[], None).seq;
        self.ask_with(de, refund(direct, Some(2_000), false, true), &[], None);
        let behalf = self
            .ask(intent(8_008, USD, |input| {
                input.on_behalf_of = Some(de);
                input.destination = Some(de);
                input.application_fee = Some(Some(555));
            }))
            .seq;
        self.ask(refund(behalf, None, true, true));
        let held = |input: &mut IntentInput| input.capture_method = Some(CaptureMethod::Manual);
        for (capture, amount) in [(true, 7_100), (false, 7_200)] {
            let Command::CreateIntent(input) = intent(amount, USD, held) else { unreachable!("it makes one") };
            let charge = self.made(Command::CreateCharge(input));
            let part =
                Command::CaptureCharge { charge, amount: Some(6_000), application_fee: None, transfer_amount: None };
            let release = Command::CreateRefund {
                target: charge,
                amount: None,
                reason: None,
                reverse_transfer: false,
                refund_application_fee: false,
                asks_payer: None,
            };
            self.ask(if capture { part } else { release });
        }
    }

    fn debits(&mut self, us: AccountNo) {
        let target = self.made(Command::DebitAccount { account: us, amount: 300, currency: USD });
        self.ask(Command::CreateRefund {
            target,
            amount: Some(100),
            reason: None,
            reverse_transfer: false,
            refund_application_fee: false,
            asks_payer: None,
        });
    }

    fn transfers(&mut self, us: AccountNo, de: AccountNo) {
        for (destination, amount) in [(us, 4_000), (de, 3_000)] {
            let transfer = self.made(Command::CreateTransfer {
                amount: Some(amount),
                currency: USD,
                destination,
                source_transaction: None,
                source_type: SourceType::Card,
            });
            self.ask_with(P, Command::UpdateTransfer { transfer }, &[("description", "May")], None);
            let part = Command::ReverseTransfer { transfer, amount: Some(700), refund_application_fee: false };
            let reversal = self.made(part);
            self.ask_with(P, Command::UpdateReversal { reversal }, &[("metadata[x]", "y")], None);
        }
    }

    fn payouts(&mut self, us: AccountNo) {
        for cancels in [true, false] {
            let pay = Command::CreatePayout {
                amount: 1_000,
                currency: USD,
                destination: None,
                source_type: SourceType::Card,
            };
            let payout = self.ask_with(us, pay, &[], None).seq;
            self.ask_with(us, Command::UpdatePayout { payout }, &[("metadata[week]", "9")], None);
            if cancels {
                self.ask_with(us, Command::CancelPayout { payout }, &[], None);
            }
        }
    }

    fn disputes(&mut self, us: AccountNo) {
        let by_card = |recipe| {
            move |input: &mut IntentInput| {
                input.method = Some(MethodInput::Inline(card(recipe)));
                input.destination = Some(us);
                input.application_fee = Some(Some(500));
            }
        };
        // Answered and won; converted, and never answered; inquired about, escalated, and accepted.
        let won = self.ask(intent(6_000, USD, by_card(Recipe::Dispute))).seq;
        let evidence = [("evidence[uncategorized_text]", "winning_evidence"), ("metadata[case]", "7")];
        self.ask_with(
            P,
            Command::UpdateDispute {
                dispute: dispute_id(won),
                submit: None,
                evidence: true,
                words: Some(EvidenceWords::Winning),
            },
            &evidence,
            None,
        );
        self.ask(intent(3_217, EUR, by_card(Recipe::DisputeTwice)));
        let asked = dispute_id(self.ask(intent(2_000, USD, by_card(Recipe::DisputeInquiry))).seq);
        self.ask(Command::DecideDispute { dispute: asked, verdict: Verdict::Escalated });
        self.ask(Command::CloseDispute { dispute: asked });
        let paid = self.ask(intent(4_000, USD, by_card(Recipe::Succeed))).seq;
        let charge = RecordKey::head(paid).id(ObjectKind::Charge, 0);
        let claim =
            Command::OpenDispute { charge, amount: Some(1_500), reason: DisputeReason::Duplicate, inquiry: false };
        self.ask(claim);
    }

    /// Refunds that do not simply succeed.
    fn late_refunds(&mut self, us: AccountNo) {
        for recipe in [Recipe::RefundPending, Recipe::RefundFails] {
            let paid = self.ask(intent(2_000, USD, |input| input.method = Some(MethodInput::Inline(card(recipe))))).seq;
            self.ask(refund(paid, None, false, false));
        }
        for cancels in [true, false] {
            let target = RecordKey::head(self.ask(intent(3_000, USD, |_| {})).seq).id(ObjectKind::Charge, 0);
            let (amount, reason) = (None, None);
            let (reverse_transfer, refund_application_fee, asks_payer) = (false, false, Some(true));
            let refund = self.made(Command::CreateRefund {
                target,
                amount,
                reason,
                reverse_transfer,
                refund_application_fee,
                asks_payer,
            });
            self.ask(if cancels { Command::CancelRefund { refund } } else { Command::ExpireRefund { refund } });
        }
        // Nothing is left of the balance: one refund waits until money comes, one in vain.
        let tables = self.town.plain.world.state.tables.clone();
        self.ask(Command::PutTables(Box::new(Tables { allow_negative: false, ..tables.clone() })));
        let at_once = |input: &mut IntentInput| {
            input.method = Some(MethodInput::Inline(card(Recipe::BypassPending)));
        };
        let large = self.ask(intent(9_500_000, USD, at_once)).seq;
        self.ask(Command::CreateTransfer {
            amount: Some(i64::try_from(self.town.balance(P, USD).0).expect("in range") - 100),
            currency: USD,
            destination: us,
            source_transaction: None,
            source_type: SourceType::Card,
        });
        self.ask(refund(large, Some(5_000), false, false));
        self.ask(refund(large, Some(9_000_000), false, false));
        self.ask(intent(10_000, USD, at_once));
        self.advance_days(50);
        self.ask(Command::PutTables(Box::new(tables)));
    }

    fn repair(&mut self, us: AccountNo) {
        let leg = Leg::Account { account: us, source: SourceType::Card, bucket: Bucket::Available };
        let postings = vec![
            Posting::credit(leg, Money::new(250, USD)),
            Posting::debit(Leg::House(House::Fees(FeeKind::Processing)), Money::new(250, USD)).expect("in range"),
        ];
        let why = [("reason", "charged twice"), ("author", "Ada")];
        self.ask_with(P, Command::Adjust { repairs: 20, postings }, &why, None);
    }
}

#[test]
fn the_story_has_every_kind_of_command_and_its_books_close() {
    let story = Story::told(2);
    story.town.expect_books_closed();
    let (commands, due) = kinds(story.town.plain.entries.iter().map(|entry| &entry[..]));
    assert_eq!(commands.len(), KINDS, "{commands:?}");
    assert_eq!(due.len(), DUE_KINDS, "{due:?}");
}
