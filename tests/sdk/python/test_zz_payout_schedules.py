"""Payouts by schedule and what time does to payouts and top-ups. Runs on the virtual clock that test_zz_clock.py began."""

import pytest
import stripe

from support import Row, acting_for, amount_of, eventually, find_event, payment, request, row, seller_params

DAY = 86400


@pytest.fixture(autouse=True)
def virtual_clock():
    advance(seconds=0)


def advance(**by):
    answer = request("POST", "/florin/clock/advance", form={name: str(value) for name, value in by.items()})
    assert answer.status == 200, answer.body
    return answer.json["now"]


def go_to_monday_noon():
    now = advance(seconds=0)
    day = now // DAY
    # 1970-01-01 was a Thursday.
    ahead = (4 - day) % 7 or 7
    return advance(to=(day + ahead) * DAY + DAY // 2)


def daily_seller_params(**changes):
    params = seller_params(**changes)
    params["settings"] = {"payouts": {"schedule": {"interval": "daily"}}}
    return params


def automatic_payouts(client, seller, expected):
    def read():
        return [payout for payout in client.v1.payouts.list({"limit": 100}, acting_for(seller)).data if payout.automatic]

    return eventually(read, lambda found: len(found) >= expected)


def test_daily_payout_owns_its_balance_transactions(client, new_seller):
    go_to_monday_noon()
    seller = new_seller(daily_seller_params())
    for amount in (10000, 5000):
        client.v1.payment_intents.create(payment(amount), acting_for(seller))
    advance(seconds=10 * DAY)

    (payout,) = automatic_payouts(client, seller, 1)
    assert payout.amount == 9680 + 4825
    assert (payout.status, payout.reconciliation_status, payout.method) == ("paid", "completed", "standard")
    assert payout.description == "STRIPE PAYOUT"
    assert payout.destination == seller.external_accounts.data[0].id

    def owned(**filters):
        page = client.v1.balance_transactions.list({"payout": payout.id, **filters}, acting_for(seller))
        return list(page.auto_paging_iter())

    rows = owned(limit=2)
    assert [row(entry) for entry in rows] == [
        Row("payout", -14505, 0, -14505),
        Row("charge", 5000, 175, 4825),
        Row("charge", 10000, 320, 9680),
    ]
    assert sum(entry.net for entry in rows if entry.source != payout.id) == payout.amount
    assert [entry.type for entry in owned(type="charge")] == ["charge", "charge"]
    for kind in ("payout.created", "payout.paid", "payout.reconciliation_completed"):
        assert find_event(client, kind, payout.id, seller.id), kind
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.cancel(payout.id, options=acting_for(seller))
    assert caught.value.http_status == 400


def test_weekly_payout_on_its_day(client, new_seller):
    monday = go_to_monday_noon()
    params = daily_seller_params()
    params["settings"]["payouts"]["schedule"] = {"interval": "weekly", "weekly_anchor": "friday"}
    seller = new_seller(params)
    assert seller.settings.payouts.schedule.weekly_anchor == "friday"
    client.v1.payment_intents.create(payment(10000, payment_method="pm_card_bypassPending"), acting_for(seller))

    advance(seconds=2 * DAY)
    assert automatic_payouts(client, seller, 0) == []
    advance(seconds=8 * DAY)

    (payout,) = automatic_payouts(client, seller, 1)
    # That Friday, or the next working day.
    assert payout.created >= monday - DAY // 2 + 4 * DAY
    assert payout.amount == 9680


def test_failed_payout_comes_back(client, new_seller):
    params = seller_params()
    params["external_account"]["account_number"] = "000111111113"
    seller = new_seller(params)
    client.v1.payment_intents.create(
        payment(10000, payment_method="pm_card_bypassPending", transfer_data={"destination": seller.id})
    )
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(seller))

    advance(seconds=DAY)

    failed = client.v1.payouts.retrieve(
        payout.id, {"expand": ["failure_balance_transaction"]}, acting_for(seller)
    )
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert row(failed.failure_balance_transaction) == Row("payout_failure", 4000, 0, 4000)
    bank = find_event(client, "account.external_account.updated", seller.external_accounts.data[0].id, seller.id)
    assert bank.data.object.status == "errored"
    assert client.v1.accounts.retrieve(seller.id).payouts_enabled is False
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(seller))
    assert caught.value.code == "payouts_not_allowed"


def test_paid_payout_is_reversed(client, paid_seller, seller_books):
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))
    advance(seconds=DAY)

    reversal = client.v1.payouts.reverse(payout.id, {"metadata": {"why": "typo"}}, acting_for(paid_seller))

    assert (reversal.amount, reversal.original_payout) == (-4000, payout.id)
    assert reversal.metadata.to_dict() == {"why": "typo"}
    again = client.v1.payouts.retrieve(payout.id, {"expand": ["reversed_by"]}, acting_for(paid_seller))
    assert again.reversed_by.id == reversal.id
    assert seller_books.available() == 9000
    assert find_event(client, "payout.updated", payout.id, paid_seller.id)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payouts.reverse(payout.id, options=acting_for(paid_seller))


def test_debt_is_reserved_and_then_debited(client, new_seller):
    go_to_monday_noon()
    seller = new_seller(daily_seller_params())
    paid = client.v1.payment_intents.create(
        payment(10000, payment_method="pm_card_bypassPending"), acting_for(seller)
    )
    advance(seconds=4 * DAY)
    client.v1.refunds.create({"payment_intent": paid.id}, acting_for(seller))
    held = amount_of(client.v1.balance.retrieve().connect_reserved, "usd")

    advance(seconds=DAY)

    assert amount_of(client.v1.balance.retrieve().connect_reserved, "usd") == held + 10000
    reserve = eventually(
        lambda: client.v1.balance_transactions.list({"type": "reserve_transaction"}).data, bool
    )[0]
    assert (reserve.net, reserve.reporting_category) == (-10000, "connect_reserved_funds")

    client.v1.balance_settings.update({"payments": {"debit_negative_balances": True}}, acting_for(seller))
    advance(seconds=7 * DAY)

    debit = automatic_payouts(client, seller, 2)[0]
    assert (debit.amount, debit.status) == (-10000, "paid")
    assert amount_of(client.v1.balance.retrieve().connect_reserved, "usd") == held


@pytest.mark.parametrize(
    "source, status, code",
    [
        ("btok_us_verified", "succeeded", None),
        ("btok_us_verified_noAccount", "failed", "no_account"),
        ("btok_us_verified_accountClosed", "failed", "account_closed"),
        ("btok_us_verified_insufficientFunds", "failed", "insufficient_funds"),
        ("btok_us_verified_debitNotAuthorized", "failed", "debit_not_authorized"),
        ("btok_us_verified_invalidCurrency", "failed", "invalid_currency"),
        ("btok_us_verified_reversed", "reversed", None),
    ],
)
def test_what_becomes_of_a_topup(client, platform, source, status, code):
    topup = client.v1.topups.create({"amount": 20000, "currency": "usd", "source": source})

    advance(seconds=DAY)

    later = client.v1.topups.retrieve(topup.id)
    assert (later.status, later.failure_code) == (status, code)
    kinds = {"succeeded": ["topup"], "failed": [], "reversed": ["topup", "topup_reversal"]}[status]
    assert [entry.type for entry in platform.rows(len(kinds), source=topup.id)] == kinds
    assert find_event(client, f"topup.{status}", topup.id)


def test_topup_by_a_token_made_before(client):
    token = client.v1.tokens.create(
        {
            "bank_account": {
                "country": "US",
                "currency": "usd",
                "routing_number": "110000000",
                "account_number": "000111111116",
            }
        }
    )
    topup = client.v1.topups.create({"amount": 500, "currency": "usd", "source": token.id})

    advance(seconds=DAY)

    assert client.v1.topups.retrieve(topup.id).failure_code == "no_account"


def test_books_still_close():
    from support import trial_balance

    assert {currency: total for currency, total in trial_balance().items() if total != 0} == {}
