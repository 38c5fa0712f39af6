"""Application fees and giving them back on their own."""

import pytest
import stripe

from support import Row, eventually, find_event, payment


@pytest.fixture
def fee(client, seller):
    """A fee of 10.00 usd on a payment of 100.00 usd."""
    intent = client.v1.payment_intents.create(
        payment(
            10000,
            application_fee_amount=1000,
            transfer_data={"destination": seller.id},
            expand=["latest_charge.application_fee"],
        )
    )
    return intent.latest_charge.application_fee


def test_fee_is_given_back_in_two_steps(client, fee, platform, seller_books):
    first = client.v1.application_fees.refunds.create(fee.id, {"amount": 400})

    assert first.id.startswith("fr_")
    assert first.object == "fee_refund"
    assert (first.amount, first.currency, first.fee) == (400, "usd", fee.id)
    after_first = client.v1.application_fees.retrieve(fee.id)
    assert (after_first.amount_refunded, after_first.refunded) == (400, False)

    rest = client.v1.application_fees.refunds.create(fee.id)

    assert rest.amount == 600
    after_rest = client.v1.application_fees.retrieve(fee.id)
    assert (after_rest.amount_refunded, after_rest.refunded) == (1000, True)
    assert platform.rows(3, source=fee.id) == [
        Row("application_fee", 1000, 0, 1000),
        Row("application_fee_refund", -400, 0, -400),
        Row("application_fee_refund", -600, 0, -600),
    ]
    assert seller_books.rows(3) == [
        Row("payment", 10000, 1000, 9000),
        Row("adjustment", 400, 0, 400),
        Row("adjustment", 600, 0, 600),
    ]


def test_fee_refunds_are_listed_retrieved_and_updated(client, fee):
    made = [client.v1.application_fees.refunds.create(fee.id, {"amount": 100}).id for _ in range(3)]

    def read():
        page = client.v1.application_fees.refunds.list(fee.id, {"limit": 2})
        return [refund.id for refund in page.auto_paging_iter()]

    assert sorted(eventually(read, lambda ids: len(ids) >= 3)) == sorted(made)
    assert client.v1.application_fees.refunds.retrieve(fee.id, made[0]).amount == 100
    updated = client.v1.application_fees.refunds.update(fee.id, made[0], {"metadata": {"why": "goodwill"}})
    assert updated.metadata.to_dict() == {"why": "goodwill"}


@pytest.mark.parametrize("before, amount", [(400, 601), (1000, None), (1000, 1)])
def test_more_than_what_is_left_is_refused(client, fee, seller_books, before, amount):
    client.v1.application_fees.refunds.create(fee.id, {"amount": before})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.application_fees.refunds.create(fee.id, {"amount": amount} if amount else {})

    assert caught.value.http_status == 400
    assert seller_books.total() == 9000 + before


def test_event_of_a_fee_refund(client, fee):
    client.v1.application_fees.refunds.create(fee.id, {"amount": 400})

    event = find_event(client, "application_fee.refunded", fee.id)

    assert event.data.object.amount_refunded == 400
    assert event.data.object.refunded is False
