"""Operations that no other story needs, each with what it is for."""

from support import Row, payment, request, unique


def test_refunds_of_a_charge_under_its_address(client):
    charge = client.v1.payment_intents.create(payment(1000)).latest_charge

    first = request("POST", f"/v1/charges/{charge}/refunds", form={"amount": "100"}).json
    second = request("POST", f"/v1/charges/{charge}/refunds", form={"amount": "200"}).json

    assert (first["object"], first["charge"], first["amount"]) == ("refund", charge, 100)
    page = request("GET", f"/v1/charges/{charge}/refunds").json
    assert [refund["id"] for refund in page["data"]] == [second["id"], first["id"]]
    assert page["url"] == f"/v1/charges/{charge}/refunds"


def test_payment_method_of_a_customer_is_read_and_changed(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})

    changed = client.v1.payment_methods.update(
        method.id, {"card": {"exp_month": 7, "exp_year": 2040}, "metadata": {"a": "b"}}
    )

    assert (changed.card.exp_month, changed.card.exp_year) == (7, 2040)
    assert client.v1.customers.payment_methods.retrieve(customer.id, method.id).to_dict() == changed.to_dict()
    other = client.v1.customers.create()
    assert request("GET", f"/v1/customers/{other.id}/payment_methods/{method.id}").status == 404


def test_metadata_of_a_reversal(client, seller):
    transfer = client.v1.transfers.create({"amount": 500, "currency": "usd", "destination": seller.id})
    reversal = client.v1.transfers.reversals.create(transfer.id, {"amount": 200})

    changed = client.v1.transfers.reversals.update(transfer.id, reversal.id, {"metadata": {"why": "broken"}})

    assert (changed.id, changed.amount, changed.metadata.to_dict()) == (reversal.id, 200, {"why": "broken"})


def test_another_bank_account(client, seller):
    added = client.v1.accounts.external_accounts.create(seller.id, {"external_account": "btok_us_verified"})

    assert (added.object, added.account, added.last4) == ("bank_account", seller.id, "6789")
    assert client.v1.accounts.external_accounts.retrieve(seller.id, added.id).id == added.id
    assert added.id in [account.id for account in client.v1.accounts.external_accounts.list(seller.id).data]


def test_split_rule_by_name_and_by_id(seller):
    name = unique("rule")
    form = {
        "name": name,
        "shares[0][account]": seller.id,
        "shares[0][percent]": "80",
    }
    made = request("POST", "/florin/split_rules", form=form)
    assert made.status == 200, made.body

    by_name = request("GET", f"/florin/split_rules/{name}").json
    by_id = request("GET", f"/florin/split_rules/{made.json['id']}").json

    assert by_name == by_id == made.json


def test_adjustment_moves_money_and_says_why(client, seller, seller_books):
    sequence = request("GET", "/florin/trial_balance").json["sequence"]
    form = {
        "repairs": str(sequence),
        "reason": "charged twice",
        "author": "Ada",
        "postings[0][account]": seller.id,
        "postings[0][amount]": "250",
        "postings[0][currency]": "usd",
        "postings[1][account]": "platform",
        "postings[1][amount]": "-250",
        "postings[1][currency]": "usd",
    }

    made = request("POST", "/florin/adjustments", form=form)

    assert made.status == 200, made.body
    assert seller_books.rows(1) == [Row("adjustment", 250, 0, 250)]
    read = request("GET", f"/florin/adjustments/{made.json['id']}").json
    assert (read["object"], read["reason"], read["author"]) == ("florin.adjustment", "charged twice", "Ada")
    lopsided = request("POST", "/florin/adjustments", form={**form, "postings[0][amount]": "251"})
    assert lopsided.status == 400
    assert request("GET", "/florin/trial_balance").json["balanced"] is True
