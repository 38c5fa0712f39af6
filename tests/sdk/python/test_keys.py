"""Keys: what publishable and restricted ones open through the official SDK."""

import pytest
import stripe

import schemas
from support import URL, payment, request, unique


def client_with(key):
    return stripe.StripeClient(key, base_addresses={"api": URL}, http_client=schemas.http_client())


@pytest.fixture
def restricted():
    """Makes restricted keys and clients that use them."""

    def make(**permissions):
        form = {"name": unique("key"), **{f"permissions[{word}]": level for word, level in permissions.items()}}
        made = request("POST", "/florin/keys", form=form)
        assert made.status == 200, made.body
        return made.json, client_with(made.json["secret"])

    return make


def test_key_opens_what_its_permissions_say(client, restricted):
    intent = client.v1.payment_intents.create(payment())
    key, desk = restricted(charge="write", payment_intent="read")

    assert desk.v1.payment_intents.retrieve(intent.id).id == intent.id
    assert desk.v1.refunds.create({"payment_intent": intent.id, "amount": 10}).amount == 10
    with pytest.raises(stripe.PermissionError) as caught:
        desk.v1.payment_intents.create(payment())

    account = client.v1.accounts.retrieve_current().id
    assert caught.value.http_status == 403
    assert caught.value.user_message == (
        f"The provided key '{key['hint']}' does not have the required permissions for this endpoint on account "
        f"'{account}'. Having the 'rak_payment_intent_write' permission would allow this request to continue."
    )


def test_key_acts_for_accounts_within_its_permissions(restricted, seller):
    _, desk = restricted(balance="read")

    assert desk.v1.balance.retrieve(options={"stripe_account": seller.id}).object == "balance"
    with pytest.raises(stripe.PermissionError):
        desk.v1.payouts.list(options={"stripe_account": seller.id})


def test_refused_request_leaves_its_idempotency_key_free(client, restricted):
    _, desk = restricted(customer="read")
    options = {"idempotency_key": unique("key")}
    with pytest.raises(stripe.PermissionError):
        desk.v1.customers.create({"name": "Jenny"}, options)

    made = client.v1.customers.create({"name": "Jenny"}, options)

    assert "Idempotent-Replayed" not in made.last_response.headers


def test_keys_cannot_make_keys(restricted):
    key, _ = restricted(charge="write")

    answer = request("POST", "/florin/keys", form={"permissions[charge]": "write"}, key=key["secret"])

    assert answer.status == 403
    assert "Only a secret key" in answer.error["message"]


def test_revoked_key_is_expired(restricted):
    key, desk = restricted(balance="read")
    assert desk.v1.balance.retrieve().object == "balance"

    assert request("POST", f"/florin/keys/{key['id']}/revoke").json["revoked_at"]

    with pytest.raises(stripe.AuthenticationError) as caught:
        desk.v1.balance.retrieve()
    assert (caught.value.http_status, caught.value.error.code) == (401, "api_key_expired")


def test_keys_are_listed_without_their_secrets(restricted):
    made = [restricted(charge="read")[0] for _ in range(3)]

    page = request("GET", "/florin/keys?limit=3").json
    one = request("GET", f"/florin/keys/{made[0]['id']}").json

    assert [key["id"] for key in page["data"]] == [key["id"] for key in reversed(made)]
    assert all(key["secret"] is None for key in page["data"])
    assert one["permissions"] == {"charge": "read"}
    assert one["hint"].endswith(made[0]["secret"][-4:])


def test_key_is_told_once_also_to_a_replay():
    headers = {"Idempotency-Key": unique("key")}
    form = {"permissions[charge]": "read"}

    first = request("POST", "/florin/keys", form=form, headers=headers)
    again = request("POST", "/florin/keys", form=form, headers=headers)

    assert first.json["secret"].startswith("rk_test_")
    assert (again.json["id"], again.json["secret"]) == (first.json["id"], None)
    assert again.header("Idempotent-Replayed") == "true"


def test_accounts_have_no_keys(seller):
    answer = request("GET", "/florin/keys", headers={"Stripe-Account": seller.id})

    assert (answer.status, answer.error["code"]) == (400, "platform_account_required")
