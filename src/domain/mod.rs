//! What may happen to money, as pure decisions.
//!
//! Owns the records, the commands and the rules of payments, refunds, transfers, payouts, splits and accounts.
//! Never reads a clock, draws a random number, touches a disk or knows HTTP.
//! Why: the same command on the same state at the same time gives the same outcome, on any machine, for ever.

pub mod account;
pub mod api_key;
pub mod application_fee;
pub mod authentication;
pub mod automatic;
pub mod balance_settings;
pub mod capability;
pub mod catalog;
pub mod charge;
pub mod charge_model;
pub mod clock;
pub mod command;
pub mod correct;
pub mod cover;
pub mod customer;
pub mod decide;
pub mod declines;
pub mod dispute;
pub mod draft;
pub mod due;
pub mod event;
pub mod external_account;
pub mod facts;
pub mod listing;
pub mod method;
pub mod payment;
pub mod payout;
pub mod person;
pub mod platform;
pub mod record;
pub mod refund;
pub mod refund_life;
pub mod requirements;
pub mod schedule;
pub mod seal;
pub mod settle;
pub mod setup;
pub mod split;
pub mod tables;
pub mod topup;
pub mod transfer;

use command::{Command, Request};
use decide::{Context, Facts, Halt, Outcome, Reply};
use due::DueKind;

/// Hands a command to the module that knows it.
fn dispatch(facts: &dyn Facts, ctx: &Context<'_>, request: &Request) -> Result<Outcome, Halt> {
    match &request.command {
        Command::CreateAccount(input) => account::create(facts, ctx, request, input),
        Command::UpdateAccount { account, input } => account::update(facts, ctx, request, *account, input),
        Command::DeleteAccount { account } => account::delete(facts, ctx, request, *account),
        Command::SetCapability { account, name, requested } => {
            capability::set(facts, ctx, request, *account, name, *requested)
        }
        Command::CreateCustomer { method, default } => {
            customer::create(facts, ctx, request, method.as_ref(), default.unwrap_or(false))
        }
        Command::UpdateCustomer { customer, default_method } => {
            customer::update(facts, ctx, request, *customer, *default_method)
        }
        Command::DeleteCustomer { customer } => customer::delete(facts, ctx, request, *customer),
        Command::CreateCardToken { card } => method::create_card_token(facts, ctx, request, card),
        Command::CreateBankToken { bank } => method::create_bank_token(facts, ctx, request, bank),
        Command::CreateMethod { input, customer } => method::create_method(facts, ctx, request, input, *customer),
        Command::UpdateMethod { method, exp_month, exp_year } => {
            method::update_method(facts, ctx, request, *method, *exp_month, *exp_year)
        }
        Command::AttachMethod { method, customer } => method::attach(facts, ctx, request, method, *customer),
        Command::DetachMethod { method } => method::detach(facts, ctx, request, *method),
        Command::CreateIntent(input) => payment::create(facts, ctx, request, input),
        Command::UpdateIntent { intent, input } => payment::update(facts, ctx, request, *intent, input),
        Command::ConfirmIntent { intent, input } => payment::confirm_intent(facts, ctx, request, *intent, input),
        Command::CaptureIntent { intent, amount, application_fee, transfer_amount } => {
            payment::capture(facts, ctx, request, *intent, *amount, *application_fee, *transfer_amount)
        }
        Command::CancelIntent { intent, reason } => payment::cancel(facts, ctx, request, *intent, *reason),
        Command::UpdateCharge { charge, customer } => payment::update_charge(facts, ctx, request, *charge, *customer),
        &Command::CreateRefund { target, amount, reason, reverse_transfer, refund_application_fee, asks_payer } => {
            let asks_payer = asks_payer.unwrap_or(false);
            let terms = record::RefundTerms { reverse_transfer, refund_application_fee, asks_payer };
            let asked = refund::Asked { target, amount, reason, terms };
            refund::create(facts, ctx, request, asked)
        }
        Command::UpdateRefund { refund } => refund::update(facts, ctx, request, *refund),
        &Command::CreateTransfer { amount, currency, destination, source_transaction, source_type } => {
            let asked = transfer::Asked { amount, currency, destination, source_transaction, source_type };
            transfer::create(facts, ctx, request, asked)
        }
        Command::UpdateTransfer { transfer } => transfer::update(facts, ctx, request, *transfer),
        Command::ReverseTransfer { transfer, amount, refund_application_fee } => {
            transfer::reverse_transfer(facts, ctx, request, *transfer, *amount, *refund_application_fee)
        }
        Command::UpdateReversal { reversal } => transfer::update_reversal(facts, ctx, request, *reversal),
        Command::RefundFee { fee, amount } => application_fee::refund(facts, ctx, request, *fee, *amount),
        Command::UpdateFeeRefund { fee_refund } => application_fee::update_refund(facts, ctx, request, *fee_refund),
        &Command::CreatePayout { amount, currency, destination, source_type } => {
            let asked = payout::Asked { amount, currency, destination, source_type, instant: false };
            payout::create(facts, ctx, request, asked)
        }
        Command::UpdatePayout { payout } => payout::update(facts, ctx, request, *payout),
        Command::CancelPayout { payout } => payout::cancel(facts, ctx, request, *payout),
        Command::CreateSplitRule { name, shares } => split::create(facts, ctx, request, name, shares),
        Command::Adjust { repairs, postings } => correct::adjust(facts, ctx, request, *repairs, postings),
        Command::AdvanceClock { to } => clock::advance(ctx, *to),
        Command::FoundPlatform { country, currency, .. } => platform::found(facts, ctx, *country, *currency),
        &Command::Authenticate { intent, number, passed } => {
            authentication::answer(facts, ctx, request, intent, number, passed)
        }
        Command::CreateSetup(input) => setup::create(facts, ctx, request, input),
        Command::UpdateSetup { setup, input } => setup::update(facts, ctx, request, *setup, input),
        Command::ConfirmSetup { setup, input } => setup::confirm_setup(facts, ctx, request, *setup, input),
        Command::CancelSetup { setup, reason } => setup::cancel(facts, ctx, request, *setup, *reason),
        Command::AddExternalAccount { account, input } => external_account::add(facts, ctx, request, *account, input),
        Command::UpdateExternalAccount { external, change } => {
            external_account::update(facts, ctx, request, external, change)
        }
        Command::DeleteExternalAccount { external } => external_account::delete(facts, ctx, request, external),
        Command::CreatePerson { account, input } => person::create(facts, ctx, request, *account, input),
        Command::UpdatePerson { account, person, input } => {
            person::update(facts, ctx, request, *account, *person, input)
        }
        Command::DeletePerson { account, person } => person::delete(facts, ctx, request, *account, *person),
        Command::RejectAccount { account, reason, pays_out } => {
            account::reject(facts, ctx, request, *account, *reason, *pays_out)
        }
        Command::UnrejectAccount { account } => account::unreject(facts, ctx, request, *account),
        Command::CreateIdentityToken { content } => method::create_identity_token(facts, ctx, request, content),
        &Command::UpdateDispute { dispute, submit, evidence, words } => {
            dispute::update(facts, ctx, request, dispute, dispute::Given { submit, evidence, words })
        }
        Command::CloseDispute { dispute } => dispute::close(facts, ctx, request, *dispute),
        &Command::OpenDispute { charge, amount, reason, inquiry } => {
            dispute::open(facts, ctx, request, charge, dispute::Claim { amount, reason, inquiry })
        }
        Command::DecideDispute { dispute, verdict } => dispute::decide(facts, ctx, request, *dispute, *verdict),
        Command::PutTables(_) => Ok(Outcome::answer(Reply::Done)),
        Command::CreateCharge(input) => charge::create(facts, ctx, request, input),
        Command::CaptureCharge { charge, amount, application_fee, transfer_amount } => {
            charge::capture(facts, ctx, request, *charge, *amount, *application_fee, *transfer_amount)
        }
        &Command::DebitAccount { account, amount, currency } => {
            charge::debit(facts, ctx, request, account, amount, currency)
        }
        Command::CreateKey { hash, hint, permissions } => {
            api_key::create(facts, ctx, request, *hash, hint, permissions)
        }
        Command::RevokeKey { key } => api_key::revoke(facts, ctx, *key),
        Command::CreateProduct(input) => catalog::create_product(facts, ctx, request, input),
        Command::UpdateProduct { product, input } => catalog::update_product(facts, ctx, request, *product, input),
        Command::DeleteProduct { product } => catalog::delete_product(facts, ctx, request, *product),
        Command::CreatePrice(input) => catalog::create_price(facts, ctx, request, input),
        &Command::UpdatePrice { price, active, tax_behavior } => {
            catalog::update_price(facts, ctx, request, &price, active, tax_behavior)
        }
        Command::CancelRefund { refund } => refund_life::cancel(facts, ctx, request, *refund),
        Command::ExpireRefund { refund } => refund_life::expire(facts, ctx, request, *refund),
        Command::Due(item) => match item.kind {
            DueKind::Mature { account, day } => clock::mature(facts, ctx, account, day, item.key.birth),
            DueKind::PayoutArrives(payout) => payout::arrive(facts, ctx, payout),
            DueKind::AuthorizationExpires(intent) => payment::expire(facts, ctx, intent),
            DueKind::VerificationEnds(account) => account::verification_ends(facts, ctx, account),
            DueKind::RequirementsFallDue(account) => account::requirements_fall_due(facts, ctx, account),
            DueKind::DisputeOpens(birth) => dispute::open_by_card(facts, ctx, birth),
            DueKind::DisputeEnds(dispute) => dispute::end(facts, ctx, dispute),
            DueKind::DisputeDecided(dispute) => dispute::decided(facts, ctx, dispute),
            DueKind::PayOut(account) => automatic::pay_out(facts, ctx, account, item.key),
            DueKind::Collect { account, currency, held } => cover::collect(facts, ctx, account, currency, held),
            DueKind::PayoutFails(payout) => payout::fail(facts, ctx, payout),
            DueKind::TopupArrives(topup) => topup::arrive(facts, ctx, topup),
            DueKind::TopupReturns(topup) => topup::give_back(facts, ctx, topup),
            DueKind::Reserve { account, currency } => cover::reserve(facts, ctx, account, currency),
            DueKind::RefundSettles(refund) => refund_life::settle(facts, ctx, refund),
            DueKind::RefundExpires { refund, .. } => refund_life::wait_ends(facts, ctx, refund),
            DueKind::RefundsResume { account, currency } => refund_life::resume(facts, ctx, account, currency),
        },
        Command::ReversePayout { payout } => payout::reverse(facts, ctx, request, *payout),
        &Command::CreateInstantPayout { amount, currency, destination, source_type } => {
            let asked = payout::Asked { amount, currency, destination, source_type, instant: true };
            payout::create(facts, ctx, request, asked)
        }
        Command::UpdateBalanceSettings(input) => balance_settings::update(facts, ctx, request, input),
        Command::CreateTopup(input) => topup::create(facts, ctx, request, input),
        Command::UpdateTopup { topup } => topup::update(facts, ctx, request, *topup),
        Command::CancelTopup { topup } => topup::cancel(facts, ctx, request, *topup),
    }
}
