//! `token`.

use serde::Serialize;

use super::super::view::{Id, Stop, View};
use super::bank_account::{self, BankAccount};
use super::card::{self, Card};
use super::{Rendered, Sink, Words};
use crate::domain::record::{Record, RecordKey, TokenContent};
use crate::primitives::id::{ObjectId, ObjectKind};

#[derive(Serialize)]
struct Token<'a> {
    id: Id,
    object: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bank_account: Option<BankAccount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<Card<'a>>,
    client_ip: Option<&'static str>,
    created: i64,
    livemode: bool,
    r#type: &'static str,
    used: bool,
}

/// The token of an id.
///
/// # Errors
/// [`Stop`].
pub fn render<S: Sink>(view: &View<'_>, id: &ObjectId, sink: S) -> Rendered<S::Out> {
    let Record::Token(token) = view.record(RecordKey::of(id))? else { return Err(Stop::Gone) };
    let texts = view.texts(&token.private);
    let words = Words::new(&texts, "");
    let (bank_account, card, r#type) = match (&token.content, id.kind) {
        (TokenContent::Card(of), ObjectKind::Token) => (None, Some(card::in_token(view, id, of, words)), "card"),
        (TokenContent::Bank(of), ObjectKind::BankAccountToken) => {
            (Some(bank_account::in_token(view, id, of, words)), None, "bank_account")
        }
        (TokenContent::Account(_), ObjectKind::AccountToken) => (None, None, "account"),
        (TokenContent::Person(_), ObjectKind::PersonToken) => (None, None, "person"),
        _ => return Err(Stop::Gone),
    };
    sink.put(&Token {
        id: view.id(id),
        object: "token",
        bank_account,
        card,
        client_ip: None,
        created: token.made.at.seconds(),
        livemode: false,
        r#type,
        used: token.used,
    })
}
