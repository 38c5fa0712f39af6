"""Lists: filters, cursors, and auto-pagination in both directions."""

import pytest
import stripe

from support import Row, acting_for, eventually, payment, row, seller_params

COUNT = 12


@pytest.fixture(scope="module")
def shop(client):
    """A seller that got twelve transfers of 100, 101 … 111 cents, in this order."""
    account = client.v1.accounts.create(seller_params())
    transfers = [
        client.v1.transfers.create({"amount": 100 + step, "currency": "usd", "destination": account.id})
        for step in range(COUNT)
    ]

    def read():
        return client.v1.balance_transactions.list({"limit": 100}, acting_for(account))

    page = eventually(read, lambda found: len(found.data) == COUNT)
    assert len(page.data) == COUNT
    return account, transfers, page.data


def test_list_has_the_documented_shape(client, shop):
    account, _, _ = shop

    page = client.v1.balance_transactions.list({"limit": 3}, acting_for(account))

    assert page.object == "list"
    assert page.url == "/v1/balance_transactions"
    assert page.has_more is True
    assert len(page.data) == 3


def test_limit_is_ten_unless_given(client, shop):
    account, _, _ = shop

    page = client.v1.balance_transactions.list(options=acting_for(account))

    assert len(page.data) == 10
    assert page.has_more is True


def test_newest_comes_first(shop):
    _, _, transactions = shop

    created = [transaction.created for transaction in transactions]
    assert created == sorted(created, reverse=True)


def test_auto_pagination_forwards_gives_each_once(client, shop):
    account, _, transactions = shop

    page = client.v1.balance_transactions.list({"limit": 3}, acting_for(account))

    assert [found.id for found in page.auto_paging_iter()] == [found.id for found in transactions]


def test_auto_pagination_backwards_gives_each_once(client, shop):
    account, _, transactions = shop
    oldest = transactions[-1]

    page = client.v1.balance_transactions.list({"limit": 3, "ending_before": oldest.id}, acting_for(account))

    # The SDK walks towards the newest, so the order is turned round.
    assert [found.id for found in page.auto_paging_iter()] == [found.id for found in reversed(transactions[:-1])]


def test_page_before_a_cursor_is_the_nearest_and_newest_first(client, shop):
    account, _, transactions = shop

    page = client.v1.balance_transactions.list({"limit": 2, "ending_before": transactions[5].id}, acting_for(account))

    assert [found.id for found in page.data] == [transactions[3].id, transactions[4].id]
    assert page.has_more is True


def test_last_page_says_that_no_more_follow(client, shop):
    account, _, transactions = shop

    page = client.v1.balance_transactions.list(
        {"limit": 3, "starting_after": transactions[-4].id}, acting_for(account)
    )

    assert [found.id for found in page.data] == [found.id for found in transactions[-3:]]
    assert page.has_more is False


def test_filter_by_source(client, shop):
    account, transfers, _ = shop
    arrival = transfers[4].destination_payment

    page = client.v1.balance_transactions.list({"source": arrival}, acting_for(account))

    assert [row(found) for found in page.data] == [Row("payment", 104, 0, 104)]


def test_filter_by_type(client, shop):
    account, _, transactions = shop

    payments = client.v1.balance_transactions.list({"type": "payment", "limit": 100}, acting_for(account))
    payouts = client.v1.balance_transactions.list({"type": "payout"}, acting_for(account))

    assert [found.id for found in payments.data] == [found.id for found in transactions]
    assert payouts.data == []
    assert payouts.has_more is False


def test_filter_by_type_keeps_paging(client, shop):
    account, _, transactions = shop

    page = client.v1.balance_transactions.list({"type": "payment", "limit": 5}, acting_for(account))

    assert [found.id for found in page.auto_paging_iter()] == [found.id for found in transactions]


def test_filter_by_currency_and_time(client, shop):
    account, _, transactions = shop
    first, last = transactions[-1].created, transactions[0].created

    def count(**filters):
        page = client.v1.balance_transactions.list({"limit": 100, **filters}, acting_for(account))
        return len(page.data)

    assert count(currency="usd") == COUNT
    assert count(currency="eur") == 0
    assert count(created={"gte": first, "lte": last}) == COUNT
    assert count(created={"gt": last}) == 0
    assert count(created={"lt": first}) == 0


def test_one_balance_transaction_is_retrieved(client, shop):
    account, _, transactions = shop

    found = client.v1.balance_transactions.retrieve(transactions[0].id, options=acting_for(account))

    assert found.to_dict() == transactions[0].to_dict()


def test_transfers_of_a_seller_page_in_both_directions(client, shop):
    account, transfers, _ = shop
    newest_first = [transfer.id for transfer in reversed(transfers)]

    def read():
        page = client.v1.transfers.list({"destination": account.id, "limit": 5})
        return [transfer.id for transfer in page.auto_paging_iter()]

    assert eventually(read, lambda ids: len(ids) >= COUNT) == newest_first
    back = client.v1.transfers.list(
        {"destination": account.id, "limit": 5, "ending_before": transfers[0].id}
    ).auto_paging_iter()
    assert [transfer.id for transfer in back] == [transfer.id for transfer in transfers[1:]]


def test_rows_agree_with_the_balance(client, shop):
    account, _, transactions = shop
    balance = client.v1.balance.retrieve(options=acting_for(account))

    assert sum(found.net for found in transactions) == sum(entry.amount for entry in balance.available)
    assert all(entry.amount == 0 for entry in balance.pending)


@pytest.mark.parametrize("limit", [0, 101, -1])
def test_limit_out_of_range_is_refused(client, limit):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.charges.list({"limit": limit})

    assert caught.value.http_status == 400
    assert caught.value.param == "limit"


@pytest.mark.parametrize("cursor", ["starting_after", "ending_before"])
def test_unknown_cursor_is_refused(client, cursor):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.charges.list({cursor: "ch_nowhere"})

    assert caught.value.http_status == 400
    assert caught.value.code == "resource_missing"
    assert caught.value.param == cursor


def test_balance_has_the_documented_shape(client, seller):
    client.v1.payment_intents.create(payment(transfer_data={"destination": seller.id}))

    balance = client.v1.balance.retrieve(options=acting_for(seller))

    assert balance.object == "balance"
    assert balance.livemode is False
    (available,) = balance.available
    assert (available.amount, available.currency) == (0, "usd")
    (pending,) = balance.pending
    assert (pending.amount, pending.currency) == (10000, "usd")
    assert pending.source_types.card == 10000


def test_balance_of_a_fresh_seller_is_zero_in_its_currency(client, seller):
    balance = client.v1.balance.retrieve(options=acting_for(seller))

    assert [(entry.amount, entry.currency) for entry in balance.available] == [(0, "usd")]
    assert [(entry.amount, entry.currency) for entry in balance.pending] == [(0, "usd")]


def test_cursor_of_another_kind_is_refused(client):
    intent = client.v1.payment_intents.create(payment(1000))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.charges.list({"starting_after": intent.id})
    assert (caught.value.code, caught.value.param) == ("resource_missing", "starting_after")


def test_both_cursors_at_once_are_refused(client):
    charge = client.v1.payment_intents.create(payment(1000)).latest_charge

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.charges.list({"starting_after": charge, "ending_before": charge})


@pytest.mark.parametrize("created", ["soon", {"foo": 1}, {"gte": "soon"}])
def test_impossible_time_filter_is_refused(client, created):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.charges.list({"created": created})
    assert caught.value.param.startswith("created")


def test_embedded_lists_hold_the_newest(client, seller):
    intent = client.v1.payment_intents.create(
        payment(10000, application_fee_amount=1000, transfer_data={"destination": seller.id}, expand=["latest_charge"])
    )
    both = {"reverse_transfer": True, "refund_application_fee": True}
    for amount in (1000, 2000):
        client.v1.refunds.create({"payment_intent": intent.id, "amount": amount, **both})

    transfer = client.v1.transfers.retrieve(intent.latest_charge.transfer)
    fee = client.v1.application_fees.retrieve(intent.latest_charge.application_fee)

    assert [reversal.amount for reversal in transfer.reversals.data] == [2000, 1000]
    assert [refund.amount for refund in fee.refunds.data] == [200, 100]
    assert not transfer.reversals.has_more and not fee.refunds.has_more
