"""Setup intents: a card made ready for later, its attempts, and the payments that follow."""

import pytest
import stripe

from support import acting_for, eventually, find_event, payment, unique
from test_authentication import RETURN_URL, answer

NO_REDIRECTS = {"enabled": True, "allow_redirects": "never"}


@pytest.fixture
def customer(client):
    return client.v1.customers.create()


@pytest.fixture
def set_up(client, customer):
    def make(card="pm_card_visa", **params):
        return client.v1.setup_intents.create(
            {
                "confirm": True,
                "customer": customer.id,
                "payment_method": card,
                "automatic_payment_methods": NO_REDIRECTS,
                **params,
            }
        )

    return make


def refused(call, code, param=None):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    assert caught.value.code == code
    if param:
        assert caught.value.param == param
    return caught.value


def test_setup_is_created_changed_and_confirmed(client, customer):
    setup = client.v1.setup_intents.create({"customer": customer.id, "metadata": {"plan": "gold"}})
    assert setup.id.startswith("seti_")
    assert setup.client_secret.startswith(f"{setup.id}_secret_")
    assert (setup.object, setup.status, setup.usage) == ("setup_intent", "requires_payment_method", "off_session")
    assert setup.automatic_payment_methods.allow_redirects == "always"
    assert setup.payment_method_types == ["card"]

    updated = client.v1.setup_intents.update(
        setup.id, {"description": "Gold", "metadata": {"plan": "", "tier": 2}, "payment_method": "pm_card_visa"}
    )
    assert (updated.status, updated.description) == ("requires_confirmation", "Gold")
    assert updated.metadata.to_dict() == {"tier": "2"}

    done = client.v1.setup_intents.confirm(setup.id, {"return_url": RETURN_URL})
    assert (done.status, done.next_action, done.mandate) == ("succeeded", None, None)
    method = client.v1.payment_methods.retrieve(done.payment_method)
    assert (method.customer, method.card.last4) == (customer.id, "4242")
    assert client.v1.setup_intents.retrieve(setup.id).status == "succeeded"


def test_events_of_a_setup(client, set_up):
    setup = set_up()

    for kind, object_id in [
        ("setup_intent.created", setup.id),
        ("payment_method.attached", setup.payment_method),
        ("setup_intent.succeeded", setup.id),
    ]:
        assert find_event(client, kind, object_id), kind


def test_card_that_was_set_up_pays_without_the_payer(client, customer, set_up):
    setup = set_up("pm_card_authenticationRequiredOnSetup", return_url=RETURN_URL)
    assert (setup.status, setup.next_action.type) == ("requires_action", "redirect_to_url")

    back = answer(setup, "complete")

    assert f"setup_intent={setup.id}" in back.header("location")
    assert f"setup_intent_client_secret={setup.client_secret}" in back.header("location")
    assert "redirect_status=succeeded" in back.header("location")
    setup = client.v1.setup_intents.retrieve(setup.id, {"expand": ["latest_attempt", "payment_method"]})
    assert setup.status == "succeeded"
    assert setup.latest_attempt.payment_method_details.card.three_d_secure.result == "authenticated"
    intent = client.v1.payment_intents.create(
        payment(customer=customer.id, payment_method=setup.payment_method.id, off_session=True)
    )
    assert intent.status == "succeeded"


def test_setup_on_session_only_agrees_to_nothing_else(client, customer, set_up):
    setup = set_up("pm_card_authenticationRequiredOnSetup", usage="on_session")
    assert (setup.usage, setup.next_action.type) == ("on_session", "use_stripe_sdk")
    answer(setup, "complete")
    method = client.v1.setup_intents.retrieve(setup.id).payment_method

    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(payment(customer=customer.id, payment_method=method, off_session=True))
    assert caught.value.code == "authentication_required"


def test_declined_setup_shows_itself_in_the_error(client, set_up):
    with pytest.raises(stripe.CardError) as caught:
        set_up("pm_card_visa_chargeDeclinedLostCard")

    error = caught.value.error
    assert (error.code, error.decline_code) == ("card_declined", "lost_card")
    assert error.payment_method.object == "payment_method"
    setup = client.v1.setup_intents.retrieve(error.setup_intent.id)
    assert (setup.status, setup.payment_method) == ("requires_payment_method", None)
    assert setup.last_setup_error.decline_code == "lost_card"
    assert find_event(client, "setup_intent.setup_failed", setup.id)


def test_failed_authentication_and_all_attempts(client, set_up):
    first = set_up("pm_card_threeDSecure2Required", return_url=RETURN_URL)
    answer(first, "fail")
    failed = client.v1.setup_intents.retrieve(first.id)
    assert failed.last_setup_error.code == "setup_intent_authentication_failure"
    assert failed.last_setup_error.payment_method.id == first.payment_method
    second = client.v1.setup_intents.confirm(first.id, {"payment_method": "pm_card_visa"})
    assert (second.status, second.last_setup_error) == ("succeeded", None)

    attempts = client.v1.setup_attempts.list({"setup_intent": first.id, "expand": ["data.setup_intent"]})

    assert [attempt.status for attempt in attempts.data] == ["succeeded", "failed"]
    latest, earlier = attempts.data
    assert latest.id == second.latest_attempt and latest.id.startswith("setatt_")
    assert latest.setup_intent.id == first.id
    assert earlier.setup_error.code == "setup_intent_authentication_failure"
    assert earlier.payment_method_details.card.three_d_secure.result == "failed"
    page = client.v1.setup_attempts.list({"setup_intent": first.id, "limit": 1, "starting_after": latest.id})
    assert ([attempt.id for attempt in page.data], page.has_more) == ([earlier.id], False)
    refused(lambda: client.v1.setup_attempts.list({"setup_intent": "seti_nope"}), "resource_missing", "setup_intent")


def test_canceled_setup_takes_nothing_more(client, customer):
    setup = client.v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa"})

    canceled = client.v1.setup_intents.cancel(setup.id, {"cancellation_reason": "abandoned"})

    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    assert find_event(client, "setup_intent.canceled", setup.id)
    for call in [
        lambda: client.v1.setup_intents.cancel(setup.id),
        lambda: client.v1.setup_intents.confirm(setup.id),
        lambda: client.v1.setup_intents.update(setup.id, {"description": "late"}),
    ]:
        error = refused(call, "setup_intent_unexpected_state")
        assert error.error.setup_intent.status == "canceled"


def test_setups_are_listed_newest_first_by_customer_and_method(client, customer, set_up):
    made = [set_up() for _ in range(3)]

    def read(**filters):
        return client.v1.setup_intents.list({"customer": customer.id, **filters})

    listed = eventually(read, lambda page: len(page.data) == 3)
    assert [setup.id for setup in listed.data] == [setup.id for setup in reversed(made)]
    assert listed.url == "/v1/setup_intents"
    page = read(limit=1, starting_after=made[2].id)
    assert ([setup.id for setup in page.data], page.has_more) == ([made[1].id], True)
    page = read(limit=1, ending_before=made[0].id)
    assert [setup.id for setup in page.data] == [made[1].id]
    assert [setup.id for setup in read(payment_method=made[0].payment_method).data] == [made[0].id]
    assert read(created={"gt": made[2].created}).data == []


def test_setup_on_a_connected_account_is_its_own(client, seller):
    options = acting_for(seller)
    setup = client.v1.setup_intents.create({"payment_method": "pm_card_visa"}, options)

    assert setup.application
    assert client.v1.setup_intents.confirm(setup.id, {"return_url": RETURN_URL}, options).status == "succeeded"
    error = refused(lambda: client.v1.setup_intents.retrieve(setup.id), "resource_missing", "intent")
    assert error.http_status == 404 and "setupintent" in str(error)


def test_what_a_setup_cannot_be(client, customer, set_up):
    other = client.v1.customers.create()
    saved = client.v1.payment_methods.attach("pm_card_visa", {"customer": other.id})

    refused(lambda: set_up(saved.id), None, "payment_method")
    refused(lambda: set_up(unique("pm")), "resource_missing", "payment_method")
    refused(lambda: client.v1.setup_intents.create({"return_url": RETURN_URL}), None, "return_url")
    refused(lambda: client.v1.setup_intents.create({"single_use": {"amount": 1, "currency": "usd"}}), None, "single_use")
    refused(lambda: client.v1.setup_intents.create({"usage": "someday"}), None, "usage")
    refused(lambda: client.v1.setup_intents.create({"amount": 100}), "parameter_unknown", "amount")
    empty = client.v1.setup_intents.create({"customer": customer.id})
    refused(lambda: client.v1.setup_intents.confirm(empty.id), "setup_intent_unexpected_state")
    changed = {"customer": other.id}
    refused(lambda: client.v1.setup_intents.update(empty.id, changed), None, "customer")


def test_setup_is_repeated_under_its_key(client, customer):
    options = {"idempotency_key": unique("setup")}
    params = {"customer": customer.id, "payment_method": "pm_card_visa"}

    first, second = (client.v1.setup_intents.create(params, options) for _ in range(2))

    assert first.id == second.id
