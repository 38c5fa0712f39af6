"""Separate charges and transfers, and their reversals."""

import pytest
import stripe

from support import Books, Row, acting_for, eventually, find_event, payment, unique


def refused(call):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    assert caught.value.http_status == 400
    return caught.value


def test_one_charge_is_shared_between_two_sellers(client, new_seller, platform):
    restaurant, driver = new_seller(), new_seller()
    group = unique("order")
    before = platform.total()
    charge = client.v1.payment_intents.create(
        payment(10000, payment_method="pm_card_bypassPending", transfer_group=group)
    ).latest_charge

    to_restaurant = client.v1.transfers.create(
        {"amount": 7000, "currency": "usd", "destination": restaurant.id, "transfer_group": group}
    )
    to_driver = client.v1.transfers.create(
        {"amount": 2000, "currency": "usd", "destination": driver.id, "transfer_group": group}
    )

    assert platform.row_of(charge) == Row("charge", 10000, 320, 9680)
    assert platform.row_of(to_restaurant.id) == Row("transfer", -7000, 0, -7000)
    assert platform.row_of(to_driver.id) == Row("transfer", -2000, 0, -2000)
    assert Books(client, restaurant.id).rows(1) == [Row("payment", 7000, 0, 7000)]
    assert Books(client, driver.id).rows(1) == [Row("payment", 2000, 0, 2000)]
    assert platform.total() - before == 680

    def read():
        return client.v1.transfers.list({"transfer_group": group})

    listed = eventually(read, lambda page: len(page.data) == 2)
    assert {transfer.id for transfer in listed.data} == {to_restaurant.id, to_driver.id}


def test_transfer_out_of_the_balance_is_available_at_once(client, seller, seller_books):
    transfer = client.v1.transfers.create(
        {"amount": 7000, "currency": "usd", "destination": seller.id, "description": "week 12", "metadata": {"w": 12}}
    )

    assert transfer.id.startswith("tr_")
    assert transfer.object == "transfer"
    assert transfer.description == "week 12"
    assert transfer.metadata.to_dict() == {"w": "12"}
    assert transfer.source_transaction is None
    assert transfer.transfer_group is None
    assert (transfer.amount_reversed, transfer.reversed) == (0, False)
    assert seller_books.available() == 7000
    assert seller_books.pending() == 0
    arrival = client.v1.charges.retrieve(transfer.destination_payment, options=acting_for(seller))
    assert arrival.source_transfer == transfer.id


def test_transfer_from_a_pending_charge_waits_with_it(client, seller, seller_books):
    intent = client.v1.payment_intents.create(payment(10000, expand=["latest_charge.balance_transaction"]))

    transfer = client.v1.transfers.create(
        {
            "amount": 7000,
            "currency": "usd",
            "destination": seller.id,
            "source_transaction": intent.latest_charge.id,
        }
    )

    assert transfer.source_transaction == intent.latest_charge.id
    assert transfer.transfer_group == f"group_{intent.id}"
    (arrival,) = seller_books.transactions(1)
    assert arrival.status == "pending"
    assert arrival.available_on == intent.latest_charge.balance_transaction.available_on
    assert seller_books.pending() == 7000
    assert seller_books.available() == 0


def test_transfers_from_a_charge_stop_at_its_amount(client, seller, seller_books):
    charge = client.v1.payment_intents.create(payment(10000)).latest_charge
    part = {"currency": "usd", "destination": seller.id, "source_transaction": charge}
    client.v1.transfers.create({"amount": 7000, **part})

    refused(lambda: client.v1.transfers.create({"amount": 3001, **part}))
    client.v1.transfers.create({"amount": 3000, **part})

    assert seller_books.total() == 10000


def test_transfer_from_a_charge_has_its_balance_currency(client, seller):
    charge = client.v1.payment_intents.create(payment(10000)).latest_charge

    error = refused(
        lambda: client.v1.transfers.create(
            {"amount": 1000, "currency": "eur", "destination": seller.id, "source_transaction": charge}
        )
    )

    assert "usd" in error.user_message and "eur" in error.user_message


def test_more_than_the_available_balance_is_refused(client, seller, platform, seller_books):
    before = platform.total()

    error = refused(
        lambda: client.v1.transfers.create({"amount": 99999999, "currency": "usd", "destination": seller.id})
    )

    assert error.code == "balance_insufficient"
    assert platform.total() == before
    assert seller_books.rows(0) == []


def test_unknown_destination_is_refused(client):
    error = refused(
        lambda: client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": "acct_nobody"})
    )

    assert error.code == "resource_missing"
    assert error.param == "destination"


def test_platform_itself_is_no_destination(client):
    own = client.v1.accounts.retrieve_current().id

    error = refused(lambda: client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": own}))

    assert error.param == "destination"


def test_smallest_transfer_is_one_cent(client, seller, seller_books):
    client.v1.transfers.create({"amount": 1, "currency": "usd", "destination": seller.id})

    assert seller_books.available() == 1


def test_update_changes_description_and_metadata_only(client, seller):
    transfer = client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": seller.id})

    updated = client.v1.transfers.update(transfer.id, {"description": "late", "metadata": {"a": "1"}})

    assert (updated.description, updated.metadata.to_dict()) == ("late", {"a": "1"})
    assert client.v1.transfers.retrieve(transfer.id).description == "late"
    assert refused(lambda: client.v1.transfers.update(transfer.id, {"amount": 50})).code == "parameter_unknown"


def test_reversals_in_two_steps(client, seller, platform, seller_books):
    transfer = client.v1.transfers.create({"amount": 7000, "currency": "usd", "destination": seller.id})

    first = client.v1.transfers.reversals.create(transfer.id, {"amount": 2500})

    assert first.id.startswith("trr_")
    assert first.object == "transfer_reversal"
    assert (first.amount, first.currency, first.transfer) == (2500, "usd", transfer.id)
    assert first.destination_payment_refund.startswith("pyr_")
    assert first.source_refund is None
    after_first = client.v1.transfers.retrieve(transfer.id)
    assert (after_first.amount_reversed, after_first.reversed) == (2500, False)
    assert [reversal.id for reversal in after_first.reversals.data] == [first.id]

    rest = client.v1.transfers.reversals.create(transfer.id)

    assert rest.amount == 4500
    after_rest = client.v1.transfers.retrieve(transfer.id)
    assert (after_rest.amount_reversed, after_rest.reversed) == (7000, True)
    assert platform.rows(3, source=transfer.id) == [
        Row("transfer", -7000, 0, -7000),
        Row("transfer_refund", 2500, 0, 2500),
        Row("transfer_refund", 4500, 0, 4500),
    ]
    assert seller_books.rows(3) == [
        Row("payment", 7000, 0, 7000),
        Row("payment_refund", -2500, 0, -2500),
        Row("payment_refund", -4500, 0, -4500),
    ]
    assert seller_books.total() == 0


def test_reversals_are_listed_and_retrieved(client, seller):
    transfer = client.v1.transfers.create({"amount": 7000, "currency": "usd", "destination": seller.id})
    made = [client.v1.transfers.reversals.create(transfer.id, {"amount": 1000}).id for _ in range(3)]

    def read():
        page = client.v1.transfers.reversals.list(transfer.id, {"limit": 2})
        return [reversal.id for reversal in page.auto_paging_iter()]

    assert sorted(eventually(read, lambda ids: len(ids) >= 3)) == sorted(made)
    assert client.v1.transfers.reversals.retrieve(transfer.id, made[0]).id == made[0]


def test_more_than_what_is_left_is_refused(client, seller, seller_books):
    transfer = client.v1.transfers.create({"amount": 7000, "currency": "usd", "destination": seller.id})
    client.v1.transfers.reversals.create(transfer.id, {"amount": 2500})

    refused(lambda: client.v1.transfers.reversals.create(transfer.id, {"amount": 4501}))

    assert seller_books.total() == 4500


def test_third_reversal_of_an_emptied_transfer_is_refused(client, seller):
    transfer = client.v1.transfers.create({"amount": 7000, "currency": "usd", "destination": seller.id})
    client.v1.transfers.reversals.create(transfer.id)

    error = refused(lambda: client.v1.transfers.reversals.create(transfer.id))

    assert "already fully reversed" in error.user_message
    assert (error.code, error.param) == (None, None)


def test_events_of_a_transfer(client, seller):
    transfer = client.v1.transfers.create({"amount": 7000, "currency": "usd", "destination": seller.id})
    client.v1.transfers.reversals.create(transfer.id)

    assert find_event(client, "transfer.created", transfer.id).data.object.amount_reversed == 0
    assert find_event(client, "transfer.reversed", transfer.id).data.object.amount_reversed == 7000
    arrival = find_event(client, "payment.created", transfer.destination_payment, seller.id)
    assert arrival.account == seller.id
