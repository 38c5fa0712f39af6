//! Customers: who pays, with the payment methods that were saved to them.

use super::command::{MethodInput, Request};
use super::decide::{Change, Class, Context, Facts, Halt, Kinds, Outcome, Refusal, Reply};
use super::draft::Draft;
use super::event::EventKind;
use super::method;
use super::record::{CustomerRecord, MethodRef, Record, RecordKey, Shared, Slot};
use super::refund::no_such;
use super::seal::{Sealed, TextPatch, Texts};
use crate::ledger::AccountNo;
use crate::primitives::id::{ObjectId, ObjectKind};

/// Where the default payment method is set.
const DEFAULT_METHOD: &str = "invoice_settings[default_payment_method]";
/// The record of a payment method that is made and saved with its customer in one entry.
const METHOD_CHILD: u32 = 1;

// ---------------------------------------------------------------------------------------------------------------
// What other rooms of the domain ask

/// A customer of `owner` that a parameter names and that was not deleted.
///
/// # Errors
/// 400 where there is none; a missing fact.
pub fn live(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    customer: u64,
    param: &str,
) -> Result<Shared, Halt> {
    find(facts, owner, customer)?.ok_or_else(|| {
        let message = format!("No such customer: '{}'", ctx.ids.encode(&customer_id(customer)));
        Refusal::new(message).code("resource_missing").param(param).into()
    })
}

/// The customer in a record that [`live`] gave.
///
/// # Errors
/// 400 where the record is something else.
pub fn of(record: &Record) -> Result<&CustomerRecord, Halt> {
    match record {
        Record::Customer(customer) => Ok(customer),
        _ => Err(Refusal::new("This object is no customer.").param("customer").into()),
    }
}

/// A customer's id.
pub fn customer_id(customer: u64) -> ObjectId {
    RecordKey::head(customer).id(ObjectKind::Customer, Slot::MAIN)
}

/// A customer of `owner`, if there is one that was not deleted.
///
/// # Errors
/// A missing fact.
pub fn find(facts: &dyn Facts, owner: AccountNo, customer: u64) -> Result<Option<Shared>, Halt> {
    let record = facts.record(RecordKey::head(customer))?;
    Ok(record.filter(|record| matches!(&**record, Record::Customer(c) if c.owner == owner && !c.deleted)))
}

// ---------------------------------------------------------------------------------------------------------------
// Commands

/// Creates a customer, with a payment method saved to it where one is given.
///
/// # Errors
/// A refusal, or a missing fact. A card that declines when it is saved is no error: the reply says so, and nothing
/// changes.
pub fn create(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    input: Option<&MethodInput>,
    default: bool,
) -> Result<Outcome, Halt> {
    let mut draft = Draft::new(facts, ctx);
    let fresh = RecordKey { birth: ctx.seq, child: METHOD_CHILD };
    let saved = input.map(|input| match *input {
        MethodInput::Saved(place) => place,
        MethodInput::Inline(_) | MethodInput::Token(_) => MethodRef { key: fresh, slot: Slot::MAIN },
    });
    let key_no = facts.next_key_no();
    let owner = request.acting;
    let mut texts = Texts::default();
    texts.apply("", &request.texts);
    let record = CustomerRecord {
        owner,
        made: draft.made(),
        default_method: saved.filter(|_| default),
        private: draft.seal(key_no, &texts)?,
        key_no,
        deleted: false,
    };
    let change = Change::of(RecordKey::head(ctx.seq), Record::Customer(record));
    draft.change(change.listed(owner, Class::Customer, Kinds::CUSTOMER));
    draft.event(owner, EventKind::CustomerCreated, customer_id(ctx.seq));
    if let Some(input) = input {
        let saving =
            method::Saving { owner, customer: ctx.seq, key_no, fresh, param: "payment_method", in_path: false };
        if let Err(recipe) = method::save(&mut draft, &saving, input, &TextPatch::default())? {
            let mut outcome = Outcome::answer(Reply::MethodDeclined(recipe));
            // The new key comes to nothing with the customer: the words of the request go under the owner's.
            outcome.text_key_no = method::owner_key(facts, owner)?;
            return Ok(outcome);
        }
    }
    let mut outcome = draft.finish(Reply::Object(customer_id(ctx.seq)));
    outcome.keys_taken = 1;
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Changes a customer.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn update(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    customer: u64,
    default_method: Option<Option<MethodRef>>,
) -> Result<Outcome, Halt> {
    let before = in_path(facts, ctx, request.acting, customer)?;
    let was = of(&before)?;
    let mut record = was.clone();
    if let Some(wanted) = default_method {
        if let Some(wanted) = wanted {
            check_saved(facts, ctx, was.owner, customer, wanted)?;
        }
        record.default_method = wanted;
    }
    let key_no = record.key_no;
    let reply = Reply::Object(customer_id(customer));
    let mut outcome = if request.texts.is_empty() && record == *was {
        Outcome::answer(reply)
    } else {
        let mut draft = Draft::new(facts, ctx);
        if !request.texts.is_empty() {
            let mut texts = ctx.open(&record.private);
            texts.apply("", &request.texts);
            record.private = draft.seal(key_no, &texts)?;
        }
        draft.change(Change::of(RecordKey::head(customer), Record::Customer(record)).from(&before));
        draft.event(request.acting, EventKind::CustomerUpdated, customer_id(customer));
        draft.finish(reply)
    };
    outcome.text_key_no = key_no;
    Ok(outcome)
}

/// Deletes a customer: a stub stays, without a word about the person. Its payment methods cannot be used any more.
/// Once this is durable the engine erases the customer's key: what it sealed opens to nothing, wherever it lies.
///
/// # Errors
/// A refusal, or a missing fact.
pub fn delete(facts: &dyn Facts, ctx: &Context<'_>, request: &Request, customer: u64) -> Result<Outcome, Halt> {
    let before = in_path(facts, ctx, request.acting, customer)?;
    let mut record = of(&before)?.clone();
    record.deleted = true;
    record.default_method = None;
    record.private = Sealed::default();
    let mut draft = Draft::new(facts, ctx);
    // The event shows the customer as it was, as far as that can be read.
    draft.change(Change::of(RecordKey::head(customer), Record::Customer(record)).from(&before));
    draft.event(request.acting, EventKind::CustomerDeleted, customer_id(customer));
    let mut outcome = draft.finish(Reply::Deleted(customer_id(customer)));
    outcome.text_key_no = method::owner_key(facts, request.acting)?;
    Ok(outcome)
}

fn in_path(facts: &dyn Facts, ctx: &Context<'_>, owner: AccountNo, customer: u64) -> Result<Shared, Halt> {
    find(facts, owner, customer)?.ok_or_else(|| no_such(ctx, "customer", &customer_id(customer), "id"))
}

/// The default has to be one of the customer's own payment methods.
fn check_saved(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    owner: AccountNo,
    customer: u64,
    wanted: MethodRef,
) -> Result<(), Halt> {
    let record = if wanted.slot == Slot::MAIN { facts.record(wanted.key)? } else { None };
    match record.as_deref() {
        Some(Record::PaymentMethod(have)) if have.owner == owner && have.customer == Some(customer) => Ok(()),
        _ => {
            let message = format!(
                "The customer does not have a payment method with the ID {}. The payment method must be attached to \
                 the customer.",
                ctx.ids.encode(&wanted.id())
            );
            Err(Refusal::new(message).code("resource_missing").param(DEFAULT_METHOD).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::world::{World, card};
    use super::super::command::Command;
    use super::super::record::Recipe;
    use super::*;

    fn customer(world: &World, id: &ObjectId) -> CustomerRecord {
        of(world.get(RecordKey::of(id))).unwrap().clone()
    }

    fn place(id: &ObjectId) -> MethodRef {
        MethodRef { key: RecordKey::of(id), slot: id.slot }
    }

    fn saved(world: &mut World, customer: &ObjectId) -> MethodRef {
        let method = MethodInput::Inline(card(Recipe::Succeed));
        place(&world.make(Command::AttachMethod { method, customer: customer.birth }))
    }

    #[test]
    fn a_customer_has_a_key_of_its_own() {
        let mut world = World::new();
        let texts = [("email", "jenny@example.com"), ("metadata[order]", "7")];
        let id = world.make_as(AccountNo::PLATFORM, Command::CreateCustomer { method: None, default: None }, &texts);
        assert_eq!(id, customer_id(id.birth));
        let record = customer(&world, &id);
        assert_eq!((record.key_no, record.private.key_no), (1, 1));
        assert_eq!(world.texts(&record.private).get("email"), Some("jenny@example.com"));
        let outcome = world.last.as_ref().unwrap();
        assert_eq!((outcome.keys_taken, outcome.text_key_no), (1, 1));
        assert_eq!(world.events(), [(AccountNo::PLATFORM, EventKind::CustomerCreated)]);
        let [row] = outcome.changes[0].index.as_slice() else { panic!("one list entry") };
        assert_eq!((row.account, row.class), (AccountNo::PLATFORM, Class::Customer));
        assert_eq!(row.kinds, Kinds::CUSTOMER | Kinds::EVENT);

        let second = world.make(Command::CreateCustomer { method: None, default: None });
        assert_eq!(customer(&world, &second).key_no, 2);
        assert!(customer(&world, &second).private.bytes.is_empty());
    }

    #[test]
    fn a_customer_comes_with_a_card() {
        let mut world = World::new();
        let method = Some(MethodInput::Inline(card(Recipe::Succeed)));
        let id = world.make(Command::CreateCustomer { method, default: None });
        let method = RecordKey { birth: id.birth, child: METHOD_CHILD };
        let Record::PaymentMethod(record) = world.get(method) else { panic!("a payment method") };
        assert_eq!((record.owner, record.customer), (AccountNo::PLATFORM, Some(id.birth)));
        let events = [EventKind::CustomerCreated, EventKind::PaymentMethodAttached];
        assert_eq!(world.events(), events.map(|kind| (AccountNo::PLATFORM, kind)));
        let wanted = MethodRef { key: method, slot: Slot::MAIN };
        let update = Command::UpdateCustomer { customer: id.birth, default_method: Some(Some(wanted)) };
        world.run(update).unwrap();
        assert_eq!(customer(&world, &id).default_method, Some(wanted));
    }

    #[test]
    fn a_customer_may_come_with_its_default_card() {
        let mut world = World::new();
        let method = Some(MethodInput::Inline(card(Recipe::Succeed)));
        let id = world.make(Command::CreateCustomer { method, default: Some(true) });
        let fresh = MethodRef { key: RecordKey { birth: id.birth, child: METHOD_CHILD }, slot: Slot::MAIN };
        assert_eq!(customer(&world, &id).default_method, Some(fresh));
    }

    #[test]
    fn metadata_is_counted_after_a_merge() {
        let mut world = World::new();
        let keys: Vec<String> = (0..50).map(|key| format!("metadata[k{key}]")).collect();
        let texts: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
        let command = Command::CreateCustomer { method: None, default: None };
        let id = world.make_as(AccountNo::PLATFORM, command, &texts);
        let update = Command::UpdateCustomer { customer: id.birth, default_method: None };
        let one_more = world.run_as(AccountNo::PLATFORM, update.clone(), &[("metadata[more]", "v")]);
        assert_eq!(one_more.unwrap_err().param.as_deref(), Some("metadata"));
        let exchanged = world.run_as(AccountNo::PLATFORM, update, &[("metadata[k0]", ""), ("metadata[more]", "v")]);
        assert!(exchanged.is_ok());
    }

    #[test]
    fn a_card_that_declines_leaves_no_customer() {
        let mut world = World::new();
        let method = Some(MethodInput::Inline(card(Recipe::LostCard)));
        let command = Command::CreateCustomer { method, default: Some(true) };
        let reply = world.run_as(AccountNo::PLATFORM, command, &[("name", "Jenny")]).unwrap();
        assert_eq!(reply, Reply::MethodDeclined(Recipe::LostCard));
        let outcome = world.last.as_ref().unwrap();
        assert!(outcome.changes.is_empty() && outcome.events.is_empty());
        assert_eq!((outcome.keys_taken, outcome.text_key_no), (0, 0));
    }

    #[test]
    fn an_update_merges_texts_and_keeps_the_image_before() {
        let mut world = World::new();
        let texts = [("name", "Jenny"), ("metadata[a]", "1"), ("metadata[b]", "2")];
        let id = world.make_as(AccountNo::PLATFORM, Command::CreateCustomer { method: None, default: None }, &texts);
        let update = Command::UpdateCustomer { customer: id.birth, default_method: None };
        let texts = [("name", "Jenny Rosen"), ("metadata[b]", "")];
        world.run_as(AccountNo::PLATFORM, update.clone(), &texts).unwrap();
        let texts = world.texts(&customer(&world, &id).private);
        assert_eq!((texts.get("name"), texts.get("metadata[a]")), (Some("Jenny Rosen"), Some("1")));
        assert_eq!(texts.get("metadata[b]"), None);
        assert_eq!(world.events(), [(AccountNo::PLATFORM, EventKind::CustomerUpdated)]);
        let before = world.last.as_ref().unwrap().changes[0].before.clone().unwrap();
        assert_eq!(world.texts(&of(&before).unwrap().private).get("name"), Some("Jenny"));

        world.run(update).unwrap();
        assert_eq!(world.events(), []);
    }

    #[test]
    fn the_default_is_one_of_the_customers_own() {
        let mut world = World::new();
        let one = world.make(Command::CreateCustomer { method: None, default: None });
        let other = world.make(Command::CreateCustomer { method: None, default: None });
        let mine = saved(&mut world, &one);
        let others = saved(&mut world, &other);
        let loose = Command::CreateMethod { input: MethodInput::Inline(card(Recipe::Succeed)), customer: None };
        let loose = place(&world.make(loose));
        let set = |wanted| Command::UpdateCustomer { customer: one.birth, default_method: Some(wanted) };
        for wrong in [others, loose, place(&one), MethodRef { slot: Slot::INLINE_METHOD, ..mine }] {
            let refusal = world.run(set(Some(wrong))).unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_deref()), (400, Some("resource_missing")));
            assert_eq!(refusal.param.as_deref(), Some(DEFAULT_METHOD));
            assert!(refusal.message.contains(&world.text(&wrong.id())));
        }
        world.run(set(Some(mine))).unwrap();
        assert_eq!(customer(&world, &one).default_method, Some(mine));
        world.run(set(None)).unwrap();
        assert_eq!(customer(&world, &one).default_method, None);

        world.run(set(Some(mine))).unwrap();
        world.run(Command::DetachMethod { method: mine }).unwrap();
        assert_eq!(customer(&world, &one).default_method, None);
        let events = [EventKind::PaymentMethodDetached, EventKind::CustomerUpdated];
        assert_eq!(world.events(), events.map(|kind| (AccountNo::PLATFORM, kind)));
    }

    #[test]
    fn a_deleted_customer_is_a_stub() {
        let mut world = World::new();
        let command = Command::CreateCustomer { method: None, default: None };
        let id = world.make_as(AccountNo::PLATFORM, command, &[("name", "Gone")]);
        let method = saved(&mut world, &id);
        assert_eq!(world.run(Command::DeleteCustomer { customer: id.birth }).unwrap(), Reply::Deleted(id));
        let record = customer(&world, &id);
        assert!(record.deleted && record.private == Sealed::default());
        assert_eq!(world.events(), [(AccountNo::PLATFORM, EventKind::CustomerDeleted)]);

        let message = format!("No such customer: '{}'", world.text(&id));
        for command in [
            Command::DeleteCustomer { customer: id.birth },
            Command::UpdateCustomer { customer: id.birth, default_method: None },
        ] {
            let refusal = world.run(command).unwrap_err();
            assert_eq!((refusal.status, refusal.param.as_deref()), (404, Some("id")));
            assert_eq!(refusal.message, message);
        }
        let attach = Command::AttachMethod { method: MethodInput::Inline(card(Recipe::Succeed)), customer: id.birth };
        let refusal = world.run(attach).unwrap_err();
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("customer")));
        // From here on nothing may depend on its key: every way to its texts is closed.
        let seller = AccountNo(world.make(Command::CreateAccount(Box::default())).birth);
        let update = Command::UpdateMethod { method, exp_month: Some(1), exp_year: None };
        assert!(world.run(update).is_err());
        let copy = |customer| Command::CreateMethod { input: MethodInput::Saved(method), customer };
        for (acting, command, why) in [
            (AccountNo::PLATFORM, Command::DetachMethod { method }, "not attached to a customer"),
            (seller, copy(None), "belongs to the customer"),
            (seller, copy(Some(id.birth)), "No such customer"),
        ] {
            let refusal = world.run_as(acting, command, &[("metadata[a]", "1")]).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(why), "{refusal:?}");
        }
    }

    #[test]
    fn customers_are_seen_by_their_owner_only() {
        let mut world = World::new();
        let account = world.make(Command::CreateAccount(Box::default()));
        let account = AccountNo(account.birth);
        let id = world.make_as(account, Command::CreateCustomer { method: None, default: None }, &[]);
        assert_eq!(world.events(), [(account, EventKind::CustomerCreated)]);
        let update = Command::UpdateCustomer { customer: id.birth, default_method: None };
        assert_eq!(world.run(update.clone()).unwrap_err().status, 404);
        assert!(world.run_as(account, update, &[]).is_ok());
        assert!(live(&world, &world.ctx(), AccountNo::PLATFORM, id.birth, "customer").is_err());
        assert!(live(&world, &world.ctx(), account, id.birth, "customer").is_ok());
    }
}
