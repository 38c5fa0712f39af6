//! Authentication of payers (3-D Secure): when a card asks for it, and what follows from the payer's answer
//! (section 13.3).
//!
//! A test card's recipe says what its issuer demands. Whether the payer is asked depends on who is there: an issuer's
//! demand of an absent payer is a decline, unless the card was set up for such payments before.

use super::command::Request;
use super::decide::{Context, Facts, Halt, Outcome, Refusal};
use super::declines;
use super::payment;
use super::record::{Authentication, CardOptions, Recipe, ThreeDSecure, ThreeDSecureRequest};
use super::setup;
use crate::primitives::id::{ObjectId, ObjectKind};

/// What an attempt to use a card comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The payer has to authenticate first.
    Challenge,
    /// The issuer answers.
    Answer(Answer),
}

/// The issuer's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Why it declines; `None`: it agrees.
    pub failure: Option<Recipe>,
    /// How the payer was authenticated, if that was tried.
    pub three_d_secure: Option<ThreeDSecure>,
}

/// Under which circumstances a card is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The payer is not there.
    pub off_session: bool,
    /// The card was set up for payments without the payer.
    pub set_up: bool,
    /// `request_three_d_secure`.
    pub asked: ThreeDSecureRequest,
    /// The payer has just passed.
    pub authenticated: bool,
}

impl Circumstances {
    /// What the caller asks of cards.
    pub fn asked(options: Option<CardOptions>) -> ThreeDSecureRequest {
        options.and_then(|options| options.three_d_secure).unwrap_or_default()
    }
}

/// A charge of a card.
pub fn charge(recipe: Recipe, at: Circumstances) -> Step {
    let answer = |failure, three_d_secure| Step::Answer(Answer { failure, three_d_secure });
    let is_asked = at.asked != ThreeDSecureRequest::Automatic && !at.off_session;
    if at.authenticated {
        return answer(after_challenge(recipe), Some(ThreeDSecure::Challenged));
    }
    match recipe {
        Recipe::AuthenticateUnlessSetUp | Recipe::AuthenticateThenInsufficientFunds if at.off_session && at.set_up => {
            answer(after_challenge(recipe), None)
        }
        Recipe::AuthenticateOnSession if at.off_session => answer(None, None),
        Recipe::AuthenticateUnlessSetUp
        | Recipe::AuthenticateAlways
        | Recipe::AuthenticateOnSession
        | Recipe::AuthenticateThenInsufficientFunds
        | Recipe::AuthenticateThenDecline => {
            if at.off_session {
                answer(Some(Recipe::AuthenticationRequired), None)
            } else {
                Step::Challenge
            }
        }
        Recipe::AuthenticationError => answer(Some(Recipe::GenericDecline), Some(ThreeDSecure::LookupFailed)),
        Recipe::AuthenticateIfAsked if is_asked => Step::Challenge,
        Recipe::AuthenticateSilently if !at.off_session => answer(None, Some(ThreeDSecure::Silent)),
        Recipe::AuthenticateIfAsked | Recipe::AuthenticateSilently | Recipe::AuthenticationUnsupported => {
            answer(None, None)
        }
        Recipe::AuthenticationFailed => answer(Some(recipe), None),
        _ => {
            let failure = declines::of(recipe).map(|_| recipe);
            answer(failure, (is_asked && failure.is_none()).then_some(ThreeDSecure::NotEnrolled))
        }
    }
}

/// Setting a card up for later: the payer is there, and what would decline only when it is charged passes.
pub fn set_up(recipe: Recipe, asked: ThreeDSecureRequest, authenticated: bool) -> Step {
    let recipe = match recipe {
        Recipe::AuthenticateThenInsufficientFunds | Recipe::AuthenticationRequired => Recipe::AuthenticateAlways,
        Recipe::ChargeCustomerFail => Recipe::Succeed,
        recipe => recipe,
    };
    charge(recipe, Circumstances { asked, authenticated, ..Circumstances::default() })
}

/// What the issuer says once the payer has authenticated.
fn after_challenge(recipe: Recipe) -> Option<Recipe> {
    match recipe {
        Recipe::AuthenticateThenInsufficientFunds => Some(Recipe::InsufficientFunds),
        Recipe::AuthenticateThenDecline => Some(Recipe::GenericDecline),
        _ => declines::of(recipe).map(|_| recipe),
    }
}

impl Authentication {
    /// The next one of an intent.
    ///
    /// # Errors
    /// More than an intent can count.
    pub fn after(earlier: Option<Authentication>, by_sdk: bool, returns: bool) -> Result<Authentication, Halt> {
        let number = earlier.map_or(0, |earlier| earlier.number).checked_add(1).ok_or_else(|| {
            Refusal::new("This intent has been authenticated too often. Create a new one.").param("intent")
        })?;
        Ok(Authentication { number, by_sdk, returns, passed: false })
    }
}

/// The payer's answer.
///
/// # Errors
/// A refusal where nothing waits for it any more, or a missing fact. A decline is no error.
pub fn answer(
    facts: &dyn Facts,
    ctx: &Context<'_>,
    request: &Request,
    intent: ObjectId,
    number: u16,
    passed: bool,
) -> Result<Outcome, Halt> {
    match intent.kind {
        ObjectKind::SetupIntent => setup::authenticated(facts, ctx, request, intent.birth, number, passed),
        _ => payment::authenticated(facts, ctx, request, intent.birth, number, passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Recipe::*;

    const CHALLENGE: Step = Step::Challenge;

    fn says(failure: Option<Recipe>, three_d_secure: Option<ThreeDSecure>) -> Step {
        Step::Answer(Answer { failure, three_d_secure })
    }

    #[test]
    fn who_is_there_decides_what_a_demand_for_authentication_means() {
        let (ok, required) = (says(None, None), says(Some(AuthenticationRequired), None));
        let (declined, poor) = (says(Some(GenericDecline), None), says(Some(InsufficientFunds), None));
        let silent = says(None, Some(ThreeDSecure::Silent));
        let lookup = says(Some(GenericDecline), Some(ThreeDSecure::LookupFailed));
        // recipe; on session, asked for by the seller, off session, off session once set up
        for (recipe, [on_session, asked, off_session, set_up]) in [
            (Succeed, [ok, says(None, Some(ThreeDSecure::NotEnrolled)), ok, ok]),
            (GenericDecline, [declined; 4]),
            (AuthenticateUnlessSetUp, [CHALLENGE, CHALLENGE, required, ok]),
            (AuthenticateAlways, [CHALLENGE, CHALLENGE, required, required]),
            (AuthenticateOnSession, [CHALLENGE, CHALLENGE, ok, ok]),
            (AuthenticateThenInsufficientFunds, [CHALLENGE, CHALLENGE, required, poor]),
            (AuthenticateThenDecline, [CHALLENGE, CHALLENGE, required, required]),
            (AuthenticationError, [lookup; 4]),
            (AuthenticateIfAsked, [ok, CHALLENGE, ok, ok]),
            (AuthenticateSilently, [silent, silent, ok, ok]),
            (AuthenticationUnsupported, [ok; 4]),
        ] {
            let on = Circumstances::default();
            let off = Circumstances { off_session: true, ..on };
            let got = [
                on,
                Circumstances { asked: ThreeDSecureRequest::Any, ..on },
                off,
                Circumstances { set_up: true, ..off },
            ]
            .map(|at| charge(recipe, at));
            assert_eq!(got, [on_session, asked, off_session, set_up], "{recipe:?}");
        }
    }

    #[test]
    fn a_challenge_that_was_passed_leaves_the_issuers_own_answer() {
        let passed = |failure| says(failure, Some(ThreeDSecure::Challenged));
        let at = Circumstances { authenticated: true, ..Circumstances::default() };
        for (recipe, failure, when_set_up) in [
            (AuthenticateAlways, None, None),
            (AuthenticateThenInsufficientFunds, Some(InsufficientFunds), None),
            (AuthenticateThenDecline, Some(GenericDecline), Some(GenericDecline)),
        ] {
            assert_eq!(charge(recipe, at), passed(failure), "{recipe:?}");
            assert_eq!(set_up(recipe, ThreeDSecureRequest::Automatic, false), CHALLENGE, "{recipe:?}");
            assert_eq!(set_up(recipe, ThreeDSecureRequest::Automatic, true), passed(when_set_up), "{recipe:?}");
        }
        assert_eq!(set_up(ChargeCustomerFail, ThreeDSecureRequest::Automatic, false), says(None, None));
        assert_eq!(set_up(LostCard, ThreeDSecureRequest::Automatic, false), says(Some(LostCard), None));
    }
}
