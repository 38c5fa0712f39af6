//! What a declined card says: one table for the error, the charge's outcome and the intent's last error (section 13.2).

use super::record::Recipe;

/// The words of a decline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclineText {
    /// Error code: `card_declined`, or a more exact one.
    pub code: &'static str,
    /// The issuer's reason.
    pub decline_code: &'static str,
    /// Written to be shown to the payer.
    pub message: &'static str,
    /// The parameter at fault.
    pub param: Option<&'static str>,
    /// What to do, as the operator advises.
    pub advice_code: Option<&'static str>,
    /// The network's code for the decline.
    pub network_decline_code: Option<&'static str>,
    /// What to do, as the network advises.
    pub network_advice_code: Option<&'static str>,
    /// What the failed charge's `outcome` says.
    pub outcome: FailureOutcome,
}

/// `charge.outcome` of a failed charge, beyond the codes of [`DeclineText`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureOutcome {
    /// `issuer_declined` or `blocked`.
    pub kind: &'static str,
    /// Whether the network saw it.
    pub network_status: &'static str,
    /// Why, as a code.
    pub reason: &'static str,
    /// `normal` or `highest`.
    pub risk_level: &'static str,
    /// Why, in words for the seller.
    pub seller_message: &'static str,
}

const DECLINED: FailureOutcome = FailureOutcome {
    kind: "issuer_declined",
    network_status: "declined_by_network",
    reason: "generic_decline",
    risk_level: "normal",
    seller_message: "The bank did not return any further details with this decline.",
};

/// A decline without further details.
pub const GENERIC: DeclineText = DeclineText {
    code: "card_declined",
    decline_code: "generic_decline",
    message: "Your card was declined.",
    param: None,
    advice_code: Some("try_again_later"),
    network_decline_code: Some("01"),
    network_advice_code: None,
    outcome: DECLINED,
};

/// How a recipe declines; `None` for those that may succeed, and for a failure that no issuer had a part in.
pub fn of(recipe: Recipe) -> Option<&'static DeclineText> {
    match recipe {
        Recipe::Succeed | Recipe::BypassPending | Recipe::RefundPending | Recipe::RefundFails => None,
        // Whether these pay depends on more than the card: see `authentication`.
        Recipe::AuthenticateUnlessSetUp
        | Recipe::AuthenticateAlways
        | Recipe::AuthenticateOnSession
        | Recipe::AuthenticateThenInsufficientFunds
        | Recipe::AuthenticateThenDecline
        | Recipe::AuthenticationError
        | Recipe::AuthenticateIfAsked
        | Recipe::AuthenticateSilently
        | Recipe::AuthenticationUnsupported
        | Recipe::AuthenticationFailed => None,
        Recipe::Dispute
        | Recipe::DisputeNotReceived
        | Recipe::DisputeInquiry
        | Recipe::DisputeTwice
        | Recipe::DisputeCe3
        | Recipe::DisputeCompliance => None,
        Recipe::GenericDecline | Recipe::ChargeCustomerFail => Some(&GENERIC),
        Recipe::InsufficientFunds => Some(&DeclineText {
            decline_code: "insufficient_funds",
            message: "Your card has insufficient funds.",
            network_decline_code: Some("51"),
            network_advice_code: Some("02"),
            outcome: FailureOutcome {
                reason: "insufficient_funds",
                seller_message: "The bank returned the decline code `insufficient_funds`.",
                ..DECLINED
            },
            ..GENERIC
        }),
        Recipe::LostCard => Some(&DeclineText {
            decline_code: "lost_card",
            advice_code: Some("do_not_try_again"),
            network_decline_code: Some("41"),
            network_advice_code: Some("01"),
            outcome: FailureOutcome {
                reason: "lost_card",
                seller_message: "The bank returned the decline code `lost_card`.",
                ..DECLINED
            },
            ..GENERIC
        }),
        Recipe::StolenCard => Some(&DeclineText {
            decline_code: "stolen_card",
            advice_code: Some("do_not_try_again"),
            network_decline_code: Some("43"),
            network_advice_code: Some("01"),
            outcome: FailureOutcome {
                reason: "stolen_card",
                seller_message: "The bank returned the decline code `stolen_card`.",
                ..DECLINED
            },
            ..GENERIC
        }),
        Recipe::ExpiredCard => Some(&DeclineText {
            code: "expired_card",
            decline_code: "expired_card",
            message: "Your card has expired.",
            param: Some("exp_month"),
            advice_code: Some("confirm_card_data"),
            network_decline_code: Some("54"),
            network_advice_code: Some("03"),
            outcome: FailureOutcome {
                reason: "expired_card",
                seller_message: "The bank returned the decline code `expired_card`.",
                ..DECLINED
            },
        }),
        Recipe::IncorrectCvc => Some(&DeclineText {
            code: "incorrect_cvc",
            decline_code: "incorrect_cvc",
            message: "Your card's security code is incorrect.",
            param: Some("cvc"),
            advice_code: Some("confirm_card_data"),
            network_decline_code: Some("N7"),
            network_advice_code: Some("03"),
            outcome: FailureOutcome {
                reason: "incorrect_cvc",
                seller_message: "The bank returned the decline code `incorrect_cvc`.",
                ..DECLINED
            },
        }),
        Recipe::ProcessingError => Some(&DeclineText {
            code: "processing_error",
            decline_code: "processing_error",
            message: "An error occurred while processing your card. Try again in a little bit.",
            network_decline_code: Some("06"),
            outcome: FailureOutcome {
                reason: "processing_error",
                seller_message: "The bank returned the decline code `processing_error`.",
                ..DECLINED
            },
            ..GENERIC
        }),
        Recipe::VelocityExceeded => Some(&DeclineText {
            decline_code: "card_velocity_exceeded",
            message: "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
            network_decline_code: Some("61"),
            network_advice_code: Some("02"),
            outcome: FailureOutcome {
                reason: "card_velocity_exceeded",
                seller_message: "The bank returned the decline code `card_velocity_exceeded`.",
                ..DECLINED
            },
            ..GENERIC
        }),
        Recipe::Fraudulent => Some(&DeclineText {
            decline_code: "fraudulent",
            advice_code: Some("do_not_try_again"),
            network_decline_code: None,
            outcome: FailureOutcome {
                kind: "blocked",
                network_status: "not_sent_to_network",
                reason: "highest_risk_level",
                risk_level: "highest",
                seller_message: "This payment was blocked as too risky.",
            },
            ..GENERIC
        }),
        Recipe::AuthenticationRequired => Some(&DeclineText {
            code: "authentication_required",
            decline_code: "authentication_required",
            message: "Your card was declined. This transaction requires authentication.",
            advice_code: None,
            network_decline_code: None,
            outcome: FailureOutcome {
                reason: "authentication_required",
                seller_message: "The bank returned the decline code `authentication_required`.",
                ..DECLINED
            },
            ..GENERIC
        }),
    }
}

/// Whether a card of this recipe is declined already when it is saved to a customer. Some decline only when they are
/// charged: the one made for that test, and those that ask for authentication.
pub fn declines_saving(recipe: Recipe) -> bool {
    match recipe {
        Recipe::Succeed
        | Recipe::BypassPending
        | Recipe::ChargeCustomerFail
        | Recipe::AuthenticationRequired
        | Recipe::AuthenticateUnlessSetUp
        | Recipe::AuthenticateAlways
        | Recipe::AuthenticateOnSession
        | Recipe::AuthenticateThenInsufficientFunds
        | Recipe::AuthenticateThenDecline
        | Recipe::AuthenticationError
        | Recipe::AuthenticateIfAsked
        | Recipe::AuthenticateSilently
        | Recipe::AuthenticationUnsupported
        | Recipe::AuthenticationFailed
        | Recipe::Dispute
        | Recipe::DisputeNotReceived
        | Recipe::DisputeInquiry
        | Recipe::DisputeTwice
        | Recipe::DisputeCe3
        | Recipe::DisputeCompliance
        | Recipe::RefundPending
        | Recipe::RefundFails => false,
        Recipe::GenericDecline
        | Recipe::InsufficientFunds
        | Recipe::LostCard
        | Recipe::StolenCard
        | Recipe::ExpiredCard
        | Recipe::IncorrectCvc
        | Recipe::ProcessingError
        | Recipe::VelocityExceeded
        | Recipe::Fraudulent => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decline_says_what_the_reference_says() {
        type Row = (Recipe, &'static str, &'static str, Option<&'static str>, [Option<&'static str>; 3]);
        let later = Some("try_again_later");
        let never = Some("do_not_try_again");
        let check = Some("confirm_card_data");
        let rows: [Row; 11] = [
            (Recipe::GenericDecline, "card_declined", "generic_decline", None, [later, Some("01"), None]),
            (Recipe::InsufficientFunds, "card_declined", "insufficient_funds", None, [later, Some("51"), Some("02")]),
            (Recipe::LostCard, "card_declined", "lost_card", None, [never, Some("41"), Some("01")]),
            (Recipe::StolenCard, "card_declined", "stolen_card", None, [never, Some("43"), Some("01")]),
            (Recipe::ExpiredCard, "expired_card", "expired_card", Some("exp_month"), [check, Some("54"), Some("03")]),
            (Recipe::IncorrectCvc, "incorrect_cvc", "incorrect_cvc", Some("cvc"), [check, Some("N7"), Some("03")]),
            (Recipe::ProcessingError, "processing_error", "processing_error", None, [later, Some("06"), None]),
            (
                Recipe::VelocityExceeded,
                "card_declined",
                "card_velocity_exceeded",
                None,
                [later, Some("61"), Some("02")],
            ),
            (Recipe::Fraudulent, "card_declined", "fraudulent", None, [never, None, None]),
            (Recipe::ChargeCustomerFail, "card_declined", "generic_decline", None, [later, Some("01"), None]),
            (
                Recipe::AuthenticationRequired,
                "authentication_required",
                "authentication_required",
                None,
                [None, None, None],
            ),
        ];
        for (recipe, code, decline_code, param, [advice, network, network_advice]) in rows {
            let text = of(recipe).unwrap();
            assert_eq!((text.code, text.decline_code, text.param), (code, decline_code, param), "{recipe:?}");
            assert_eq!(text.advice_code, advice, "{recipe:?}");
            assert_eq!(text.network_decline_code, network, "{recipe:?}");
            assert_eq!(text.network_advice_code, network_advice, "{recipe:?}");
            assert!(text.message.ends_with('.') && text.outcome.seller_message.ends_with('.'), "{recipe:?}");
        }
        assert_eq!(of(Recipe::Succeed), None);
        assert_eq!(of(Recipe::BypassPending), None);
    }

    #[test]
    fn only_a_blocked_card_never_reaches_the_network() {
        assert_eq!(of(Recipe::Fraudulent).unwrap().outcome.network_status, "not_sent_to_network");
        assert_eq!(of(Recipe::LostCard).unwrap().outcome.network_status, "declined_by_network");
    }
}
