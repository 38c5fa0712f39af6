//! The actor of one account: the only place where its balance changes.

use actix::{Actor, Context, Handler, Message, MessageResponse};

use super::machine::Post;
use crate::ledger::Books;

/// Owns the books of a connected account, or of the platform itself.
#[derive(Debug)]
pub struct AccountActor {
    books: Books,
}

impl AccountActor {
    /// An actor with these books.
    pub fn new(books: Books) -> AccountActor {
        AccountActor { books }
    }
}

impl Actor for AccountActor {
    type Context = Context<AccountActor>;
}

/// Postings that the router sent, in sequence order. Answered with the new totals, which the router compares with its
/// own copy.
#[derive(Debug, Message)]
#[rtype(result = "Totals")]
pub struct Apply(pub Vec<Post>);

/// Asks for the books.
#[derive(Debug, Message)]
#[rtype(result = "Totals")]
pub struct Ask;

/// An account's books, as its actor has them.
#[derive(Debug, MessageResponse)]
pub struct Totals(pub Books);

impl Handler<Apply> for AccountActor {
    type Result = Totals;

    fn handle(&mut self, Apply(posts): Apply, _: &mut Context<AccountActor>) -> Totals {
        for post in posts {
            post.apply(&mut self.books);
        }
        Totals(self.books.clone())
    }
}

impl Handler<Ask> for AccountActor {
    type Result = Totals;

    fn handle(&mut self, Ask: Ask, _: &mut Context<AccountActor>) -> Totals {
        Totals(self.books.clone())
    }
}
