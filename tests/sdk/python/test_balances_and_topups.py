"""Balances, balance settings, top-ups, and payouts that are made at once or taken back: what needs no waiting."""

import pytest
import stripe

from support import Row, acting_for, eventually, find_event, payment, seller_params


# --- the balance ----------------------------------------------------------------------------------


def test_balance_lists_every_currency_that_settles(client, seller, german_seller):
    balance = client.v1.balance.retrieve(options=acting_for(german_seller))

    assert [entry.currency for entry in balance.available] == ["eur"]
    assert [entry.currency for entry in balance.pending] == ["eur"]
    assert "connect_reserved" not in balance
    assert [entry.currency for entry in client.v1.balance.retrieve(options=acting_for(seller)).available] == ["usd"]


def test_platform_shows_what_it_holds_for_its_accounts(client):
    balance = client.v1.balance.retrieve()

    assert {entry.currency for entry in balance.connect_reserved} >= {"usd"}


def test_instant_money_counts_what_is_pending(client, seller):
    client.v1.payment_intents.create(payment(10000, transfer_data={"destination": seller.id}))

    balance = client.v1.balance.retrieve({"expand": ["instant_available.net_available"]}, acting_for(seller))

    (instant,) = balance.instant_available
    assert (instant.amount, instant.currency, instant.source_types.card) == (10000, "usd", 10000)
    (net,) = instant.net_available
    assert (net.amount, net.destination) == (10000, seller.external_accounts.data[0].id)


def test_net_amounts_are_shown_only_when_asked_for(client, seller):
    (instant,) = client.v1.balance.retrieve(options=acting_for(seller)).instant_available

    assert "net_available" not in instant


# --- instant payouts ------------------------------------------------------------------------------


def test_bank_account_says_what_payouts_it_takes(client, seller):
    assert seller.external_accounts.data[0].available_payout_methods == ["standard", "instant"]


def test_instant_payout_advances_pending_money(client, seller, seller_books, platform):
    client.v1.payment_intents.create(payment(10000, transfer_data={"destination": seller.id}))
    platform_available = platform.available()

    payout = client.v1.payouts.create(
        {"amount": 6000, "currency": "usd", "method": "instant"}, acting_for(seller)
    )

    assert payout.method == "instant"
    assert payout.status == "pending"
    assert payout.arrival_date == payout.created
    assert seller_books.rows(3, source=payout.id) == [
        Row("payout", -6000, 0, -6000),
        Row("advance", 6000, 0, 6000),
        Row("advance_funding", -6000, 0, -6000),
    ]
    assert (seller_books.available(), seller_books.pending()) == (0, 4000)
    assert platform.available() == platform_available - 60
    (fee,) = platform.transactions(1, type="stripe_fee", created={"gte": payout.created})[-1:]
    assert (fee.amount, fee.net, fee.source) == (-60, -60, None)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payouts.cancel(payout.id, options=acting_for(seller))


def test_instant_payout_to_a_bank_account_that_takes_none(client, new_seller):
    params = seller_params()
    params["external_account"]["account_number"] = "000888888883"
    seller = new_seller(params)
    client.v1.payment_intents.create(payment(10000, transfer_data={"destination": seller.id}))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.create({"amount": 100, "currency": "usd", "method": "instant"}, acting_for(seller))

    assert caught.value.code == "instant_payouts_unsupported"


def test_instant_payout_beyond_the_banks_limit(client, paid_seller):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.create({"amount": 1000000, "currency": "usd", "method": "instant"}, acting_for(paid_seller))

    assert (caught.value.http_status, caught.value.code) == (400, None)


# --- payouts by request ---------------------------------------------------------------------------


def test_only_a_paid_payout_can_be_reversed(client, paid_seller):
    payout = client.v1.payouts.create({"amount": 4000, "currency": "usd"}, acting_for(paid_seller))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.reverse(payout.id, {"metadata": {"a": "b"}}, acting_for(paid_seller))

    assert caught.value.http_status == 400


def test_payouts_are_filtered(client, paid_seller):
    first = client.v1.payouts.create({"amount": 1000, "currency": "usd"}, acting_for(paid_seller))
    client.v1.payouts.cancel(first.id, options=acting_for(paid_seller))
    second = client.v1.payouts.create({"amount": 2000, "currency": "usd"}, acting_for(paid_seller))
    bank = paid_seller.external_accounts.data[0].id

    def listed(**filters):
        return [payout.id for payout in client.v1.payouts.list(filters, acting_for(paid_seller)).data]

    assert eventually(lambda: listed(destination=bank), lambda ids: len(ids) == 2) == [second.id, first.id]
    assert listed(status="canceled") == [first.id]
    assert listed(status="pending") == [second.id]
    assert listed(arrival_date=second.arrival_date) == [second.id, first.id]
    assert listed(created={"gt": second.created}) == []


def test_the_account_of_a_dashboard_pays_itself_out(client):
    standard = client.v1.accounts.create({**seller_params(), "type": "standard"})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payouts.create({"amount": 1000, "currency": "usd"}, acting_for(standard))

    assert caught.value.code == "not_allowed_on_standard_account"


# --- balance settings -----------------------------------------------------------------------------


def test_settings_of_a_fresh_seller(client, seller):
    settings = client.v1.balance_settings.retrieve(options=acting_for(seller))

    assert settings.object == "balance_settings"
    payouts = settings.payments.payouts
    assert (payouts.schedule.interval, payouts.status, payouts.minimum_balance_by_currency) == (
        "manual",
        "enabled",
        None,
    )
    assert settings.payments.debit_negative_balances is False
    assert settings.payments.settlement_timing.delay_days == 2


def test_settings_and_account_say_the_same(client, seller):
    changed = client.v1.balance_settings.update(
        {
            "payments": {
                "debit_negative_balances": True,
                "payouts": {
                    "schedule": {"interval": "weekly", "weekly_payout_days": ["monday", "thursday"]},
                    "minimum_balance_by_currency": {"usd": 1500},
                    "statement_descriptor": "WEEKLY SHOP",
                },
                "settlement_timing": {"delay_days_override": 5},
            }
        },
        acting_for(seller),
    )

    assert changed.payments.payouts.schedule.weekly_payout_days == ["monday", "thursday"]
    assert changed.payments.payouts.minimum_balance_by_currency.to_dict() == {"usd": 1500}
    assert changed.payments.settlement_timing.delay_days_override == 5
    payouts = client.v1.accounts.retrieve(seller.id).settings.payouts
    assert payouts.debit_negative_balances is True
    assert payouts.statement_descriptor == "WEEKLY SHOP"
    assert (payouts.schedule.interval, payouts.schedule.delay_days) == ("weekly", 5)
    assert payouts.schedule.weekly_payout_days == ["monday", "thursday"]
    event = eventually(
        lambda: client.v1.events.list({"type": "balance_settings.updated"}, acting_for(seller)).data, bool
    )[0]
    assert event.data.object.payments.payouts.schedule.interval == "weekly"
    assert event.data.previous_attributes["payments"]["payouts"]["schedule"]["interval"] == "manual"

    client.v1.accounts.update(
        seller.id, {"settings": {"payouts": {"schedule": {"interval": "monthly", "monthly_anchor": 31}}}}
    )
    again = client.v1.balance_settings.update(
        {
            "payments": {
                "payouts": {"minimum_balance_by_currency": {"usd": ""}},
                "settlement_timing": {"delay_days_override": ""},
            }
        },
        acting_for(seller),
    )
    assert again.payments.payouts.schedule.monthly_payout_days == [31]
    assert again.payments.payouts.minimum_balance_by_currency is None
    assert again.payments.settlement_timing.delay_days == 2


@pytest.mark.parametrize(
    "payments, param",
    [
        (
            {"payouts": {"schedule": {"interval": "weekly"}}},
            "payments[payouts][schedule][weekly_payout_days]",
        ),
        (
            {"payouts": {"schedule": {"interval": "daily", "monthly_payout_days": [1]}}},
            "payments[payouts][schedule][monthly_payout_days]",
        ),
        ({"settlement_timing": {"delay_days_override": 1}}, "payments[settlement_timing][delay_days_override]"),
        (
            {"payouts": {"minimum_balance_by_currency": {"usd": -1}}},
            "payments[payouts][minimum_balance_by_currency][usd]",
        ),
        (
            {"settlement_timing": {"start_of_day": {"hour": 3}}},
            "payments[settlement_timing][start_of_day]",
        ),
    ],
)
def test_settings_that_cannot_be(client, seller, payments, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.balance_settings.update({"payments": payments}, acting_for(seller))

    assert (caught.value.http_status, caught.value.param) == (400, param)


def test_settings_of_the_platform(client):
    settings = client.v1.balance_settings.retrieve()

    assert settings.payments.payouts.schedule.interval == "manual"


# --- top-ups --------------------------------------------------------------------------------------


def top_up(client, **changes):
    params = {"amount": 20000, "currency": "usd", "source": "btok_us_verified", **changes}
    return client.v1.topups.create(params)


def test_topup_waits_for_its_money(client, platform):
    available = platform.available()

    topup = top_up(
        client,
        description="For refunds",
        statement_descriptor="Top-up",
        transfer_group="may",
        metadata={"week": "9"},
    )

    assert topup.id.startswith("tu_")
    assert (topup.object, topup.status, topup.amount, topup.currency) == ("topup", "pending", 20000, "usd")
    assert topup.balance_transaction is None
    assert topup.expected_availability_date >= topup.created - 86400
    assert (topup.description, topup.transfer_group) == ("For refunds", "may")
    assert topup.metadata.to_dict() == {"week": "9"}
    assert topup.source.ach_debit.last4 == "6789"
    assert platform.available() == available
    assert find_event(client, "topup.created", topup.id)


def test_topup_is_retrieved_updated_and_listed(client):
    topup = top_up(client, amount=20123)

    assert client.v1.topups.retrieve(topup.id).id == topup.id
    updated = client.v1.topups.update(topup.id, {"description": "Later", "metadata": {"a": "b"}})
    assert (updated.description, updated.metadata.to_dict()) == ("Later", {"a": "b"})

    def listed(**filters):
        return [found.id for found in client.v1.topups.list({"amount": 20123, **filters}).data]

    assert topup.id in eventually(listed, bool)
    assert topup.id in listed(status="pending")
    assert topup.id not in listed(status="failed")
    assert listed(created={"gt": topup.created + 100}) == []


def test_pending_topup_is_canceled(client):
    topup = top_up(client)

    canceled = client.v1.topups.cancel(topup.id)

    assert canceled.status == "canceled"
    assert find_event(client, "topup.canceled", topup.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.topups.cancel(topup.id)
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    "changes, code, param",
    [
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"currency": "jpy"}, None, "currency"),
        ({"source": "btok_nothing"}, "resource_missing", "source"),
        ({"payment_method": "pm_1"}, None, "payment_method"),
    ],
)
def test_topup_that_cannot_be(client, changes, code, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        top_up(client, **changes)

    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, code, param)


def test_only_the_platform_tops_up(client, seller):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.topups.create({"amount": 100, "currency": "usd"}, acting_for(seller))

    assert caught.value.code == "platform_account_required"


def test_unknown_topup(client):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.topups.retrieve("tu_1111111111111111111111")

    assert (caught.value.http_status, caught.value.param) == (404, "topup")
