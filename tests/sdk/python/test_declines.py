"""Declined cards: the answer, what stays behind, and the second try."""

import pytest
import stripe

from support import CARD_YEAR, Row, eventually, find_event, payment


@pytest.fixture
def decline(client, seller):
    """Tries to pay a seller with a card that is declined, and gives the error."""

    def make(card="pm_card_visa_chargeDeclined", **params):
        with pytest.raises(stripe.CardError) as caught:
            client.v1.payment_intents.create(
                payment(
                    payment_method=card,
                    application_fee_amount=1000,
                    transfer_data={"destination": seller.id},
                    **params,
                )
            )
        return caught.value

    return make


def test_decline_is_a_card_error_with_the_whole_intent_inside(decline):
    error = decline()

    assert error.http_status == 402
    assert error.code == "card_declined"
    assert error.error.type == "card_error"
    assert error.error.decline_code == "generic_decline"
    assert error.user_message
    intent = error.error.payment_intent
    assert intent.object == "payment_intent"
    assert intent.id.startswith("pi_")
    assert intent.status == "requires_payment_method"
    assert intent.amount == 10000
    assert intent.last_payment_error.code == "card_declined"
    assert intent.last_payment_error.decline_code == "generic_decline"
    assert error.error.payment_method.object == "payment_method"
    assert error.error.charge == intent.latest_charge


def test_declined_intent_survives_with_a_failed_charge(client, decline):
    failed = decline().error.payment_intent

    intent = client.v1.payment_intents.retrieve(failed.id, {"expand": ["latest_charge"]})

    assert intent.status == "requires_payment_method"
    assert intent.amount_received == 0
    charge = intent.latest_charge
    assert charge.id == failed.latest_charge
    assert (charge.status, charge.paid, charge.captured) == ("failed", False, False)
    assert charge.failure_code == "card_declined"
    assert charge.failure_message
    assert charge.balance_transaction is None
    assert charge.outcome.type == "issuer_declined"
    assert charge.outcome.network_status == "declined_by_network"
    assert charge.outcome.reason == "generic_decline"


def test_decline_moves_no_money(decline, platform, seller_books):
    before = platform.total()

    decline()

    assert platform.total() == before
    assert seller_books.total() == 0
    assert seller_books.rows(0) == []


def test_retry_with_a_good_card_succeeds(client, decline, seller_books):
    failed = decline().error.payment_intent

    intent = client.v1.payment_intents.confirm(failed.id, {"payment_method": "pm_card_visa"})

    assert intent.status == "succeeded"
    assert intent.last_payment_error is None
    assert intent.latest_charge != failed.latest_charge
    assert seller_books.rows(1) == [Row("payment", 10000, 1000, 9000)]

    def read():
        return client.v1.charges.list({"payment_intent": intent.id})

    charges = eventually(read, lambda page: len(page.data) == 2)
    assert {charge.id: charge.status for charge in charges.data} == {
        failed.latest_charge: "failed",
        intent.latest_charge: "succeeded",
    }


def test_declined_confirm_answers_like_a_declined_create(client):
    intent = client.v1.payment_intents.create(payment(confirm=False, payment_method="pm_card_visa_chargeDeclined"))
    assert intent.status == "requires_confirmation"

    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.confirm(intent.id)

    assert caught.value.error.payment_intent.id == intent.id
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"


@pytest.mark.parametrize(
    "card, code, decline_code",
    [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
    ],
)
def test_reason_of_the_decline(decline, card, code, decline_code):
    error = decline(card)

    assert error.code == code
    assert error.error.decline_code == decline_code
    assert error.error.payment_intent.last_payment_error.decline_code == decline_code


@pytest.mark.parametrize(
    "card, advice, network_decline_code",
    [
        ("pm_card_visa_chargeDeclined", "try_again_later", "01"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "try_again_later", "51"),
        ("pm_card_visa_chargeDeclinedStolenCard", "do_not_try_again", "43"),
    ],
)
def test_decline_carries_the_networks_advice(decline, card, advice, network_decline_code):
    error = decline(card).error

    assert error.advice_code == advice
    assert error.network_decline_code == network_decline_code


def test_card_that_attaches_but_fails_when_charged(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})

    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(payment(customer=customer.id, payment_method=method.id))

    assert caught.value.code == "card_declined"
    assert caught.value.error.payment_intent.customer == customer.id


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"exp_month": 13}, "invalid_expiry_month"),
        ({"exp_year": 2019}, "invalid_expiry_year"),
        ({"cvc": "99"}, "invalid_cvc"),
    ],
)
def test_impossible_card_data_is_a_card_error(client, changes, code):
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": CARD_YEAR, "cvc": "123", **changes}

    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_methods.create({"type": "card", "card": card})

    assert caught.value.http_status == 402
    assert caught.value.code == code


def test_events_of_a_decline(client, decline):
    intent = decline().error.payment_intent

    assert find_event(client, "payment_intent.payment_failed", intent.id)
    assert find_event(client, "charge.failed", intent.latest_charge)
