"""Seller and platform settle in different currencies.

Needs the fixed rates of tests/sdk/florin.toml: usd to eur 0.90 and eur to usd 1.10, conversion fee included.
"""

import pytest
import stripe

from support import Books, Row, acting_for, payment


@pytest.fixture
def german_books(client, german_seller):
    return Books(client, german_seller.id)


def test_german_seller_settles_in_euro(german_seller):
    assert german_seller.country == "DE"
    assert german_seller.default_currency == "eur"
    (bank,) = german_seller.external_accounts.data
    assert (bank.currency, bank.last4) == ("eur", "3000")


def test_fee_payment_is_converted_on_arrival(client, german_seller, german_books, platform):
    before_usd, before_eur = platform.total("usd"), platform.total("eur")

    intent = client.v1.payment_intents.create(
        payment(
            10000,
            application_fee_amount=1000,
            transfer_data={"destination": german_seller.id},
            expand=["latest_charge"],
        )
    )
    charge = intent.latest_charge

    assert platform.row_of(charge.id) == Row("charge", 10000, 320, 9680, "usd")
    assert platform.row_of(charge.transfer) == Row("transfer", -10000, 0, -10000, "usd")
    assert platform.row_of(charge.application_fee) == Row("application_fee", 900, 0, 900, "eur")
    (arrival,) = german_books.transactions(1)
    assert Row(arrival.type, arrival.amount, arrival.fee, arrival.net, arrival.currency) == Row(
        "payment", 9000, 900, 8100, "eur"
    )
    assert arrival.exchange_rate == 0.9
    assert german_books.total("eur") == 8100
    assert platform.total("usd") - before_usd == -320
    assert platform.total("eur") - before_eur == 900


def test_objects_of_a_converted_fee_payment_stay_in_the_presented_currency(client, german_seller):
    intent = client.v1.payment_intents.create(
        payment(
            10000,
            application_fee_amount=1000,
            transfer_data={"destination": german_seller.id},
            expand=["latest_charge.transfer", "latest_charge.application_fee"],
        )
    )
    charge = intent.latest_charge

    assert (charge.transfer.amount, charge.transfer.currency) == (10000, "usd")
    assert (charge.application_fee.amount, charge.application_fee.currency) == (1000, "usd")
    arrival = client.v1.charges.retrieve(
        charge.transfer.destination_payment, {"expand": ["balance_transaction"]}, acting_for(german_seller)
    )
    assert (arrival.amount, arrival.currency) == (10000, "usd")
    assert (arrival.balance_transaction.amount, arrival.balance_transaction.currency) == (9000, "eur")


def test_only_the_transferred_amount_is_converted(client, german_seller, german_books, platform):
    before = platform.total("usd")

    intent = client.v1.payment_intents.create(
        payment(
            10000,
            transfer_data={"destination": german_seller.id, "amount": 9000},
            expand=["latest_charge"],
        )
    )

    assert platform.row_of(intent.latest_charge.id) == Row("charge", 10000, 320, 9680, "usd")
    assert platform.row_of(intent.latest_charge.transfer) == Row("transfer", -9000, 0, -9000, "usd")
    (arrival,) = german_books.transactions(1)
    assert (arrival.type, arrival.amount, arrival.fee, arrival.net, arrival.currency) == (
        "payment",
        8100,
        0,
        8100,
        "eur",
    )
    assert arrival.exchange_rate == 0.9
    assert platform.total("usd") - before == 680


def test_payment_in_euro_settles_on_the_platform_in_dollars(client, platform):
    intent = client.v1.payment_intents.create(
        payment(10000, currency="eur", expand=["latest_charge.balance_transaction"])
    )
    transaction = intent.latest_charge.balance_transaction

    assert (intent.latest_charge.amount, intent.latest_charge.currency) == (10000, "eur")
    assert (transaction.amount, transaction.fee, transaction.net, transaction.currency) == (11000, 349, 10651, "usd")
    assert transaction.exchange_rate == 1.1


def test_transfer_to_a_german_seller_is_converted(client, german_seller, german_books, platform):
    transfer = client.v1.transfers.create({"amount": 5000, "currency": "usd", "destination": german_seller.id})

    assert (transfer.amount, transfer.currency) == (5000, "usd")
    assert platform.row_of(transfer.id) == Row("transfer", -5000, 0, -5000, "usd")
    assert german_books.rows(1) == [Row("payment", 4500, 0, 4500, "eur")]


def test_same_currency_shows_no_rate(client, seller_books, seller):
    client.v1.payment_intents.create(payment(transfer_data={"destination": seller.id}))

    (arrival,) = seller_books.transactions(1)
    assert arrival.exchange_rate is None


def test_currency_without_a_rate_is_refused(client):
    # A currency the central bank publishes no rate for.
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(payment(10000, currency="mnt"))

    assert caught.value.http_status == 400


def test_upper_case_currency_is_accepted_and_lowered(client):
    assert client.v1.payment_intents.create(payment(currency="USD")).currency == "usd"
