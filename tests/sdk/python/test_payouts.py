"""Payouts of a connected account, by the platform, with the header."""

import pytest
import stripe

from support import Row, acting_for, eventually, find_event


def test_payout_takes_the_money_out_at_once(client, paid_seller, seller_books):
    assert seller_books.available() == 9000

    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))

    assert payout.id.startswith("po_")
    assert payout.object == "payout"
    assert payout.amount == 4000
    assert payout.currency == "usd"
    assert payout.status == "pending"
    assert payout.automatic is False
    assert payout.method == "standard"
    assert payout.type == "bank_account"
    assert payout.destination == paid_seller.external_accounts.data[0].id
    assert payout.arrival_date % 86400 == 0
    assert payout.reconciliation_status == "not_applicable"
    assert payout.failure_code is None
    assert seller_books.available() == 5000


def test_row_of_a_payout(client, paid_seller, seller_books):
    payout = client.v1.payouts.create(
        {"amount": 4000, "currency": "usd", "expand": ["balance_transaction"]}, acting_for(paid_seller)
    )

    assert seller_books.row_of(payout.id) == Row("payout", -4000, 0, -4000)
    assert payout.balance_transaction.source == payout.id
    assert payout.balance_transaction.reporting_category == "payout"
    assert payout.balance_transaction.description == "STRIPE PAYOUT"


def test_payout_is_retrieved_updated_and_listed(client, paid_seller):
    made = [
        client.v1.payouts.create({"amount": 1000, "currency": "usd"}, acting_for(paid_seller)).id for _ in range(3)
    ]

    retrieved = client.v1.payouts.retrieve(made[0], options=acting_for(paid_seller))
    assert (retrieved.id, retrieved.amount) == (made[0], 1000)
    assert retrieved.status in ("pending", "in_transit", "paid")
    updated = client.v1.payouts.update(made[0], {"metadata": {"week": "12"}}, acting_for(paid_seller))
    assert updated.metadata.to_dict() == {"week": "12"}

    def read():
        page = client.v1.payouts.list({"limit": 2}, acting_for(paid_seller))
        return [payout.id for payout in page.auto_paging_iter()]

    assert sorted(eventually(read, lambda ids: len(ids) >= 3)) == sorted(made)


def test_canceled_payout_returns_the_money(client, paid_seller, seller_books):
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))

    canceled = client.v1.payouts.cancel(payout.id, options=acting_for(paid_seller))

    assert canceled.status == "canceled"
    assert seller_books.available() == 9000
    assert seller_books.rows(2, source=payout.id) == [
        Row("payout", -4000, 0, -4000),
        Row("payout_cancel", 4000, 0, 4000),
    ]


def test_second_cancel_is_refused(client, paid_seller, seller_books):
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))
    client.v1.payouts.cancel(payout.id, options=acting_for(paid_seller))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.cancel(payout.id, options=acting_for(paid_seller))

    assert caught.value.http_status == 400
    assert seller_books.available() == 9000


def test_more_than_available_is_refused(client, paid_seller, seller_books):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.create({"amount": 9001, "currency": "usd"}, acting_for(paid_seller))

    assert caught.value.http_status == 400
    assert caught.value.code == "balance_insufficient"
    assert seller_books.available() == 9000


def test_pending_money_cannot_be_paid_out(client, seller, seller_books):
    client.v1.payment_intents.create(
        {
            "amount": 10000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "transfer_data": {"destination": seller.id},
        }
    )
    assert (seller_books.pending(), seller_books.available()) == (10000, 0)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.create({"amount": 1, "currency": "usd"}, acting_for(seller))

    assert caught.value.code == "balance_insufficient"


def test_currency_without_bank_account_is_refused(client, paid_seller):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.create({"amount": 100, "currency": "eur"}, acting_for(paid_seller))

    assert caught.value.http_status == 400
    assert "eur" in caught.value.user_message


def test_payout_of_a_seller_is_not_the_platforms(client, paid_seller):
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.retrieve(payout.id)

    assert caught.value.http_status == 404
    assert caught.value.param == "payout"


def test_rows_of_a_manual_payout_cannot_be_asked_for(client, paid_seller):
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.balance_transactions.list({"payout": payout.id}, acting_for(paid_seller))

    assert caught.value.http_status == 400


def test_event_of_a_payout_names_the_account(client, paid_seller):
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))

    event = find_event(client, "payout.created", payout.id, paid_seller.id)

    assert event.account == paid_seller.id
    assert event.data.object.amount == 4000
