"""What the tests share: where the daemon is, the parameters they build on, and how they read a ledger."""

import http.client
import itertools
import json
import os
import time
import uuid
from typing import NamedTuple, Optional
from urllib.parse import urlencode, urlsplit

import schemas

URL = os.environ.get("FLORIN_URL", "").rstrip("/")
KEY = os.environ.get("FLORIN_TEST_KEY", "")

# How long a list may take to show what an answer has already acknowledged.
LIST_PATIENCE_SECONDS = 5.0

CARD_YEAR = time.gmtime().tm_year + 5


def unique(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def acting_for(account, **options) -> dict:
    """Request options that act for a connected account (header Stripe-Account)."""
    return {"stripe_account": getattr(account, "id", account), **options}


# --- parameters ---------------------------------------------------------------------------------


def seller_params(**changes) -> dict:
    """A custom US individual whose values make it active in the answer that creates it.

    Payouts are manual, so that no schedule takes money out while a test counts it.
    """
    return {
        "type": "custom",
        "country": "US",
        "email": f"{unique('seller')}@example.com",
        "business_type": "individual",
        "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
        "business_profile": {"mcc": "5734", "url": "https://accessible.stripe.com"},
        "individual": {
            "first_name": "Jenny",
            "last_name": "Rosen",
            "email": "jenny.rosen@example.com",
            "phone": "0000000000",
            "dob": {"day": 1, "month": 1, "year": 1902},
            "address": {
                "line1": "address_full_match",
                "city": "San Francisco",
                "state": "CA",
                "postal_code": "94111",
                "country": "US",
            },
            "id_number": "222222222",
        },
        "external_account": {
            "object": "bank_account",
            "country": "US",
            "currency": "usd",
            "account_holder_name": "Jenny Rosen",
            "account_holder_type": "individual",
            "routing_number": "110000000",
            "account_number": "000123456789",
        },
        "tos_acceptance": {"date": int(time.time()), "ip": "203.0.113.7"},
        "settings": {"payouts": {"schedule": {"interval": "manual"}}},
        **changes,
    }


def german_seller_params(**changes) -> dict:
    params = seller_params(country="DE", **changes)
    params["individual"]["address"] = {
        "line1": "address_full_match",
        "city": "Berlin",
        "postal_code": "10115",
        "country": "DE",
    }
    params["external_account"] = {
        "object": "bank_account",
        "country": "DE",
        "currency": "eur",
        "account_holder_name": "Jenny Rosen",
        "account_holder_type": "individual",
        "account_number": "DE89370400440532013000",
    }
    return params


def payment(amount=10000, **changes) -> dict:
    """Parameters of a payment intent that is paid by a test card in the call that creates it."""
    return {
        "amount": amount,
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "confirm": True,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        **changes,
    }


# --- reading the ledger -------------------------------------------------------------------------


class Row(NamedTuple):
    """The part of a balance transaction that says how much moved and why."""

    type: str
    amount: int
    fee: int
    net: int
    currency: str = "usd"


def row(transaction) -> Row:
    return Row(transaction.type, transaction.amount, transaction.fee, transaction.net, transaction.currency)


def eventually(read, is_complete, patience=LIST_PATIENCE_SECONDS):
    """Reads until the answer is complete or patience ends, and returns the last answer for the test to assert.

    Lists are served from a projection that follows the journal, so they may trail an answer a little.
    """
    deadline = time.monotonic() + patience
    while True:
        answer = read()
        if is_complete(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


class Books:
    """Balance transactions and balances of the platform or of one connected account."""

    def __init__(self, client, account=None):
        self.client = client
        self.options = acting_for(account) if account else {}

    def transactions(self, expected: int, **filters) -> list:
        """All balance transactions (of a source, of a type), oldest first, once as many as expected are there."""

        def read():
            page = self.client.v1.balance_transactions.list({"limit": 100, **filters}, self.options)
            return list(reversed(list(page.auto_paging_iter())))

        return eventually(read, lambda found: len(found) >= expected)

    def rows(self, expected: int, **filters) -> list:
        return [row(transaction) for transaction in self.transactions(expected, **filters)]

    def row_of(self, source: str) -> Row:
        """The only row of a source."""
        (only,) = self.rows(1, source=source)
        return only

    def balance(self):
        return self.client.v1.balance.retrieve(options=self.options)

    def available(self, currency="usd") -> int:
        return amount_of(self.balance().available, currency)

    def pending(self, currency="usd") -> int:
        return amount_of(self.balance().pending, currency)

    def total(self, currency="usd") -> int:
        balance = self.balance()
        return amount_of(balance.available, currency) + amount_of(balance.pending, currency)


def amount_of(entries, currency: str) -> int:
    return sum(entry.amount for entry in entries if entry.currency == currency)


def find_event(client, kind: str, object_id: str, account=None):
    """The event of a type that carries an object, or None."""
    options = acting_for(account) if account else {}

    def read():
        page = client.v1.events.list({"type": kind, "limit": 100}, options)
        # The newest two hundred are plenty: the test has just caused the event.
        newest = itertools.islice(page.auto_paging_iter(), 200)
        return [event for event in newest if event.data.object["id"] == object_id]

    found = eventually(read, bool)
    return found[0] if found else None


# --- plain HTTP, for what the SDK never sends ---------------------------------------------------


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def header(self, name: str) -> Optional[str]:
        return self.headers.get(name.lower())


def request(method, path, body=None, *, form=None, headers=None, key=KEY) -> Answer:
    """One request on a connection of its own; a form is encoded as the SDKs do unless given as a string."""
    answer = request_unchecked(method, path, body, form=form, headers=headers, key=key)
    # The payer's side sees a part of an intent, and pages are no objects.
    of_payer = (key or "").startswith("pk_") and "_intents/" in path
    if of_payer or path.startswith("/florin/authenticate/"):
        return answer
    schemas.check(method, urlsplit(path).path, answer.status, answer.body)
    return answer


def request_unchecked(method, path, body=None, *, form=None, headers=None, key=KEY) -> Answer:
    address = urlsplit(URL)
    headers = dict(headers or {})
    if key is not None:
        headers.setdefault("Authorization", f"Bearer {key}")
    if form is not None:
        body = form if isinstance(form, (str, bytes)) else urlencode(form)
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lower, response.read())
    finally:
        connection.close()


def trial_balance() -> dict:
    """Currency to what its accounts add up to, as GET /florin/trial_balance states it and as its rows give it."""
    answer = request("GET", "/florin/trial_balance")
    assert answer.status == 200, answer
    body = answer.json
    assert body["object"] == "florin.trial_balance"
    sums = {}
    for account in body["rows"]:
        sums[account["currency"]] = sums.get(account["currency"], 0) + account["amount"]
    stated = {total["currency"]: total["amount"] for total in body["sums"]}
    assert {currency: total for currency, total in stated.items() if total} == {
        currency: total for currency, total in sums.items() if total
    }
    assert body["balanced"] == (not any(sums.values()))
    return sums
