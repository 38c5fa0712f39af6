"""The wire's rules, asked of every operation that the daemon says it has: one table, no operation left out."""

import re

import openapi_spec_validator
import pytest

from support import request, request_unchecked, unique

DOCUMENT = request_unchecked("GET", "/florin/openapi.json", key=None).json
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if operation.get("security") != []
]
LISTS = sorted(
    path
    for method, path, operation in OPERATIONS
    if method == "GET"
    and "{" not in path
    and not any(parameter.get("required") for parameter in operation.get("parameters", []))
    and operation["responses"]["200"]["content"]["application/json"]["schema"].get("properties", {}).get("object", {}).get("enum")
    == ["list"]
)
NAMED = sorted((method, path) for method, path, _ in OPERATIONS if path.endswith("}") or re.search(r"\}/\w+$", path))
PLAIN = sorted((method, path) for method, path, _ in OPERATIONS if "{" not in path)


def send(method, path, query):
    if method == "POST":
        return request(method, path, form=query)
    return request(method, f"{path}?{query}" if query else path)


def test_the_document_is_an_openapi_document():
    openapi_spec_validator.validate(DOCUMENT)

    ids = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    assert len(ids) > 80


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query, param, code, words",
    [
        ("limit=0", "limit", "parameter_invalid_integer", "This value must be greater than or equal to 1."),
        ("limit=101", "limit", "parameter_invalid_integer", "This value must be less than or equal to 100."),
        ("limit=1.5", "limit", "parameter_invalid_integer", "Invalid integer: 1.5"),
        ("limit=", "limit", "parameter_invalid_empty", "You passed an empty string for 'limit'"),
        ("limt=1", "limt", "parameter_unknown", "Received unknown parameter: limt. Did you mean limit?"),
        ("starting_after=x&ending_before=y", "ending_before", None, "Received both starting_after and ending_before"),
        ("expand[]=data.nothing", "expand", None, "This property cannot be expanded (data.nothing)."),
        ("expand[]=nothing", "expand", None, "This property cannot be expanded (nothing)."),
    ],
)
def test_page_parameters(path, query, param, code, words):
    answer = send("GET", path, query)

    assert (answer.status, answer.error.get("param"), answer.error.get("code")) == (400, param, code), answer.body
    assert answer.error["message"].startswith(words)
    assert answer.header("Stripe-Should-Retry") is None


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["starting_after", "ending_before"])
def test_cursor_that_leads_nowhere(path, cursor):
    answer = send("GET", path, f"{cursor}=nothing_1")

    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "resource_missing", cursor)
    assert answer.error["message"].startswith("No such ")
    assert "'nothing_1'" in answer.error["message"]


@pytest.mark.parametrize("path", LISTS)
def test_list_says_what_it_is(path):
    answer = send("GET", path, "limit=2")

    assert answer.status == 200, answer.body
    body = answer.json
    assert (body["object"], body["url"]) == ("list", path)
    assert list(body) == ["object", "data", "has_more", "url"]
    assert len(body["data"]) <= 2
    if body["has_more"]:
        rest = send("GET", path, f"limit=2&starting_after={body['data'][-1]['id']}").json
        assert rest["data"]
        back = send("GET", path, f"limit=2&ending_before={rest['data'][0]['id']}").json
        assert [item["id"] for item in back["data"]] == [item["id"] for item in body["data"]]
        assert back["has_more"] is False
        times = [item["created"] for item in body["data"] + rest["data"] if "created" in item]
        assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("path", [path for path in LISTS if "created" in str(DOCUMENT["paths"][path]["get"])])
def test_created_is_a_range(path):
    assert send("GET", path, "created[gte]=0&created[lt]=1").json["data"] == []
    assert send("GET", path, "created=1").json["data"] == []
    assert send("GET", path, "created[gt]=1&limit=1").status == 200
    wrong = send("GET", path, "created[after]=1")
    assert (wrong.status, wrong.error["code"], wrong.error["param"]) == (400, "parameter_unknown", "created[after]")
    text = send("GET", path, "created[gt]=yesterday")
    assert (text.status, text.error["code"], text.error["param"]) == (400, "parameter_invalid_integer", "created[gt]")


# --- parameters and ids -------------------------------------------------------------------------


# Which of several forms is meant is asked first.
ASKS_FIRST = [("POST", "/v1/payment_methods"), ("POST", "/v1/tokens")]


@pytest.mark.parametrize("method, path", [plain for plain in PLAIN if plain not in ASKS_FIRST], ids=str)
def test_unknown_parameter_is_refused_everywhere(method, path):
    answer = send(method, path, "florin_knows_no_such=1")

    assert (answer.status, answer.error["code"]) == (400, "parameter_unknown"), answer.body
    assert answer.error["param"] == "florin_knows_no_such"
    assert answer.error["message"] == "Received unknown parameter: florin_knows_no_such"
    assert answer.error["doc_url"].endswith("#parameter_unknown")


@pytest.mark.parametrize("method, path", NAMED, ids=str)
def test_id_that_leads_nowhere_is_404_and_names_its_parameter(method, path):
    answer = send(method, re.sub(r"\{\w+\}", "nothing_1", path), "")

    if answer.status == 400 and answer.error.get("code") == "parameter_missing":
        pytest.skip("parameters are asked for first")
    assert (answer.status, answer.error["code"]) == (404, "resource_missing"), answer.body
    assert answer.error["message"].startswith("No such ")
    assert answer.error["param"]


# The names that clients are known to see.
@pytest.mark.parametrize(
    "path, noun, param",
    [
        ("/v1/charges/x", "charge", "id"),
        ("/v1/customers/x", "customer", "id"),
        ("/v1/payment_intents/x", "payment_intent", "intent"),
        ("/v1/transfers/x", "transfer", "transfer"),
        ("/v1/payouts/x", "payout", "payout"),
        ("/v1/refunds/x", "refund", "refund"),
        ("/v1/accounts/x", "account", "account"),
        ("/v1/payment_methods/x", "PaymentMethod", "payment_method"),
        ("/v1/tokens/x", "token", "token"),
        ("/v1/events/x", "event", "id"),
        ("/v1/application_fees/x", "application fee", "id"),
        ("/v1/products/x", "product", "id"),
        ("/v1/prices/x", "price", "price"),
    ],
)
def test_names_of_what_is_missing(path, noun, param):
    error = request("GET", path).error

    assert (error["message"], error["param"]) == (f"No such {noun}: 'x'", param)


# --- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, path", PLAIN, ids=str)
def test_headers_of_every_answer(method, path):
    key = unique("key")
    answer = request(
        method,
        path,
        form="florin_knows_no_such=1" if method == "POST" else None,
        headers={"Idempotency-Key": key, "Stripe-Version": "2020-08-27"},
    )

    assert re.match(r"req_[0-9A-Za-z]{14,}$", answer.header("Request-Id"))
    assert answer.header("Stripe-Version") == "2026-10-28.endive"
    assert answer.header("Content-Type") == "application/json"
    if method == "POST":
        assert answer.header("Idempotency-Key") == key
        assert answer.header("Original-Request") == answer.header("Request-Id")
    else:
        assert answer.header("Idempotency-Key") is None
        assert answer.header("Original-Request") is None
    assert answer.header("Idempotent-Replayed") is None


@pytest.mark.parametrize("method, path", PLAIN, ids=str)
def test_no_key_and_a_wrong_key_are_401_everywhere(method, path):
    for key in (None, "sk_test_wrongwrongwrong"):
        answer = request(method, path, key=key)
        assert answer.status == 401
        assert answer.header("WWW-Authenticate") == 'Basic realm="Stripe"'


@pytest.mark.parametrize("path", [path for path in LISTS if path.startswith("/v1/")])
def test_slash_at_the_end_is_another_address(path):
    answer = request("GET", f"{path}/")

    assert (answer.status, answer.error.get("code")) == (404, None)
    assert answer.error["message"].startswith(f"Unrecognized request URL (GET: {path}/). ")


# --- expansion ----------------------------------------------------------------------------------


def test_four_levels_and_no_more(client):
    from support import payment

    intent = client.v1.payment_intents.create(payment(1000))
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    path = f"/v1/refunds/{refund.id}?expand[]="

    deep = request("GET", path + "charge.payment_intent.latest_charge.balance_transaction").json
    assert deep["charge"]["payment_intent"]["latest_charge"]["balance_transaction"]["object"] == "balance_transaction"
    too_deep = request("GET", path + "charge.payment_intent.latest_charge.payment_intent.latest_charge")
    assert (too_deep.status, too_deep.error["param"]) == (400, "expand")
    assert too_deep.error["message"].startswith("You cannot expand more than 4 levels of a property.")
    listed = request("GET", "/v1/refunds?limit=1&expand[]=data.charge.payment_intent.latest_charge")
    assert listed.json["data"][0]["charge"]["payment_intent"]["latest_charge"]["object"] == "charge"
    assert request("GET", "/v1/refunds?expand[]=data.charge.payment_intent.latest_charge.customer").status == 400
