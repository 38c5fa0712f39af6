"""Split rules: one payment shared among any number of accounts and the platform, to the last cent.

Not part of the SDKs' surface, so these requests go over plain HTTP.
"""

import pytest

from support import Books, Row, eventually, request, unique

PAID = {
    "currency": "usd",
    "payment_method": "pm_card_visa",
    "confirm": "true",
    "automatic_payment_methods[enabled]": "true",
    "automatic_payment_methods[allow_redirects]": "never",
    "expand[]": "latest_charge",
}


def make_rule(*shares, name=None):
    """Stores a rule; a share without an account is the platform's."""
    form = {"name": name or unique("rule")}
    for index, share in enumerate(shares):
        for field, value in share.items():
            form[f"shares[{index}][{field}]"] = value
    return request("POST", "/florin/split_rules", form=form)


def pay(amount, rule, **params):
    return request("POST", "/v1/payment_intents", form={**PAID, "amount": str(amount), "split_rule": rule, **params})


def transfers_to(client, account, expected=1):
    def read():
        return client.v1.transfers.list({"destination": account.id, "limit": 100}).data

    return eventually(read, lambda found: len(found) >= expected)


@pytest.fixture
def cart(new_seller):
    """70 % for the seller, 5.00 for the courier, the rest for the platform."""
    shop, courier = new_seller(), new_seller()
    answer = make_rule(
        {"account": shop.id, "percent": "70"},
        {"account": courier.id, "amount": "500"},
        {"remainder": "true"},
    )
    assert answer.status == 200, answer.body
    return answer.json, shop, courier


def test_rule_is_stored_under_its_name():
    name = unique("rule")

    answer = make_rule({"remainder": "true"}, name=name)

    assert answer.status == 200, answer.body
    assert answer.json["id"]
    assert answer.json["name"] == name


@pytest.mark.parametrize("by", ["id", "name"])
def test_payment_is_shared_by_the_rule(client, platform, cart, by):
    rule, shop, courier = cart
    before = platform.total()

    answer = pay(10000, rule[by])

    assert answer.status == 200, answer.body
    assert answer.json["status"] == "succeeded"
    charge = answer.json["latest_charge"]
    assert platform.row_of(charge["id"]) == Row("charge", 10000, 320, 9680)
    assert Books(client, shop.id).rows(1) == [Row("payment", 7000, 0, 7000)]
    assert Books(client, courier.id).rows(1) == [Row("payment", 500, 0, 500)]
    assert platform.total() - before == 10000 - 320 - 7000 - 500


def test_shares_are_transfers_from_the_charge(client, platform, cart):
    rule, shop, courier = cart

    charge = pay(10000, rule["id"]).json["latest_charge"]["id"]

    for account, amount in ((shop, 7000), (courier, 500)):
        (transfer,) = transfers_to(client, account)
        assert (transfer.amount, transfer.currency) == (amount, "usd")
        assert transfer.source_transaction == charge
        assert platform.row_of(transfer.id) == Row("transfer", -amount, 0, -amount)


def test_shares_wait_with_the_charge(client, cart):
    rule, shop, _ = cart

    pay(10000, rule["id"])

    assert (Books(client, shop.id).pending(), Books(client, shop.id).available()) == (7000, 0)


@pytest.mark.parametrize("amount", [50, 99, 101, 1001, 9999, 12345])
def test_odd_amounts_add_up_to_the_last_cent(client, new_seller, platform, amount):
    sellers = [new_seller() for _ in range(3)]
    rule = make_rule(
        *({"account": seller.id, "percent": "33.33"} for seller in sellers),
        {"remainder": "true"},
    ).json
    before = platform.total()

    answer = pay(amount, rule["id"])

    assert answer.status == 200, answer.body
    shares = [Books(client, seller.id).total() for seller in sellers]
    for share in shares:
        assert abs(share - amount * 0.3333) < 1
    fee = platform.row_of(answer.json["latest_charge"]["id"]).fee
    assert platform.total() - before == amount - fee - sum(shares)


def test_two_halves_of_an_odd_amount(client, new_seller):
    one, other = new_seller(), new_seller()
    rule = make_rule({"account": one.id, "percent": "50"}, {"account": other.id, "percent": "50"}).json

    assert pay(101, rule["id"]).status == 200

    assert sorted(Books(client, seller.id).total() for seller in (one, other)) == [50, 51]


def test_remainder_may_go_to_a_seller(client, new_seller, platform):
    one, other = new_seller(), new_seller()
    rule = make_rule(
        {"account": one.id, "amount": "250"}, {"percent": "10"}, {"account": other.id, "remainder": "true"}
    ).json
    before = platform.total()

    assert pay(1000, rule["id"]).status == 200

    assert Books(client, one.id).total() == 250
    assert Books(client, other.id).total() == 650
    assert platform.total() - before == 100 - 59


def test_one_rule_serves_many_payments(client, cart):
    rule, shop, courier = cart

    for amount in (2000, 3000, 4000):
        assert pay(amount, rule["id"]).status == 200

    assert Books(client, shop.id).total() == 1400 + 2100 + 2800
    assert Books(client, courier.id).total() == 1500


def test_replayed_split_payment_moves_money_once(client, cart):
    rule, shop, _ = cart
    form = {**PAID, "amount": "10000", "split_rule": rule["id"]}
    headers = {"Idempotency-Key": unique("key")}

    answers = [request("POST", "/v1/payment_intents", form=form, headers=headers) for _ in range(2)]

    assert answers[0].body == answers[1].body
    assert Books(client, shop.id).total() == 7000


def test_declined_split_payment_moves_nothing(client, cart):
    rule, shop, courier = cart

    answer = pay(10000, rule["id"], payment_method="pm_card_visa_chargeDeclined")

    assert answer.status == 402
    assert Books(client, shop.id).rows(0) == []
    assert Books(client, courier.id).rows(0) == []


def test_unknown_rule_is_refused():
    answer = pay(10000, "no-such-rule")

    assert answer.status == 400
    assert answer.error["code"] == "resource_missing"
    assert answer.error["param"] == "split_rule"


def test_rule_and_destination_exclude_each_other(cart):
    rule, shop, _ = cart

    answer = pay(10000, rule["id"], **{"transfer_data[destination]": shop.id})

    assert answer.status == 400


def test_fixed_amounts_above_the_payment_are_refused(client, new_seller):
    seller = new_seller()
    rule = make_rule({"account": seller.id, "amount": "5000"}, {"remainder": "true"}).json

    answer = pay(4999, rule["id"])

    assert answer.status == 400
    assert Books(client, seller.id).rows(0) == []


@pytest.mark.parametrize(
    "shares",
    [
        (),
        ({"percent": "60"}, {"percent": "41"}),
        ({"percent": "-1"}, {"remainder": "true"}),
        ({"percent": "ten"}, {"remainder": "true"}),
        ({"amount": "-5"}, {"remainder": "true"}),
        ({"remainder": "true"}, {"remainder": "true"}),
        ({"percent": "10", "amount": "5"}, {"remainder": "true"}),
        ({"account": "acct_nobody", "percent": "10"}, {"remainder": "true"}),
        ({"percent": "10", "foo": "1"}, {"remainder": "true"}),
    ],
    ids=[
        "no shares",
        "above 100 percent",
        "negative percent",
        "percent that is no number",
        "negative amount",
        "two remainders",
        "two kinds in one share",
        "unknown account",
        "unknown field",
    ],
)
def test_impossible_rule_is_refused(shares):
    answer = make_rule(*shares)

    assert answer.status == 400, answer.body
    assert answer.error["type"] == "invalid_request_error"
