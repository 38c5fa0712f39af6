"""3-D Secure: cards that ask for it, the page on which a payer answers, and what follows."""

import pathlib
import shutil
import subprocess
import tomllib
from urllib.parse import parse_qsl, urlsplit

import pytest
import stripe

from support import CARD_YEAR, Row, acting_for, eventually, find_event, payment, request

RETURN_URL = "https://shop.example/done?order=7#top"
TABLE = pathlib.Path(__file__).resolve().parents[3] / "fixtures" / "tables" / "cards.toml"


def page_of(intent) -> str:
    """Path of the page on which the payer answers."""
    action = intent.next_action
    url = action.redirect_to_url.url if action.type == "redirect_to_url" else action.use_stripe_sdk["stripe_js"]
    return urlsplit(url).path


def answer(intent, outcome):
    """Presses a button of the page, as a browser would: without any key."""
    return request("POST", page_of(intent), form={"outcome": outcome}, key=None)


def waiting(client, **changes):
    options = changes.pop("options", None)
    params = payment(**{"payment_method": "pm_card_threeDSecure2Required", "return_url": RETURN_URL, **changes})
    intent = client.v1.payment_intents.create(params, options)
    assert intent.status == "requires_action"
    return intent


# --- the way of a payment -----------------------------------------------------------------------


def test_payment_waits_for_the_payer_and_then_pays_the_seller(client, platform, seller, seller_books):
    before = platform.total()
    intent = waiting(client, application_fee_amount=1000, transfer_data={"destination": seller.id})
    assert intent.next_action.type == "redirect_to_url"
    assert intent.next_action.redirect_to_url.return_url == RETURN_URL
    assert intent.latest_charge is None
    assert intent.payment_method is not None
    assert platform.total() == before

    back = answer(intent, "complete")

    assert back.status == 303
    to = urlsplit(back.header("location"))
    assert (to.scheme, to.netloc, to.path, to.fragment) == ("https", "shop.example", "/done", "top")
    assert dict(parse_qsl(to.query)) == {
        "order": "7",
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret,
        "redirect_status": "succeeded",
    }
    paid = client.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert (paid.status, paid.next_action, paid.amount_received) == ("succeeded", None, 10000)
    secure = paid.latest_charge.payment_method_details.card.three_d_secure
    assert (secure.authentication_flow, secure.result) == ("challenge", "authenticated")
    assert (secure.electronic_commerce_indicator, secure.version) == ("05", "2.2.0")
    assert seller_books.rows(1) == [Row("payment", 10000, 1000, 9000)]
    assert platform.total() - before == 680


def test_payer_who_fails_leaves_an_error_and_may_try_another_card(client):
    intent = waiting(client)

    back = answer(intent, "fail")

    assert dict(parse_qsl(urlsplit(back.header("location")).query))["redirect_status"] == "failed"
    failed = client.v1.payment_intents.retrieve(intent.id)
    assert (failed.status, failed.next_action, failed.payment_method) == ("requires_payment_method", None, None)
    error = failed.last_payment_error
    assert (error.code, error.type) == ("payment_intent_authentication_failure", "invalid_request_error")
    assert error.payment_method.id == intent.payment_method
    assert failed.latest_charge is None
    same = client.v1.payment_intents.confirm(intent.id, {"payment_method": error.payment_method.id})
    assert (same.status, same.last_payment_error) == ("requires_action", None)
    again = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (again.status, again.last_payment_error) == ("succeeded", None)


def test_decline_after_the_authentication(client):
    intent = waiting(client, payment_method="pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")

    back = answer(intent, "complete")

    assert dict(parse_qsl(urlsplit(back.header("location")).query))["redirect_status"] == "failed"
    declined = client.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    assert declined.status == "requires_payment_method"
    assert declined.last_payment_error.decline_code == "insufficient_funds"
    assert declined.last_payment_error.charge == declined.latest_charge.id
    assert declined.latest_charge.status == "failed"
    assert declined.latest_charge.payment_method_details.card.three_d_secure.result == "authenticated"
    assert "Authenticated, and declined" in request("GET", page_of(intent), key=None).body.decode()


def test_events_come_in_order(client):
    intent = waiting(client)
    answer(intent, "complete")
    charge = client.v1.payment_intents.retrieve(intent.id).latest_charge

    def read():
        events = client.v1.events.list({"limit": 30}).data
        return [event.type for event in reversed(events) if event.data.object["id"] in (intent.id, charge)]

    kinds = eventually(read, lambda found: len(found) == 4)
    assert kinds == [
        "payment_intent.created",
        "payment_intent.requires_action",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
    asked = find_event(client, "payment_intent.requires_action", intent.id)
    assert asked.data.object["next_action"]["type"] == "redirect_to_url"


def test_authorization_waits_for_capture_after_the_payers_answer(client):
    intent = waiting(client, capture_method="manual")
    answer(intent, "complete")

    authorized = client.v1.payment_intents.retrieve(intent.id)
    assert (authorized.status, authorized.amount_capturable) == ("requires_capture", 10000)
    assert client.v1.payment_intents.capture(intent.id).status == "succeeded"


def test_server_confirms_last_where_confirmation_is_manual(client):
    intent = waiting(client, confirmation_method="manual")
    answer(intent, "complete")

    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_confirmation"
    assert client.v1.payment_intents.confirm(intent.id).status == "succeeded"


def test_payment_on_a_connected_account(client, seller):
    options = acting_for(seller)
    intent = waiting(client, options=options)
    answer(intent, "complete")

    assert client.v1.payment_intents.retrieve(intent.id, options=options).status == "succeeded"
    assert find_event(client, "payment_intent.requires_action", intent.id, seller).account == seller.id


def test_waiting_payment_can_be_canceled_and_the_link_then_opens_nothing_new(client):
    intent = waiting(client)
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"

    assert "Nothing to confirm" in request("GET", page_of(intent), key=None).body.decode()
    assert answer(intent, "complete").status == 303
    assert client.v1.payment_intents.retrieve(intent.id).status == "canceled"


# --- how the caller wants it --------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"use_stripe_sdk": True, "return_url": RETURN_URL}], ids=["no url", "sdk"])
def test_callers_own_code_shows_the_page(client, params):
    intent = client.v1.payment_intents.create(payment(payment_method="pm_card_threeDSecure2Required", **params))

    assert (intent.status, intent.next_action.type) == ("requires_action", "use_stripe_sdk")
    assert intent.next_action.use_stripe_sdk["type"] == "three_d_secure_redirect"
    answered = answer(intent, "complete")
    assert answered.status == 303
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_error_on_requires_action(client):
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(
            payment(payment_method="pm_card_threeDSecure2Required", error_on_requires_action=True)
        )

    error = caught.value.error
    assert (error.code, error.decline_code) == ("authentication_required", "authentication_required")
    assert error.payment_intent.status == "requires_payment_method"


def test_absent_payer_cannot_authenticate(client):
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(payment(payment_method="pm_card_authenticationRequired", off_session=True))

    error = caught.value.error
    assert error.code == "authentication_required"
    assert error.payment_intent.last_payment_error.payment_method.id == error.payment_method.id


@pytest.mark.parametrize(
    "card, request_it, status, result",
    [
        ("pm_card_threeDSecureOptional", "automatic", "succeeded", None),
        ("pm_card_threeDSecureOptional", "any", "requires_action", None),
        ("pm_card_threeDSecureOptional", "challenge", "requires_action", None),
        ("pm_card_visa", "any", "succeeded", "attempt_acknowledged"),
        ("pm_card_amex_threeDSecureNotSupported", "any", "succeeded", None),
    ],
)
def test_seller_may_ask_for_authentication(client, card, request_it, status, result):
    intent = client.v1.payment_intents.create(
        payment(
            payment_method=card,
            payment_method_options={"card": {"request_three_d_secure": request_it}},
            expand=["latest_charge", "payment_method"],
        )
    )

    assert intent.status == status
    assert intent.payment_method_options.card.request_three_d_secure == request_it
    assert intent.payment_method.card.three_d_secure_usage.supported == ("amex" not in card)
    if status == "succeeded":
        secure = intent.latest_charge.payment_method_details.card.three_d_secure
        assert (secure.result if secure else None) == result


def test_return_url_has_to_be_one(client):
    for url in ["shop", "javascript://x", "https://", "https://a b"]:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.payment_intents.create(payment(return_url=url))
        assert (caught.value.code, caught.value.param) == ("url_invalid", "return_url"), url


# --- the page -----------------------------------------------------------------------------------


def test_page_says_what_is_asked_and_needs_nothing_from_elsewhere(client, seller):
    named = client.v1.accounts.update(seller.id, {"business_profile": {"name": "Ada & Söhne <b>"}})
    intent = waiting(client, options=acting_for(named))

    page = request("GET", page_of(intent), key=None)

    html = page.body.decode()
    assert page.status == 200
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.header("content-security-policy")
    assert (page.header("cache-control"), page.header("referrer-policy")) == ("no-store", "no-referrer")
    for word in ["Test page", "$100.00", "Visa •••• 3220", intent.id, "Ada &amp; Söhne &lt;b&gt;", 'lang="en"']:
        assert word in html, word
    assert "<script" not in html and "src=" not in html and intent.client_secret not in html


def test_page_opens_only_with_its_own_link(client):
    intent, other = waiting(client), waiting(client)
    path = page_of(intent)
    _, _, _, _, token = path.split("/")

    for wrong in [path[:-1], path + "x", f"/florin/authenticate/{other.id}/{token}", "/florin/authenticate/pi_1/1-x"]:
        for method in ["GET", "POST"]:
            assert request(method, wrong, form={"outcome": "complete"}, key=None).status == 404, wrong
    assert client.v1.payment_intents.retrieve(intent.id).status == "requires_action"
    assert request("POST", path, form={"outcome": "perhaps"}, key=None).status == 400


def test_link_of_an_earlier_attempt_is_old(client):
    first = waiting(client)
    second = client.v1.payment_intents.confirm(first.id, {"return_url": RETURN_URL})
    assert page_of(first) != page_of(second)

    assert "This link is old" in request("GET", page_of(first), key=None).body.decode()
    answer(first, "complete")
    assert client.v1.payment_intents.retrieve(first.id).status == "requires_action"
    answer(second, "complete")
    assert client.v1.payment_intents.retrieve(first.id).status == "succeeded"


def test_answer_counts_once(client):
    intent = waiting(client)
    answer(intent, "complete")

    late = answer(intent, "fail")

    assert dict(parse_qsl(urlsplit(late.header("location")).query))["redirect_status"] == "succeeded"
    paid = client.v1.payment_intents.retrieve(intent.id)
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)
    assert "Authenticated" in request("GET", page_of(intent), key=None).body.decode()


@pytest.mark.skipif(not shutil.which("chromium"), reason="no browser here")
def test_page_is_drawn_by_a_browser(client, tmp_path):
    intent = waiting(client)

    dom = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom",
            intent.next_action.redirect_to_url.url,
        ],
        capture_output=True, text=True, timeout=60,
    ).stdout

    assert "Complete authentication" in dom and "Fail authentication" in dom


# --- every test card ----------------------------------------------------------------------------


def rows():
    table = tomllib.loads(TABLE.read_text())
    return [dict(zip(table["columns"], row)) for row in table["rows"]]


def comes_to(make):
    """The intent's status, or the words of the error, with the intent inside."""
    try:
        intent = make()
        return intent.status, intent
    except stripe.CardError as caught:
        error = caught.error
        return f"{error.code} {error.decline_code}", error.payment_intent or error.setup_intent


def after_the_answer(retrieve, intent):
    answer(intent, "complete")
    intent = retrieve(intent.id)
    error = getattr(intent, "last_payment_error", None) or getattr(intent, "last_setup_error", None)
    return (f"{error.code} {error.decline_code}" if error else intent.status), intent


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["name"] or row["number"])
def test_card_does_what_the_table_says(client, row):
    card = {
        "number": row["number"],
        "exp_month": 12,
        "exp_year": CARD_YEAR,
        "cvc": "1234" if len(row["number"]) == 15 else "123",
    }
    methods = [{"payment_method_data": {"type": "card", "card": card}}]
    if row["name"]:
        methods.append({"payment_method": f"pm_card_{row['name']}"})
    base = payment()
    del base["payment_method"]
    for method in methods:
        found, intent = comes_to(lambda: client.v1.payment_intents.create({**base, **method}))
        assert found == row["on"]
        if row["passed"]:
            assert after_the_answer(client.v1.payment_intents.retrieve, intent)[0] == row["passed"]
        found, _ = comes_to(lambda: client.v1.payment_intents.create({**base, **method, "off_session": True}))
        assert found == row["off"]

    customer = client.v1.customers.create()
    no_redirects = base["automatic_payment_methods"]
    wish = {"confirm": True, "customer": customer.id, "automatic_payment_methods": no_redirects, **methods[0]}
    found, setup = comes_to(lambda: client.v1.setup_intents.create(wish))
    if found == "requires_action":
        found, setup = after_the_answer(client.v1.setup_intents.retrieve, setup)
    assert found == row["setup"]
    if row["later"]:
        later = {**base, "customer": customer.id, "payment_method": setup.payment_method, "off_session": True}
        assert comes_to(lambda: client.v1.payment_intents.create(later))[0] == row["later"]
