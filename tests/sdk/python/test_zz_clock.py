"""The end of the suite: time passes, money becomes available, payouts arrive, and the books close.

Setting the clock forward switches the platform to virtual time for good; hence the name of this file.
"""

import pytest

from support import acting_for, eventually, find_event, payment, request, trial_balance

DAY = 86400


def advance(**by):
    answer = request("POST", "/florin/clock/advance", form={name: str(value) for name, value in by.items()})
    assert answer.status == 200, answer.body


def assert_books_close():
    totals = trial_balance()
    assert "usd" in totals, totals
    assert {currency: total for currency, total in totals.items() if total != 0} == {}


def test_trial_balance_is_zero_in_every_currency():
    assert_books_close()


def test_pending_money_becomes_available(client, seller, seller_books, platform):
    # Whatever earlier tests left on its way to the platform, or owing to it, settles first.
    advance(seconds=DAY)
    intent = client.v1.payment_intents.create(
        payment(10000, application_fee_amount=1000, transfer_data={"destination": seller.id})
    )
    assert (seller_books.pending(), seller_books.available()) == (9000, 0)
    platform_total = platform.total()

    advance(seconds=10 * DAY)

    assert (seller_books.pending(), seller_books.available()) == (0, 9000)
    assert platform.pending() == 0
    assert platform.total() == platform_total
    (arrival,) = eventually(
        lambda: seller_books.transactions(1), lambda rows: rows and rows[0].status == "available"
    )
    assert arrival.status == "available"
    charge = client.v1.charges.retrieve(intent.latest_charge, {"expand": ["balance_transaction"]})
    assert charge.balance_transaction.status == "available"


def test_payout_arrives(client, seller, seller_books):
    client.v1.payment_intents.create(payment(10000, transfer_data={"destination": seller.id}))
    advance(seconds=10 * DAY)

    payout = client.v1.payouts.create({"amount": 10000, "currency": "usd"}, acting_for(seller))
    assert payout.status == "pending"
    advance(seconds=5 * DAY)

    paid = client.v1.payouts.retrieve(payout.id, options=acting_for(seller))
    assert paid.status == "paid"
    assert (seller_books.pending(), seller_books.available()) == (0, 0)
    assert find_event(client, "payout.paid", payout.id, seller.id)


def test_clock_is_set_to_a_moment(client):
    now = client.v1.customers.create().created

    advance(to=now + 3 * DAY)

    later = client.v1.customers.create().created
    assert now + 3 * DAY <= later < now + 3 * DAY + 600


@pytest.mark.parametrize("by", [{"seconds": -1}, {"seconds": "soon"}, {"to": 1}, {}])
def test_clock_never_goes_back(by):
    answer = request("POST", "/florin/clock/advance", form={name: str(value) for name, value in by.items()})

    assert answer.status == 400, answer.body


def test_books_close_after_everything():
    assert_books_close()
