"""Payment intents beside money: what may change when, saved cards, and what the payer's side may do."""

import os

import pytest
import stripe

from support import acting_for, eventually, find_event, payment, request
from test_authentication import RETURN_URL, answer

PUBLISHABLE = os.environ.get("FLORIN_PUBLISHABLE_KEY", "")


def refused(call, code, param=None):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    assert caught.value.code == code, caught.value
    if param:
        assert caught.value.param == param
    return caught.value


@pytest.fixture
def customer(client):
    return client.v1.customers.create()


# --- changes ------------------------------------------------------------------------------------


def test_waiting_payment_keeps_its_amount_and_may_change_its_card(client):
    intent = client.v1.payment_intents.create(payment(payment_method="pm_card_threeDSecure2Required"))

    error = refused(
        lambda: client.v1.payment_intents.update(intent.id, {"amount": 9000}), "payment_intent_unexpected_state"
    )
    assert error.error.payment_intent.status == "requires_action"
    described = client.v1.payment_intents.update(intent.id, {"description": "Two chairs"})
    assert (described.status, described.description) == ("requires_action", "Two chairs")
    changed = client.v1.payment_intents.update(intent.id, {"payment_method": "pm_card_visa"})
    assert (changed.status, changed.next_action) == ("requires_confirmation", None)
    assert client.v1.payment_intents.update(intent.id, {"amount": 9000}).amount == 9000
    assert client.v1.payment_intents.confirm(intent.id).status == "succeeded"


def test_card_options_are_kept_and_shown(client):
    options = {"card": {"capture_method": "manual", "request_three_d_secure": "any", "setup_future_usage": "none"}}
    intent = client.v1.payment_intents.create(payment(payment_method_options=options))

    assert intent.status == "requires_capture"
    assert intent.capture_method == "automatic_async"
    shown = intent.payment_method_options.card
    assert (shown.capture_method, shown.request_three_d_secure) == ("manual", "any")
    assert shown.setup_future_usage == "none"
    assert client.v1.payment_intents.capture(intent.id).status == "succeeded"


def test_what_belongs_to_a_confirmation_needs_one(client):
    base = {"amount": 1000, "currency": "usd"}
    for name, value in [
        ("off_session", True),
        ("return_url", RETURN_URL),
        ("error_on_requires_action", True),
        ("use_stripe_sdk", True),
    ]:
        refused(lambda: client.v1.payment_intents.create({**base, name: value}), None, name)


def test_confirmation_of_an_intent_with_redirects_needs_a_return_url(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"})

    refused(lambda: client.v1.payment_intents.confirm(intent.id), None, None)
    assert client.v1.payment_intents.confirm(intent.id, {"return_url": RETURN_URL}).status == "succeeded"


def test_cards_only_where_cards_are_allowed(client):
    params = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"}

    refused(
        lambda: client.v1.payment_intents.create({**params, "allowed_payment_method_types": ["sepa_debit"]}),
        "payment_intent_incompatible_payment_method",
        "payment_method",
    )
    intent = client.v1.payment_intents.create({**params, "payment_method_types": ["card"], "confirm": True})
    assert (intent.status, intent.automatic_payment_methods) == ("succeeded", None)


def test_amount_to_confirm_is_the_amount(client):
    intent = client.v1.payment_intents.create(payment(confirm=False))

    refused(
        lambda: client.v1.payment_intents.confirm(intent.id, {"amount_to_confirm": 9999}),
        "payment_intent_invalid_parameter",
        "amount_to_confirm",
    )
    assert client.v1.payment_intents.confirm(intent.id, {"amount_to_confirm": 10000}).status == "succeeded"


@pytest.mark.parametrize("reason", ["abandoned", "duplicate", "fraudulent", "requested_by_customer"])
def test_reasons_to_cancel(client, reason):
    intent = client.v1.payment_intents.create(payment(confirm=False))

    canceled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": reason})

    assert (canceled.status, canceled.cancellation_reason) == ("canceled", reason)


# --- cards that are kept ------------------------------------------------------------------------


def test_payment_keeps_the_card_for_later(client, customer):
    intent = client.v1.payment_intents.create(
        payment(
            customer=customer.id,
            setup_future_usage="off_session",
            payment_method=None,
            payment_method_data={
                "type": "card",
                "card": {"token": "tok_visa"},
                "billing_details": {"name": "Jenny Rosen"},
                "metadata": {"nick": "blue"},
            },
        )
    )
    assert (intent.status, intent.setup_future_usage) == ("succeeded", "off_session")

    method = client.v1.payment_methods.retrieve(intent.payment_method)
    assert (method.customer, method.billing_details.name) == (customer.id, "Jenny Rosen")
    assert method.metadata.to_dict() == {"nick": "blue"}
    assert find_event(client, "payment_method.attached", method.id)
    charge = client.v1.charges.retrieve(intent.latest_charge)
    assert charge.billing_details.name == "Jenny Rosen"

    def read():
        return client.v1.customers.payment_methods.list(customer.id)

    assert [saved.id for saved in eventually(read, lambda page: page.data).data] == [method.id]
    again = client.v1.payment_intents.create(
        payment(customer=customer.id, payment_method=method.id, off_session=True)
    )
    assert again.status == "succeeded"
    detached = client.v1.payment_methods.detach(method.id)
    assert detached.customer is None


def test_payment_without_a_customer_or_a_wish_keeps_nothing(client, customer):
    unsaved = client.v1.payment_intents.create(payment(customer=customer.id))
    homeless = client.v1.payment_intents.create(payment(setup_future_usage="off_session"))

    for intent in (unsaved, homeless):
        assert client.v1.payment_methods.retrieve(intent.payment_method).customer is None
        refused(
            lambda: client.v1.payment_methods.attach(intent.payment_method, {"customer": customer.id}), None
        )


def test_card_is_kept_only_after_the_payer_has_passed(client, customer):
    intent = client.v1.payment_intents.create(
        payment(
            payment_method="pm_card_authenticationRequiredOnSetup",
            customer=customer.id,
            setup_future_usage="off_session",
            return_url=RETURN_URL,
        )
    )
    assert client.v1.payment_methods.retrieve(intent.payment_method).customer is None

    answer(intent, "complete")

    assert client.v1.payment_methods.retrieve(intent.payment_method).customer == customer.id
    later = payment(customer=customer.id, payment_method=intent.payment_method, off_session=True)
    assert client.v1.payment_intents.create(later).status == "succeeded"


def test_future_usage_is_unset_by_an_update(client, customer):
    intent = client.v1.payment_intents.create(
        payment(confirm=False, customer=customer.id, setup_future_usage="on_session", payment_method=None)
    )

    assert client.v1.payment_intents.update(intent.id, {"setup_future_usage": ""}).setup_future_usage is None


def test_platforms_card_is_copied_to_a_seller(client, customer, seller):
    saved = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})

    refused(
        lambda: client.v1.payment_methods.create({"payment_method": saved.id}, acting_for(seller)),
        None,
        "payment_method",
    )
    copy = client.v1.payment_methods.create(
        {"customer": customer.id, "payment_method": saved.id}, acting_for(seller)
    )

    assert copy.id != saved.id
    assert (copy.customer, copy.card.fingerprint) == (None, saved.card.fingerprint)
    paid = client.v1.payment_intents.create(payment(payment_method=copy.id), acting_for(seller))
    assert paid.status == "succeeded"
    refused(lambda: client.v1.payment_methods.retrieve(copy.id), "resource_missing")


# --- the payer's side ---------------------------------------------------------------------------

needs_publishable = pytest.mark.skipif(not PUBLISHABLE, reason="FLORIN_PUBLISHABLE_KEY is not set")


def as_payer(method, path, **form):
    if method == "GET":
        return request(method, f"{path}?" + "&".join(f"{k}={v}" for k, v in form.items()), key=PUBLISHABLE)
    return request(method, path, form=form, key=PUBLISHABLE)


@needs_publishable
@pytest.mark.parametrize("noun", ["payment_intents", "setup_intents"])
def test_payer_reads_and_confirms_with_the_client_secret(client, customer, noun):
    params = {"customer": customer.id, "description": "Two chairs", "metadata": {"margin": "40 %"}}
    if noun == "payment_intents":
        params.update(amount=10000, currency="usd")
    intent = getattr(client.v1, noun).create(params)
    path = f"/v1/{noun}/{intent.id}"

    for wrong in ({}, {"client_secret": intent.client_secret[:-1]}):
        assert as_payer("GET", path, **wrong).status == 400
        assert as_payer("POST", f"{path}/confirm", payment_method="pm_card_visa", **wrong).status == 400
    shown = as_payer("GET", path, client_secret=intent.client_secret)
    assert shown.status == 200
    assert shown.json["description"] == "Two chairs"
    for hidden in ("metadata", "customer", "latest_charge", "application_fee_amount", "transfer_data"):
        assert hidden not in shown.json
    assert as_payer("GET", path, client_secret=intent.client_secret, **{"expand[]": "customer"}).status == 400

    declined = as_payer(
        "POST", f"{path}/confirm", client_secret=intent.client_secret, payment_method="pm_card_visa_chargeDeclined"
    )
    assert declined.status == 402
    assert "metadata" not in declined.error[noun[:-1]]
    done = as_payer("POST", f"{path}/confirm", client_secret=intent.client_secret, payment_method="pm_card_visa")
    assert (done.status, done.json["status"]) == (200, "succeeded")


@needs_publishable
def test_payer_may_not_say_what_is_the_sellers_to_say(client):
    intent = client.v1.payment_intents.create({"amount": 10000, "currency": "usd"})
    path = f"/v1/payment_intents/{intent.id}"

    for form in (
        {"off_session": "true"},
        {"capture_method": "manual"},
        {"payment_method_options[card][capture_method]": "manual"},
    ):
        answered = as_payer(
            "POST", f"{path}/confirm", client_secret=intent.client_secret, payment_method="pm_card_visa", **form
        )
        assert (answered.status, answered.error["param"]) == (400, next(iter(form)))
    for forbidden in ("cancel", "capture"):
        assert as_payer("POST", f"{path}/{forbidden}", client_secret=intent.client_secret).status == 403
    manual = client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "confirmation_method": "manual"})
    answered = as_payer(
        "POST",
        f"/v1/payment_intents/{manual.id}/confirm",
        client_secret=manual.client_secret,
        payment_method="pm_card_visa",
    )
    assert answered.error["code"] == "payment_intent_unexpected_state"
