"""One key, one effect."""

import pytest
import stripe

from support import Row, acting_for, payment, request, unique


def headers_of(thing):
    return thing.last_response.headers


def test_replay_gives_the_same_body_and_says_so(client):
    options = {"idempotency_key": unique("key")}
    params = {"name": "Jenny", "metadata": {"order": "7"}}

    first = client.v1.customers.create(params, options)
    again = client.v1.customers.create(params, options)

    assert again.id == first.id
    assert again.last_response.body == first.last_response.body
    assert "Idempotent-Replayed" not in headers_of(first)
    assert headers_of(again)["Idempotent-Replayed"] == "true"
    assert headers_of(again)["Idempotency-Key"] == options["idempotency_key"]
    assert headers_of(first)["Original-Request"] == headers_of(first)["Request-Id"]
    assert headers_of(again)["Original-Request"] == headers_of(first)["Request-Id"]
    assert headers_of(again)["Request-Id"] != headers_of(first)["Request-Id"]


def test_replayed_payment_moves_money_once(client, seller, seller_books, platform):
    options = {"idempotency_key": unique("key")}
    params = payment(10000, application_fee_amount=1000, transfer_data={"destination": seller.id})
    before = platform.total()

    ids = {client.v1.payment_intents.create(params, options).id for _ in range(3)}

    assert len(ids) == 1
    assert seller_books.rows(1) == [Row("payment", 10000, 1000, 9000)]
    assert seller_books.total() == 9000
    assert platform.total() - before == 680


def test_replayed_refund_moves_money_once(client, seller, seller_books):
    client.v1.transfers.create({"amount": 5000, "currency": "usd", "destination": seller.id})
    intent = client.v1.payment_intents.create(payment(10000, transfer_data={"destination": seller.id}))
    options = {"idempotency_key": unique("key")}
    params = {"payment_intent": intent.id, "amount": 4000, "reverse_transfer": True}

    first = client.v1.refunds.create(params, options)
    again = client.v1.refunds.create(params, options)

    assert first.id == again.id
    assert seller_books.total() == 5000 + 10000 - 4000


def test_decline_is_replayed_too(client):
    options = {"idempotency_key": unique("key")}
    errors = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            client.v1.payment_intents.create(payment(payment_method="pm_card_visa_chargeDeclined"), options)
        errors.append(caught.value)
    first, again = errors

    assert again.http_body == first.http_body
    assert again.error.payment_intent.id == first.error.payment_intent.id
    assert again.headers["Idempotent-Replayed"] == "true"


def test_refusal_after_execution_began_is_replayed_too(client, seller):
    transfer = client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": seller.id})
    client.v1.transfers.reversals.create(transfer.id)
    options = {"idempotency_key": unique("key")}
    errors = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.transfers.create({"amount": 99999999, "currency": "usd", "destination": seller.id}, options)
        errors.append(caught.value)

    assert errors[1].http_body == errors[0].http_body
    assert errors[0].headers["Stripe-Should-Retry"] == "false"
    assert errors[1].headers["Idempotent-Replayed"] == "true"


def test_other_parameters_under_a_key_are_refused(client):
    options = {"idempotency_key": unique("key")}
    client.v1.customers.create({"name": "Jenny"}, options)

    with pytest.raises(stripe.IdempotencyError) as caught:
        client.v1.customers.create({"name": "Jack"}, options)

    assert caught.value.http_status == 400
    assert caught.value.error.type == "idempotency_error"
    assert caught.value.code is None


def test_other_path_under_a_key_is_refused(client):
    options = {"idempotency_key": unique("key")}
    client.v1.customers.create({"description": "x"}, options)

    with pytest.raises(stripe.IdempotencyError) as caught:
        client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}, options)

    assert caught.value.http_status == 400
    assert "/v1/customers" in caught.value.user_message
    assert "/v1/payment_intents" in caught.value.user_message


def test_key_belongs_to_the_account_it_acts_for(client, seller):
    key = unique("key")

    of_platform = client.v1.customers.create({"name": "Jenny"}, {"idempotency_key": key})
    of_seller = client.v1.customers.create({"name": "Jenny"}, acting_for(seller, idempotency_key=key))

    assert of_platform.id != of_seller.id
    assert "Idempotent-Replayed" not in headers_of(of_seller)


def test_validation_error_does_not_use_up_the_key(client):
    options = {"idempotency_key": unique("key")}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create({"amount": 1000}, options)
    assert caught.value.code == "parameter_missing"

    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}, options)

    assert intent.status == "requires_payment_method"
    assert "Idempotent-Replayed" not in headers_of(intent)
    assert headers_of(intent)["Original-Request"] == headers_of(intent)["Request-Id"]


def test_unknown_id_in_the_body_does_not_use_up_the_key(client, seller):
    options = {"idempotency_key": unique("key")}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": "acct_nobody"}, options)
    assert caught.value.code == "resource_missing"

    transfer = client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": seller.id}, options)

    assert transfer.destination == seller.id


def test_order_and_spelling_of_parameters_do_not_matter():
    headers = {"Idempotency-Key": unique("key")}

    first = request("POST", "/v1/customers", form="name=Jenny+Rosen&metadata[a]=1&metadata[b]=2", headers=headers)
    again = request(
        "POST", "/v1/customers", form="metadata%5Bb%5D=2&name=Jenny%20Rosen&metadata%5Ba%5D=1", headers=headers
    )

    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert again.header("Idempotent-Replayed") == "true"


def test_key_is_ignored_on_get(client):
    customer = client.v1.customers.create({"name": "before"})
    options = {"idempotency_key": unique("key")}

    client.v1.customers.retrieve(customer.id, options=options)
    client.v1.customers.update(customer.id, {"name": "after"})
    read = client.v1.customers.retrieve(customer.id, options=options)

    assert read.name == "after"
    assert "Idempotent-Replayed" not in headers_of(read)


def test_key_may_have_255_characters_but_no_more():
    longest = request("POST", "/v1/customers", form="", headers={"Idempotency-Key": unique("k").ljust(255, "x")})
    too_long = request("POST", "/v1/customers", form="", headers={"Idempotency-Key": unique("k").ljust(256, "x")})

    assert longest.status == 200
    assert too_long.status == 400


@pytest.mark.parametrize("params", [{"amount": 10, "currency": "usd"}, {"amount": 100000000, "currency": "usd"}])
def test_amount_out_of_bounds_does_not_use_up_the_key(client, params):
    options = {"idempotency_key": unique("key")}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(params, options)
    assert caught.value.code in ("amount_too_small", "amount_too_large")

    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}, options)

    assert intent.amount == 1000


def test_deleted_customer_in_the_body_does_not_use_up_the_key(client):
    customer = client.v1.customers.create()
    client.v1.customers.delete(customer.id)
    options = {"idempotency_key": unique("key")}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(payment(customer=customer.id), options)
    assert (caught.value.code, caught.value.param) == ("resource_missing", "customer")
    assert "Stripe-Should-Retry" not in caught.value.headers

    assert client.v1.payment_intents.create(payment(), options).status == "succeeded"


def test_wrong_state_is_replayed_under_its_key(client):
    intent = client.v1.payment_intents.create(payment())
    options = {"idempotency_key": unique("key")}
    errors = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.payment_intents.cancel(intent.id, options=options)
        errors.append(caught.value)

    assert [error.code for error in errors] == ["payment_intent_unexpected_state"] * 2
    assert errors[0].http_body == errors[1].http_body
    assert errors[1].headers["Idempotent-Replayed"] == "true"
    assert errors[1].headers["Original-Request"] == errors[0].headers["Request-Id"]


def test_key_is_harmless_on_delete(client):
    first, second = client.v1.customers.create().id, client.v1.customers.create().id
    headers = {"Idempotency-Key": unique("key")}

    answers = [request("DELETE", f"/v1/customers/{customer}", headers=headers) for customer in (first, second)]

    assert [answer.json["deleted"] for answer in answers] == [True, True]
    assert answers[1].header("Idempotent-Replayed") is None


@pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "256 characters"])
def test_impossible_key_is_an_idempotency_error(key):
    answer = request("POST", "/v1/customers", form="", headers={"Idempotency-Key": key})

    assert (answer.status, answer.error["type"]) == (400, "idempotency_error")
