"""Refunds of destination charges: who bears what, in full, in part and to the last cent."""

import pytest
import stripe

from support import Books, Row, eventually, find_event, payment

# Gives every seller enough to return what it got with the fee on top, so that no balance turns negative
# and only the rows of the refund move the sums.
CUSHION = 5000


class Sale:
    """One paid destination charge and the balances just before it is refunded."""

    def __init__(self, client, seller, amount, **split):
        self.client = client
        client.v1.transfers.create({"amount": CUSHION, "currency": "usd", "destination": seller.id})
        transfer_data = {"destination": seller.id, **split.pop("transfer_data", {})}
        intent = client.v1.payment_intents.create(
            payment(amount, transfer_data=transfer_data, expand=["latest_charge"], **split)
        )
        self.intent = intent.id
        self.charge = intent.latest_charge
        self.platform, self.seller = Books(client), Books(client, seller.id)
        self.mark()

    def mark(self):
        self._before = self.platform.total(), self.seller.total()

    def moved(self):
        """What platform and seller gained since the last mark."""
        platform, seller = self._before
        return self.platform.total() - platform, self.seller.total() - seller

    def refund(self, **params):
        return self.client.v1.refunds.create({"charge": self.charge.id, **params})


FEE = {"application_fee_amount": 1000}
PART = {"transfer_data": {"amount": 8770}}
REVERSE = {"reverse_transfer": True}
BOTH = {"reverse_transfer": True, "refund_application_fee": True}


@pytest.mark.parametrize(
    "split, flags, moved",
    [
        pytest.param(FEE, {}, (-10000, 0), id="fee, no flags: the platform bears all"),
        pytest.param(FEE, REVERSE, (0, -10000), id="fee, reversed: the seller bears all"),
        pytest.param(FEE, BOTH, (-1000, -9000), id="fee, reversed and given back"),
        pytest.param(PART, REVERSE, (-1230, -8770), id="transfer amount, reversed"),
    ],
)
def test_full_refund_is_borne_by(client, seller, split, flags, moved):
    sale = Sale(client, seller, 10000, **split)

    refund = sale.refund(**flags)

    assert refund.id.startswith("re_")
    assert refund.object == "refund"
    assert refund.status == "succeeded"
    assert refund.amount == 10000
    assert refund.charge == sale.charge.id
    assert refund.payment_intent == sale.intent
    assert sale.moved() == moved


def test_rows_of_a_full_refund_with_both_flags(client, seller):
    sale = Sale(client, seller, 10000, **FEE)
    refund = sale.refund(**BOTH)

    # The sources are the transfer and the fee themselves, not the reversal and the fee refund.
    assert sale.platform.row_of(refund.id) == Row("refund", -10000, 0, -10000)
    assert sale.platform.rows(2, source=sale.charge.transfer) == [
        Row("transfer", -10000, 0, -10000),
        Row("transfer_refund", 10000, 0, 10000),
    ]
    assert sale.platform.rows(2, source=sale.charge.application_fee) == [
        Row("application_fee", 1000, 0, 1000),
        Row("application_fee_refund", -1000, 0, -1000),
    ]
    of_seller = sale.seller.transactions(4)
    assert sorted(Row(t.type, t.amount, t.fee, t.net) for t in of_seller) == sorted(
        [
            Row("payment", CUSHION, 0, CUSHION),
            Row("payment", 10000, 1000, 9000),
            Row("payment_refund", -10000, 0, -10000),
            Row("adjustment", 1000, 0, 1000),
        ]
    )
    (reversal_row,) = (t for t in of_seller if t.type == "payment_refund")
    assert reversal_row.source.startswith("pyr_")
    (give_back,) = (t for t in of_seller if t.type == "adjustment")
    assert give_back.reporting_category == "fee"


def test_full_refund_marks_charge_transfer_and_fee(client, seller):
    sale = Sale(client, seller, 10000, **FEE)
    refund = sale.refund(expand=["transfer_reversal"], **BOTH)

    charge = client.v1.charges.retrieve(sale.charge.id)
    assert (charge.amount_refunded, charge.refunded) == (10000, True)
    assert client.v1.payment_intents.retrieve(sale.intent).status == "succeeded"
    transfer = client.v1.transfers.retrieve(sale.charge.transfer)
    assert (transfer.amount_reversed, transfer.reversed) == (10000, True)
    assert refund.transfer_reversal.transfer == transfer.id
    assert refund.transfer_reversal.source_refund == refund.id
    fee = client.v1.application_fees.retrieve(sale.charge.application_fee)
    assert (fee.amount_refunded, fee.refunded) == (1000, True)


def test_refund_without_flags_leaves_transfer_and_fee(client, seller):
    sale = Sale(client, seller, 10000, **FEE)

    assert sale.refund().transfer_reversal is None
    assert client.v1.transfers.retrieve(sale.charge.transfer).amount_reversed == 0
    assert client.v1.application_fees.retrieve(sale.charge.application_fee).amount_refunded == 0


def test_refund_by_payment_intent(client, seller):
    sale = Sale(client, seller, 10000, **FEE)

    refund = client.v1.refunds.create({"payment_intent": sale.intent, **BOTH})

    assert refund.charge == sale.charge.id
    assert sale.moved() == (-1000, -9000)


@pytest.mark.parametrize(
    "amount, split, steps",
    [
        pytest.param(
            10000,
            FEE,
            [(4000, 4000, 400), (6000, 6000, 600)],
            id="even parts",
        ),
        pytest.param(
            1000,
            {"application_fee_amount": 123},
            # 333/1000 of 123 is 40.96: 41, 41, and the last one takes the 41 that are left.
            [(333, 333, 41), (333, 333, 41), (334, 334, 41)],
            id="the last part takes what is left of the fee",
        ),
        pytest.param(10000, PART, [(5000, 4385, None)], id="share of a transfer amount"),
        pytest.param(1200, {"transfer_data": {"amount": 880}}, [(500, 367, None), (700, 513, None)], id="880 of 1200"),
        pytest.param(1200, {"transfer_data": {"amount": 880}}, [(1000, 733, None)], id="880 of 1200, 1000 back"),
        pytest.param(153, {"transfer_data": {"amount": 109}}, [(50, 36, None)], id="109 of 153"),
        pytest.param(1000, {"transfer_data": {"amount": 500}}, [(333, 167, None)], id="an exact half goes up"),
    ],
)
def test_partial_refunds_in_proportion(client, seller, amount, split, steps):
    sale = Sale(client, seller, amount, **split)
    refunded = reversed_so_far = fee_back = 0

    for part, reversal, fee_part in steps:
        flags = REVERSE if fee_part is None else BOTH
        sale.mark()
        refund = sale.refund(amount=part, expand=["transfer_reversal"], **flags)

        refunded += part
        reversed_so_far += reversal
        fee_back += fee_part or 0
        assert refund.transfer_reversal.amount == reversal
        assert sale.moved() == (-part + reversal - (fee_part or 0), -reversal + (fee_part or 0))
        charge = client.v1.charges.retrieve(sale.charge.id)
        assert (charge.amount_refunded, charge.refunded) == (refunded, refunded == amount)
        transfer = client.v1.transfers.retrieve(sale.charge.transfer)
        assert transfer.amount_reversed == reversed_so_far
        if sale.charge.application_fee:
            fee = client.v1.application_fees.retrieve(sale.charge.application_fee)
            assert (fee.amount_refunded, fee.refunded) == (fee_back, fee_back == fee.amount)


def test_completing_refund_reverses_all_that_is_left(client, seller):
    sale = Sale(client, seller, 1200, transfer_data={"amount": 880})
    for part in (100, 100, 100, 900):
        sale.refund(amount=part, **REVERSE)

    transfer = client.v1.transfers.retrieve(sale.charge.transfer)

    assert (transfer.amount_reversed, transfer.reversed) == (880, True)
    assert sale.moved() == (-1200 + 880, -880)


def test_giving_the_fee_back_needs_the_transfer_reversed(client, seller):
    sale = Sale(client, seller, 10000, **FEE)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        sale.refund(refund_application_fee=True)

    assert caught.value.http_status == 400
    assert sale.moved() == (0, 0)
    assert client.v1.charges.retrieve(sale.charge.id).amount_refunded == 0


def test_giving_back_a_fee_that_was_never_taken_is_ignored(client, seller):
    sale = Sale(client, seller, 10000, **PART)

    sale.refund(**BOTH)

    assert sale.moved() == (-1230, -8770)


def test_more_than_the_charge_is_refused(client, seller):
    sale = Sale(client, seller, 10000, **FEE)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        sale.refund(amount=10001, **BOTH)

    assert caught.value.http_status == 400
    assert caught.value.param == "amount"
    assert caught.value.code is None
    assert "$100.01" in caught.value.user_message
    assert sale.moved() == (0, 0)


def test_more_than_what_is_left_is_refused(client, seller):
    sale = Sale(client, seller, 10000, **FEE)
    sale.refund(amount=6000, **BOTH)
    sale.mark()

    with pytest.raises(stripe.InvalidRequestError) as caught:
        sale.refund(amount=4001, **BOTH)

    assert caught.value.param == "amount"
    assert sale.moved() == (0, 0)


def test_second_full_refund_is_refused(client, seller):
    sale = Sale(client, seller, 10000, **FEE)
    sale.refund(**BOTH)
    sale.mark()

    with pytest.raises(stripe.InvalidRequestError) as caught:
        sale.refund(**BOTH)

    assert caught.value.http_status == 400
    assert caught.value.code == "charge_already_refunded"
    assert sale.moved() == (0, 0)


def test_reversing_a_charge_without_transfer_is_refused(client):
    intent = client.v1.payment_intents.create(payment(1000))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id, "reverse_transfer": True})

    assert caught.value.http_status == 400


def test_plain_refund_keeps_the_processing_fee(client, platform):
    before = platform.total()
    intent = client.v1.payment_intents.create(payment(10000))

    refund = client.v1.refunds.create({"payment_intent": intent.id, "reason": "requested_by_customer"})

    assert refund.reason == "requested_by_customer"
    assert platform.row_of(refund.id) == Row("refund", -10000, 0, -10000)
    assert platform.total() - before == -320


def test_refund_of_a_pending_charge_is_pending_with_it(client):
    intent = client.v1.payment_intents.create(payment(1000, expand=["latest_charge.balance_transaction"]))

    refund = client.v1.refunds.create({"payment_intent": intent.id, "expand": ["balance_transaction"]})

    assert refund.balance_transaction.status == "pending"
    assert refund.balance_transaction.available_on == intent.latest_charge.balance_transaction.available_on


def test_refunds_are_retrieved_updated_and_listed(client, seller):
    sale = Sale(client, seller, 10000, **FEE)
    made = [sale.refund(amount=1000, **BOTH).id for _ in range(3)]

    updated = client.v1.refunds.update(made[0], {"metadata": {"why": "late"}})
    assert updated.metadata.to_dict() == {"why": "late"}
    assert client.v1.refunds.retrieve(made[0]).metadata.to_dict() == {"why": "late"}

    def read():
        page = client.v1.refunds.list({"charge": sale.charge.id, "limit": 2})
        return [refund.id for refund in page.auto_paging_iter()]

    assert sorted(eventually(read, lambda ids: len(ids) >= 3)) == sorted(made)


def test_refunds_of_a_charge_show_only_when_expanded(client, seller):
    sale = Sale(client, seller, 10000, **FEE)
    refund = sale.refund(**BOTH)

    assert "refunds" not in client.v1.charges.retrieve(sale.charge.id)
    expanded = client.v1.charges.retrieve(sale.charge.id, {"expand": ["refunds"]})
    assert [found.id for found in expanded.refunds.data] == [refund.id]


def test_events_of_a_refund(client, seller):
    sale = Sale(client, seller, 10000, **FEE)
    refund = sale.refund(**BOTH)

    assert find_event(client, "refund.created", refund.id)
    assert find_event(client, "charge.refunded", sale.charge.id).data.object.amount_refunded == 10000
    assert find_event(client, "transfer.reversed", sale.charge.transfer)
    assert find_event(client, "application_fee.refunded", sale.charge.application_fee)
