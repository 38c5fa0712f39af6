"""The wire below the SDKs: other ways in, broken requests, and the headers of an answer."""

import base64
import json
import re

import pytest

from support import KEY, payment, request, unique

REQUEST_ID = re.compile(r"req_[0-9A-Za-z]{14,}$")


def basic(user, password=""):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# --- authentication -----------------------------------------------------------------------------


def test_no_key_is_401():
    answer = request("GET", "/v1/balance", key=None)

    assert answer.status == 401
    assert answer.error["type"] == "invalid_request_error"
    assert "API key" in answer.error["message"]


def test_basic_authentication_with_the_key_as_user():
    answer = request("GET", "/v1/balance", headers=basic(KEY), key=None)

    assert answer.status == 200
    assert answer.json["object"] == "balance"


@pytest.mark.parametrize(
    "headers",
    [
        basic("sk_test_wrongwrongwrong"),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Digest {KEY}"},
    ],
    ids=["basic with a wrong key", "basic that is no base64", "bearer alone", "empty bearer", "other scheme"],
)
def test_broken_authentication_is_401(headers):
    answer = request("GET", "/v1/balance", headers=headers, key=None)

    assert answer.status == 401
    assert answer.error["type"] == "invalid_request_error"


# --- encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        "amount=1000&currency=usd&metadata[a]=1&metadata[b]=x+y",
        "amount=1000&currency=usd&metadata%5Ba%5D=1&metadata%5Bb%5D=x%20y",
        "metadata%5bb%5d=x%20y&currency=usd&metadata%5ba%5d=1&amount=1000",
    ],
    ids=["raw brackets", "encoded brackets", "lower-case escapes"],
)
def test_brackets_raw_or_encoded(form):
    answer = request("POST", "/v1/payment_intents", form=form)

    assert answer.status == 200, answer.body
    assert answer.json["metadata"] == {"a": "1", "b": "x y"}


@pytest.mark.parametrize(
    "names",
    [
        ("expand[]", "expand[]"),
        ("expand[0]", "expand[1]"),
        ("expand[1]", "expand[0]"),
        ("expand%5B%5D", "expand%5B%5D"),
    ],
    ids=["empty brackets", "indexes", "indexes out of order", "encoded"],
)
def test_arrays_in_all_spellings(client, names):
    intent = client.v1.payment_intents.create(payment())
    first, second = names

    answer = request("GET", f"/v1/payment_intents/{intent.id}?{first}=latest_charge&{second}=payment_method")

    assert answer.status == 200, answer.body
    assert answer.json["latest_charge"]["object"] == "charge"
    assert answer.json["payment_method"]["object"] == "payment_method"


def test_text_is_utf8_both_ways():
    answer = request("POST", "/v1/customers", form={"name": "Jürgen Grüß 漢字 🪙"})

    assert answer.json["name"] == "Jürgen Grüß 漢字 🪙"
    assert answer.header("Content-Type").startswith("application/json")


def test_empty_body_is_no_parameters():
    assert request("POST", "/v1/customers", form="").status == 200
    assert request("POST", "/v1/customers").status == 200


def test_empty_string_clears_a_field():
    customer = request("POST", "/v1/customers", form={"description": "x"}).json

    assert request("POST", f"/v1/customers/{customer['id']}", form="description=").json["description"] is None


def test_json_body_is_accepted():
    body = json.dumps(
        {
            "amount": 1000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"order": "7"},
            "expand": ["latest_charge"],
        }
    )

    answer = request("POST", "/v1/payment_intents", body, headers={"Content-Type": "application/json"})

    assert answer.status == 200, answer.body
    assert answer.json["status"] == "succeeded"
    assert answer.json["metadata"] == {"order": "7"}
    assert answer.json["latest_charge"]["amount"] == 1000


@pytest.mark.parametrize(
    "body",
    ["{", '{"name": }', "[1]", '"text"', "[" * 10000, b'{"name": "\xff"}', '{"amount": 1e999}'],
    ids=["cut off", "no value", "array", "text", "ten thousand deep", "not utf-8", "infinite"],
)
def test_broken_json_is_a_bad_request(body):
    answer = request("POST", "/v1/customers", body, headers={"Content-Type": "application/json"})

    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "form",
    [
        "description=%ff",
        b"description=\xff",
        "description[a]=1",
        "metadata=1",
        "metadata[a][b]=1",
        "metadata[a=1",
        "address[city]=x&address=y",
        "[]=1",
        "=1",
        "&".join(["a" + "[x]" * 200 + "=1"]),
    ],
    ids=[
        "escape that is not utf-8",
        "bytes that are not utf-8",
        "hash for a text",
        "text for a hash",
        "hash in metadata",
        "open bracket",
        "hash and text at once",
        "brackets without a name",
        "no name",
        "two hundred levels",
    ],
)
def test_broken_form_is_a_bad_request(form):
    answer = request("POST", "/v1/customers", form=form)

    assert answer.status == 400, answer.body
    assert answer.error["type"] == "invalid_request_error"


def test_broken_requests_leave_the_daemon_healthy():
    assert request("GET", "/florin/health").status == 200


# --- headers of an answer -----------------------------------------------------------------------


def test_every_answer_has_a_request_id_and_a_version():
    answers = [
        request("GET", "/v1/balance"),
        request("POST", "/v1/customers", form=""),
        request("GET", "/v1/charges/ch_nowhere"),
        request("GET", "/v1/nope"),
        request("GET", "/v1/balance", key=None),
        request("POST", "/v1/payment_intents", form={"foo": "1"}),
    ]

    assert [answer.status for answer in answers] == [200, 200, 404, 404, 401, 400]
    for answer in answers:
        assert REQUEST_ID.match(answer.header("Request-Id")), answer
        assert answer.header("Content-Type").startswith("application/json")
        assert re.match(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?$", answer.header("Stripe-Version")), answer
    assert len({answer.header("Request-Id") for answer in answers}) == len(answers)


def test_any_version_is_accepted():
    for version in ("2026-10-28.endive", "2020-08-27", "2026-10-28.preview"):
        assert request("GET", "/v1/balance", headers={"Stripe-Version": version}).status == 200


def test_key_and_original_request_come_back_on_post():
    key = unique("key")
    first = request("POST", "/v1/customers", form="", headers={"Idempotency-Key": key})
    again = request("POST", "/v1/customers", form="", headers={"Idempotency-Key": key})

    for answer in (first, again):
        assert answer.header("Idempotency-Key") == key
        assert answer.header("Original-Request") == first.header("Request-Id")
    assert first.header("Idempotent-Replayed") is None
    assert again.header("Idempotent-Replayed") == "true"


def test_get_carries_no_original_request():
    answer = request("GET", "/v1/balance", headers={"Idempotency-Key": unique("key")})

    assert answer.header("Original-Request") is None
    assert answer.header("Idempotent-Replayed") is None


def test_account_header_comes_back(seller):
    answer = request("GET", "/v1/balance", headers={"Stripe-Account": seller.id})

    assert answer.header("Stripe-Account") == seller.id


def test_context_header_acts_for_the_account_too(client, seller):
    client.v1.transfers.create({"amount": 1234, "currency": "usd", "destination": seller.id})

    answer = request("GET", "/v1/balance", headers={"Stripe-Context": seller.id})

    assert [entry["amount"] for entry in answer.json["available"]] == [1234]


def test_retry_advice_is_given_when_it_is_known(seller):
    declined = {
        "amount": "1000",
        "currency": "usd",
        "payment_method": "pm_card_visa_chargeDeclined",
        "confirm": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    too_much = {"amount": "99999999", "currency": "usd", "destination": seller.id}

    executed = request("POST", "/v1/customers", form="")
    card = request("POST", "/v1/payment_intents", form=declined)
    balance = request("POST", "/v1/transfers", form=too_much)
    invalid = request("POST", "/v1/payment_intents", form={"amount": "1000"})
    missing = request("POST", "/v1/transfers", form={**too_much, "destination": "acct_nobody"})

    assert [answer.status for answer in (executed, card, balance, invalid, missing)] == [200, 402, 400, 400, 400]
    for answer in (executed, card, balance):
        assert answer.header("Stripe-Should-Retry") == "false"
    for answer in (invalid, missing):
        assert answer.header("Stripe-Should-Retry") is None


def test_unknown_headers_are_ignored():
    headers = {"X-Stripe-Client-User-Agent": "not json", "X-Anything": "1", "Accept": "text/html"}

    assert request("GET", "/v1/balance", headers=headers).status == 200


def test_error_has_a_page_in_the_documents():
    error = request("GET", "/v1/charges/ch_nowhere").error

    assert error["message"] == "No such charge: 'ch_nowhere'"
    assert error["doc_url"]


# --- Florin's own pages -------------------------------------------------------------------------


def test_health_is_ok():
    assert request("GET", "/florin/health").status == 200


def test_metrics_are_in_prometheus_form():
    answer = request("GET", "/metrics")

    assert answer.status == 200
    assert answer.header("Content-Type").startswith(("text/plain", "application/openmetrics-text"))
    lines = answer.body.decode().splitlines()
    samples = [line for line in lines if line and not line.startswith("#")]
    assert samples
    for sample in samples:
        assert re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? \S+", sample), sample
    assert KEY not in answer.body.decode()


# --- refusals of the edge -----------------------------------------------------------------------


def test_body_over_the_limit_is_413():
    answer = request("POST", "/v1/customers", form="description=" + "x" * (1 << 20))

    assert answer.status == 413
    assert answer.error["type"] == "invalid_request_error"
    assert request("GET", "/florin/health").status == 200


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/v1/nope"),
        ("GET", "/"),
        ("GET", "/v1/customers/"),
        ("PUT", "/v1/customers"),
        ("PATCH", "/v1/charges/ch_1"),
        ("DELETE", "/v1/balance"),
        ("POST", "/v1/balance"),
    ],
)
def test_unknown_address_or_method_is_404_without_a_code(method, path):
    answer = request(method, path)

    assert answer.status == 404
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"].startswith(f"Unrecognized request URL ({method}: {path})")
    assert "code" not in answer.error


def test_unknown_media_type_is_a_bad_request():
    answer = request("POST", "/v1/customers", "<name>x</name>", headers={"Content-Type": "text/xml"})

    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


def test_401_challenges_and_masks():
    for key in (None, "sk_test_wrongwrongwrongabcd", "sk_live_wrongwrongwrongabcd", "rk_test_wrongwrongabcd", "x"):
        answer = request("GET", "/v1/balance", key=key)
        assert answer.status == 401
        assert answer.header("WWW-Authenticate") == 'Basic realm="Stripe"'
        assert answer.error["type"] == "invalid_request_error"
        assert not key or len(key) < 8 or key not in answer.body.decode()


@pytest.mark.parametrize("header", ["Stripe-Account", "Stripe-Context"])
@pytest.mark.parametrize("account", ["acct_nobody", "acct_1Nobody000000000", "no account", ""])
def test_account_out_of_reach_is_403(header, account):
    answer = request("GET", "/v1/balance", headers={header: account})

    assert (answer.status, answer.error["code"]) == (403, "account_invalid")
    assert answer.error["type"] == "invalid_request_error"


def test_deleted_account_is_out_of_reach(client, new_seller):
    account = new_seller().id
    client.v1.accounts.delete(account)

    assert request("GET", "/v1/balance", headers={"Stripe-Account": account}).error["code"] == "account_invalid"


def test_every_post_names_its_original_request():
    for answer in (request("POST", "/v1/customers", form=""), request("POST", "/v1/customers", form="foo=1")):
        assert answer.header("Original-Request") == answer.header("Request-Id")
        assert answer.header("Idempotency-Key") is None
