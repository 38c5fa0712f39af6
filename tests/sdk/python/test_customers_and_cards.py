"""Customers, payment methods and tokens."""

import json

import pytest
import stripe

from support import CARD_YEAR, acting_for, eventually, payment, unique


def test_customer_is_created_and_retrieved(client):
    customer = client.v1.customers.create(
        {
            "email": "Jenny.Rosen@example.com",
            "name": "Jenny Rosén",
            "phone": "+15550100",
            "description": "a + b & c = d",
            "address": {"line1": "1 Main St", "city": "Springfield", "country": "US"},
            "metadata": {"order": 7},
        }
    )
    again = client.v1.customers.retrieve(customer.id)

    assert customer.id.startswith("cus_")
    assert customer.object == "customer"
    assert customer.livemode is False
    for shown in (customer, again):
        assert shown.email == "Jenny.Rosen@example.com"
        assert shown.name == "Jenny Rosén"
        assert shown.description == "a + b & c = d"
        assert shown.address.city == "Springfield"
        assert shown.metadata.to_dict() == {"order": "7"}


def test_customer_update_sets_and_clears(client):
    customer = client.v1.customers.create({"name": "Jenny", "description": "first"})

    updated = client.v1.customers.update(customer.id, {"name": "Jenny Rosen", "description": ""})

    assert updated.name == "Jenny Rosen"
    assert updated.description is None


def test_customers_are_listed_by_email_newest_first(client):
    email = f"{unique('buyer')}@example.com"
    made = [client.v1.customers.create({"email": email}).id for _ in range(3)]

    def read():
        return client.v1.customers.list({"email": email})

    listed = eventually(read, lambda page: len(page.data) == 3)

    assert listed.url == "/v1/customers"
    assert listed.has_more is False
    assert sorted(customer.id for customer in listed.data) == sorted(made)
    created = [customer.created for customer in listed.data]
    assert created == sorted(created, reverse=True)


def test_deleted_customer_stays_as_a_stub(client):
    customer = client.v1.customers.create({"name": "Gone"})
    stub = {"id": customer.id, "object": "customer", "deleted": True}

    assert client.v1.customers.delete(customer.id).to_dict() == stub
    assert client.v1.customers.retrieve(customer.id).to_dict() == stub


def test_customer_of_a_connected_account_is_not_the_platforms(client, seller):
    customer = client.v1.customers.create({"name": "Hers"}, acting_for(seller))

    assert client.v1.customers.retrieve(customer.id, options=acting_for(seller)).id == customer.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.customers.retrieve(customer.id)
    assert caught.value.http_status == 404
    assert caught.value.code == "resource_missing"


def test_named_test_card_becomes_a_payment_method_of_its_own(client):
    first = client.v1.payment_intents.create(payment(expand=["payment_method"])).payment_method
    second = client.v1.payment_intents.create(payment(expand=["payment_method"])).payment_method

    assert first.id.startswith("pm_") and first.id != "pm_card_visa"
    assert first.id != second.id
    assert first.type == "card"
    assert (first.card.brand, first.card.last4, first.card.country) == ("visa", "4242", "US")


@pytest.mark.parametrize(
    "name, brand, last4",
    [
        ("pm_card_visa", "visa", "4242"),
        ("pm_card_mastercard", "mastercard", "4444"),
        ("pm_card_amex", "amex", "0005"),
        ("pm_card_discover", "discover", "1117"),
    ],
)
def test_brand_of_test_card(client, name, brand, last4):
    intent = client.v1.payment_intents.create(payment(payment_method=name, expand=["latest_charge"]))
    card = intent.latest_charge.payment_method_details.card

    assert intent.status == "succeeded"
    assert (card.brand, card.last4) == (brand, last4)


def test_payment_method_from_raw_card_data_keeps_no_number(client):
    method = client.v1.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": CARD_YEAR, "cvc": "123"},
            "billing_details": {"name": "Jenny Rosen"},
        }
    )

    assert method.id.startswith("pm_")
    assert method.customer is None
    assert method.billing_details.name == "Jenny Rosen"
    assert (method.card.last4, method.card.exp_month, method.card.exp_year) == ("4242", 12, CARD_YEAR)
    assert "4242424242424242" not in method.last_response.body


def test_payment_method_from_token(client):
    method = client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})

    assert method.type == "card"
    assert method.card.last4 == "4242"


def test_intent_is_paid_with_raw_card_data(client):
    intent = client.v1.payment_intents.create(
        {
            "amount": 2050,
            "currency": "usd",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "payment_method_data": {
                "type": "card",
                "card": {"number": "5555555555554444", "exp_month": 1, "exp_year": CARD_YEAR, "cvc": "987"},
            },
            "expand": ["latest_charge"],
        }
    )

    assert intent.status == "succeeded"
    assert intent.latest_charge.payment_method_details.card.brand == "mastercard"


def test_card_token_is_created_and_used_once(client):
    token = client.v1.tokens.create(
        {"card": {"number": "4242424242424242", "exp_month": 12, "exp_year": CARD_YEAR, "cvc": "123"}}
    )
    assert token.id.startswith("tok_")
    assert token.object == "token"
    assert token.type == "card"
    assert token.used is False
    assert token.card.last4 == "4242"

    client.v1.payment_methods.create({"type": "card", "card": {"token": token.id}})

    assert client.v1.tokens.retrieve(token.id).used is True
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_methods.create({"type": "card", "card": {"token": token.id}})
    assert caught.value.http_status == 400
    assert caught.value.code == "token_already_used"


def test_attach_list_and_detach(client):
    customer = client.v1.customers.create()
    attached = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    assert attached.customer == customer.id

    def read():
        return client.v1.payment_methods.list({"customer": customer.id, "type": "card"})

    listed = eventually(read, lambda page: len(page.data) == 1)
    assert [method.id for method in listed.data] == [attached.id]

    detached = client.v1.payment_methods.detach(attached.id)
    assert detached.customer is None
    assert client.v1.payment_methods.retrieve(attached.id).customer is None
    emptied = eventually(read, lambda page: len(page.data) == 0)
    assert emptied.data == []


def test_attached_card_pays_for_its_customer(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})

    intent = client.v1.payment_intents.create(
        payment(customer=customer.id, payment_method=method.id, expand=["latest_charge"])
    )

    assert intent.status == "succeeded"
    assert intent.customer == customer.id
    assert intent.payment_method == method.id
    assert intent.latest_charge.customer == customer.id


def test_attaching_elsewhere_is_refused(client):
    owner, other = client.v1.customers.create(), client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": owner.id})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_methods.attach(method.id, {"customer": other.id})

    assert caught.value.http_status == 400
    assert client.v1.payment_methods.retrieve(method.id).customer == owner.id


def test_declining_card_cannot_be_attached(client):
    customer = client.v1.customers.create()

    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_methods.attach("pm_card_visa_chargeDeclined", {"customer": customer.id})

    assert caught.value.code == "card_declined"


def test_detached_card_cannot_pay(client):
    customer = client.v1.customers.create()
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    client.v1.payment_methods.detach(method.id)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(payment(payment_method=method.id))

    assert caught.value.http_status == 400


def test_platforms_card_cannot_pay_on_a_connected_account(client, seller):
    method = client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(payment(payment_method=method.id), acting_for(seller))

    assert caught.value.http_status == 400
    assert caught.value.code == "resource_missing"
    assert caught.value.param == "payment_method"


def test_json_of_an_object_has_the_documented_kinds(client):
    body = json.loads(client.v1.customers.create({"metadata": {"n": 1}}).last_response.body)

    assert isinstance(body["created"], int)
    assert isinstance(body["livemode"], bool)
    assert body["metadata"] == {"n": "1"}
    assert body["email"] is None


@pytest.mark.parametrize("name", ["pm_card_visa", None], ids=["test name", "own object"])
def test_customer_comes_with_a_default_method(client, name):
    method = name or client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}}).id

    customer = client.v1.customers.create(
        {"payment_method": method, "invoice_settings": {"default_payment_method": method}}
    )

    (saved,) = client.v1.customers.payment_methods.list(customer.id).data
    assert customer.invoice_settings.default_payment_method == saved.id


def test_default_method_of_a_new_customer_comes_with_it(client):
    method = client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.customers.create({"invoice_settings": {"default_payment_method": method.id}})
    assert caught.value.param == "invoice_settings[default_payment_method]"


def test_named_test_card_can_be_looked_at(client):
    method = client.v1.payment_methods.retrieve("pm_card_mastercard")

    assert method.id == "pm_card_mastercard"
    assert method.card.brand == "mastercard"
