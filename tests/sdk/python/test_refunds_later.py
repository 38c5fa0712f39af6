"""Refunds that do not simply succeed, reversals and fee refunds with all their parameters, and how they are listed."""

import pytest
import stripe

from support import Books, Row, acting_for, eventually, find_event, payment

# Test cards decide within seconds.
PATIENCE_SECONDS = 20.0
ASKS_PAYER = "jenny+requires_action@example.com"


def refund_of(client, amount=2000, card="pm_card_visa", **params):
    intent = client.v1.payment_intents.create(payment(amount, payment_method=card))
    return client.v1.refunds.create({"payment_intent": intent.id, **params})


def settled(client, refund, first):
    """The refund once its status is no longer the first one."""
    return eventually(
        lambda: client.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]}),
        lambda found: found.status != first,
        PATIENCE_SECONDS,
    )


def test_refund_that_fails_later(client, platform):
    refund = refund_of(client, card="pm_card_refundFail")
    assert refund.status == "succeeded"
    assert client.v1.charges.retrieve(refund.charge).amount_refunded == 2000

    failed = settled(client, refund, "succeeded")

    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    back = failed.failure_balance_transaction
    assert (back.type, back.reporting_category, back.net, back.source) == (
        "refund_failure",
        "refund_failure",
        2000,
        refund.id,
    )
    charge = client.v1.charges.retrieve(refund.charge)
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert platform.rows(2, source=refund.id) == [
        Row("refund", -2000, 0, -2000),
        Row("refund_failure", 2000, 0, 2000),
    ]
    event = find_event(client, "refund.failed", refund.id)
    assert event.data.object.status == "failed"
    assert event.request.id is None
    updated = find_event(client, "refund.updated", refund.id)
    assert updated.data.previous_attributes["status"] == "succeeded"
    assert find_event(client, "charge.refund.updated", refund.id)


def test_refund_that_is_pending_first(client):
    refund = refund_of(client, card="pm_card_pendingRefund")
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    assert refund.destination_details.card.type == "pending"
    assert refund.balance_transaction.startswith("txn_")

    done = settled(client, refund, "pending")

    assert done.status == "succeeded"
    assert done.destination_details.card.type == "refund"
    changed = find_event(client, "refund.updated", refund.id).data.previous_attributes
    assert (changed["status"], changed["pending_reason"]) == ("pending", "processing")


def test_refund_that_asks_the_payer_is_canceled(client):
    refund = refund_of(client, instructions_email=ASKS_PAYER)
    assert (refund.status, refund.instructions_email) == ("requires_action", ASKS_PAYER)
    details = refund.next_action.display_details
    assert refund.next_action.type == "display_details"
    assert details.email_sent.email_sent_to == ASKS_PAYER
    assert details.expires_at == refund.created + 45 * 86400

    canceled = client.v1.refunds.cancel(refund.id, {"expand": ["failure_balance_transaction"]})

    assert (canceled.status, canceled.failure_reason) == ("canceled", "merchant_request")
    assert canceled.failure_balance_transaction.net == 2000
    assert client.v1.charges.retrieve(refund.charge).amount_refunded == 0
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.cancel(refund.id)
    assert caught.value.http_status == 400
    # What was not refunded in the end can be refunded now.
    assert client.v1.refunds.create({"charge": refund.charge}).status == "succeeded"


def test_refund_that_asks_the_payer_expires(client):
    refund = refund_of(client, instructions_email=ASKS_PAYER)

    expired = client.v1.test_helpers.refunds.expire(refund.id)

    assert (expired.status, expired.failure_reason) == ("failed", "unknown")
    assert find_event(client, "refund.failed", refund.id)


def test_refund_that_succeeded_is_neither_canceled_nor_expired(client):
    refund = refund_of(client, instructions_email="jenny@example.com")
    assert refund.status == "succeeded"
    for call in (client.v1.refunds.cancel, client.v1.test_helpers.refunds.expire):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call(refund.id)
        assert "succeeded" in caught.value.user_message
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.cancel("re_1unknown")
    assert caught.value.http_status == 404


@pytest.mark.parametrize(
    "params, param, code",
    [
        pytest.param({"origin": "customer_balance"}, "origin", None, id="no cash balances"),
        pytest.param({"customer": "cus_1"}, "customer", None, id="customer goes with origin"),
        pytest.param({"instructions_email": "jenny"}, "instructions_email", "email_invalid", id="no address"),
        pytest.param({"reason": "expired_uncaptured_charge"}, "reason", None, id="not the caller's reason"),
    ],
)
def test_parameters_that_do_not_fit(client, params, param, code):
    intent = client.v1.payment_intents.create(payment(1000))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id, **params})

    assert (caught.value.param, caught.value.code) == (param, code)


def test_direct_charge_is_refunded_by_its_account(client, seller):
    as_seller = acting_for(seller)
    intent = client.v1.payment_intents.create(payment(3000), as_seller)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "resource_missing"
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 1000}, as_seller)

    assert Books(client, seller.id).row_of(refund.id) == Row("refund", -1000, 0, -1000)
    assert find_event(client, "charge.refunded", refund.charge, seller).account == seller.id
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.retrieve(refund.id)


def test_refunds_are_listed_by_payment_and_time_and_expanded(client):
    intent = client.v1.payment_intents.create(payment(3000))
    made = [client.v1.refunds.create({"payment_intent": intent.id, "amount": 500}) for _ in range(3)]
    other = refund_of(client)

    by_intent = client.v1.refunds.list({"payment_intent": intent.id, "limit": 2, "expand": ["data.charge"]})
    assert [refund.id for refund in by_intent.data] == [made[2].id, made[1].id]
    assert by_intent.has_more and by_intent.data[0].charge.amount_refunded == 1500
    later = client.v1.refunds.list({"payment_intent": intent.id, "created": {"gt": made[-1].created + 60}})
    assert later.data == []
    since = {"created": {"gte": made[0].created}, "limit": 10}
    listed = eventually(lambda: [refund.id for refund in client.v1.refunds.list(since).data], lambda ids: other.id in ids)
    assert listed.index(other.id) < listed.index(made[2].id) < listed.index(made[0].id)
    expanded = client.v1.refunds.retrieve(
        made[0].id, {"expand": ["balance_transaction", "charge.balance_transaction", "payment_intent.latest_charge"]}
    )
    assert expanded.balance_transaction.source == made[0].id
    assert expanded.charge.balance_transaction.net == 3000 - 117
    assert expanded.payment_intent.latest_charge.id == expanded.charge.id


@pytest.fixture
def sold(client, seller):
    """A destination charge with a fee, its money available at once."""
    intent = client.v1.payment_intents.create(
        payment(
            10000,
            payment_method="pm_card_bypassPending",
            application_fee_amount=1000,
            transfer_data={"destination": seller.id},
            expand=["latest_charge"],
        )
    )
    return intent.latest_charge


def test_reversals_are_made_retrieved_updated_and_listed(client, seller, sold):
    reversals = client.v1.transfers.reversals
    first = reversals.create(
        sold.transfer,
        {
            "amount": 2500,
            "description": "late",
            "metadata": {"order": "1"},
            "refund_application_fee": True,
            "expand": ["balance_transaction", "destination_payment_refund", "transfer"],
        },
    )
    assert first.balance_transaction.source == sold.transfer
    assert (first.amount, first.source_refund, first.transfer.amount_reversed) == (2500, None, 2500)
    # The seller's side is the seller's object; the platform that made it may see it.
    assert first.destination_payment_refund.amount == 2500
    own = client.v1.refunds.retrieve(first.destination_payment_refund.id, options=acting_for(seller))
    assert (own.source_transfer_reversal, own.status) == (first.id, "succeeded")
    updated = reversals.update(sold.transfer, first.id, {"metadata": {"order": "2"}})
    assert updated.metadata.to_dict() == {"order": "2"}
    refund = client.v1.refunds.create({"charge": sold.id, "amount": 1000, "reverse_transfer": True})
    by_refund = reversals.retrieve(sold.transfer, refund.transfer_reversal)
    assert (by_refund.source_refund, by_refund.amount) == (refund.id, 1000)
    page = reversals.list(sold.transfer, {"limit": 10})
    assert [reversal.id for reversal in page.data] == [by_refund.id, first.id]
    fee = client.v1.application_fees.retrieve(sold.application_fee, {"expand": ["refunds"]})
    assert (fee.amount_refunded, fee.refunded) == (250, False)
    assert [given.amount for given in fee.refunds.data] == [250]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        reversals.create(sold.transfer, {"amount": 6501})
    assert caught.value.param == "amount"
    assert "$65.01" in caught.value.user_message and "$65.00" in caught.value.user_message
    assert find_event(client, "transfer.reversed", sold.transfer)


def test_fee_refunds_are_made_retrieved_updated_and_listed(client, seller, sold):
    refunds = client.v1.application_fees.refunds
    first = refunds.create(sold.application_fee, {"amount": 400, "metadata": {"why": "late"}})
    assert (first.object, first.amount, first.fee) == ("fee_refund", 400, sold.application_fee)
    updated = refunds.update(sold.application_fee, first.id, {"metadata": {"why": "kind"}})
    assert updated.metadata.to_dict() == {"why": "kind"}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        refunds.create(sold.application_fee, {"amount": 601})
    assert caught.value.param == "amount"
    rest = refunds.create(sold.application_fee, {"expand": ["balance_transaction", "fee"]})
    assert (rest.balance_transaction.net, rest.fee.refunded) == (-600, True)
    assert [given.id for given in refunds.list(sold.application_fee).data] == [rest.id, first.id]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        refunds.create(sold.application_fee)
    assert caught.value.http_status == 400
    changed = find_event(client, "application_fee.refund.updated", first.id)
    assert changed.data.previous_attributes.to_dict() == {"metadata": {"why": "late"}}
