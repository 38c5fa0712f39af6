"""Authorise now, capture later: in full, in part, never."""

import pytest
import stripe

from support import Row, eventually, payment


@pytest.fixture
def authorise(client):
    def make(amount=10000, **params):
        return client.v1.payment_intents.create(
            payment(amount, capture_method="manual", expand=["latest_charge"], **params)
        )

    return make


def assert_refused(call, code, param=None):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    assert caught.value.http_status == 400
    assert caught.value.code == code
    if param:
        assert caught.value.param == param


def test_authorisation_moves_no_money(authorise, platform, seller, seller_books):
    before = platform.total()

    intent = authorise(application_fee_amount=1000, transfer_data={"destination": seller.id})

    assert intent.status == "requires_capture"
    assert (intent.amount_capturable, intent.amount_received) == (10000, 0)
    charge = intent.latest_charge
    assert (charge.captured, charge.paid, charge.status) == (False, True, "succeeded")
    assert charge.amount_captured == 0
    assert charge.balance_transaction is None
    assert getattr(charge, "transfer", None) is None
    assert charge.payment_method_details.card.capture_before > intent.created
    assert platform.total() == before
    assert seller_books.total() == 0


def test_full_capture_has_the_rows_of_an_automatic_one(client, authorise, platform, seller, seller_books):
    intent = authorise(application_fee_amount=1000, transfer_data={"destination": seller.id})
    before = platform.total()

    captured = client.v1.payment_intents.capture(intent.id)

    assert captured.status == "succeeded"
    assert (captured.amount_received, captured.amount_capturable) == (10000, 0)
    assert platform.row_of(captured.latest_charge) == Row("charge", 10000, 320, 9680)
    assert platform.total() - before == 680
    assert seller_books.rows(1) == [Row("payment", 10000, 1000, 9000)]


def test_partial_capture_returns_the_rest(client, authorise, platform):
    intent = authorise()
    before = platform.total()

    captured = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 6000})

    assert captured.status == "succeeded"
    assert captured.amount == 10000
    assert (captured.amount_received, captured.amount_capturable) == (6000, 0)
    charge = client.v1.charges.retrieve(captured.latest_charge, {"expand": ["refunds"]})
    assert (charge.amount, charge.amount_captured, charge.amount_refunded) == (10000, 6000, 4000)
    assert (charge.captured, charge.refunded) == (True, False)
    (rest,) = charge.refunds.data
    assert rest.amount == 4000
    # The fee is that of 6000, and all of it stands on the charge's row.
    assert platform.row_of(charge.id) == Row("charge", 10000, 204, 9796)
    (rest_row,) = platform.transactions(1, source=rest.id)
    assert (rest_row.type, rest_row.amount, rest_row.fee, rest_row.net) == ("refund", -4000, 0, -4000)
    assert rest_row.reporting_category == "partial_capture_reversal"
    assert platform.total() - before == 5796


def test_partial_capture_for_a_seller_transfers_what_was_captured(client, authorise, platform, seller, seller_books):
    intent = authorise(application_fee_amount=1000, transfer_data={"destination": seller.id})
    before = platform.total()

    captured = client.v1.payment_intents.capture(
        intent.id, {"amount_to_capture": 6000, "expand": ["latest_charge.transfer"]}
    )

    assert captured.latest_charge.transfer.amount == 6000
    assert seller_books.rows(1) == [Row("payment", 6000, 1000, 5000)]
    assert platform.total() - before == 6000 - 204 - 6000 + 1000


def test_what_was_captured_can_be_refunded_in_full(client, authorise, seller_books, seller):
    intent = authorise(transfer_data={"destination": seller.id})
    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 6000})

    assert_refused(
        lambda: client.v1.refunds.create({"payment_intent": intent.id, "amount": 6001, "reverse_transfer": True}),
        None,
        "amount",
    )
    refund = client.v1.refunds.create({"payment_intent": intent.id, "reverse_transfer": True})

    assert refund.amount == 6000
    assert seller_books.total() == 0
    assert client.v1.charges.retrieve(refund.charge).refunded is True


def test_fee_is_cut_down_to_what_was_captured(client, authorise, seller, seller_books):
    intent = authorise(application_fee_amount=1000, transfer_data={"destination": seller.id})

    client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 800})

    assert seller_books.rows(1) == [Row("payment", 800, 800, 0)]


def test_fee_is_lowered_in_the_capture(client, authorise, seller, seller_books):
    intent = authorise(application_fee_amount=1000, transfer_data={"destination": seller.id})

    client.v1.payment_intents.capture(intent.id, {"application_fee_amount": 500})

    assert seller_books.rows(1) == [Row("payment", 10000, 500, 9500)]


def test_more_than_authorised_is_refused(client, authorise):
    intent = authorise()

    assert_refused(
        lambda: client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 10001}),
        "amount_too_large",
        "amount_to_capture",
    )
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_capture"


def test_second_capture_is_refused(client, authorise):
    intent = authorise()
    client.v1.payment_intents.capture(intent.id)

    assert_refused(lambda: client.v1.payment_intents.capture(intent.id), "payment_intent_unexpected_state")


def test_capture_of_an_automatic_payment_is_refused(client):
    intent = client.v1.payment_intents.create(payment())

    assert_refused(lambda: client.v1.payment_intents.capture(intent.id), "payment_intent_unexpected_state")


def test_cancel_releases_the_authorisation(client, authorise, platform, seller, seller_books):
    intent = authorise(application_fee_amount=1000, transfer_data={"destination": seller.id})
    before = platform.total()

    canceled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "requested_by_customer"})

    assert canceled.status == "canceled"
    assert canceled.cancellation_reason == "requested_by_customer"
    assert canceled.canceled_at >= canceled.created
    assert canceled.amount_capturable == 0
    charge = client.v1.charges.retrieve(intent.latest_charge.id)
    assert (charge.refunded, charge.amount_refunded) == (True, 10000)
    assert charge.balance_transaction is None
    assert platform.total() == before
    assert seller_books.total() == 0


def test_cancel_before_confirmation(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})

    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"
    assert_refused(lambda: client.v1.payment_intents.confirm(intent.id), "payment_intent_unexpected_state")
    assert_refused(lambda: client.v1.payment_intents.cancel(intent.id), "payment_intent_unexpected_state")


def test_cancel_of_a_paid_intent_is_refused(client):
    intent = client.v1.payment_intents.create(payment())

    assert_refused(lambda: client.v1.payment_intents.cancel(intent.id), "payment_intent_unexpected_state")
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_events_of_authorisation_and_capture(client, authorise):
    intent = authorise()
    client.v1.payment_intents.capture(intent.id)

    def read():
        page = client.v1.events.list(
            {
                "types": [
                    "payment_intent.amount_capturable_updated",
                    "payment_intent.succeeded",
                    "charge.captured",
                ],
                "limit": 50,
            }
        )
        ids = (intent.id, intent.latest_charge.id)
        return {event.type for event in page.data if event.data.object["id"] in ids}

    expected = {"payment_intent.amount_capturable_updated", "payment_intent.succeeded", "charge.captured"}
    assert eventually(read, lambda kinds: kinds == expected) == expected
