import pytest
import stripe

import schemas
from support import KEY, URL, Books, german_seller_params, payment, seller_params


def pytest_configure(config):
    if not URL or not KEY:
        pytest.exit("FLORIN_URL and FLORIN_TEST_KEY must name a running daemon and its secret test key", returncode=2)


def pytest_terminal_summary(terminalreporter):
    """What was covered: run.sh repeats the lines that begin with "operations"."""
    if not schemas.checked:
        return
    terminalreporter.section("coverage")
    lines = []
    for name, words in (("", "FLORIN_OPENAPI"), (schemas.OWN, schemas.OWN)):
        count, missing = schemas.coverage(name)
        for method, path in missing:
            terminalreporter.line(f"never answered with success: {method} {path} of {words}")
        if count:
            checked = schemas.checked.get(name, 0)
            lines.append(f"operations covered: {count} of {count + len(missing)} of {words}; answers checked: {checked}")
    for line in lines:
        terminalreporter.line(line)
    found = sum(schemas.findings.values())
    terminalreporter.line(f"violations of either: {found}")


@pytest.fixture(scope="session")
def client():
    """The official client; only the base address differs from production use."""
    return stripe.StripeClient(KEY, base_addresses={"api": URL}, http_client=schemas.http_client())


@pytest.fixture(scope="session", autouse=True)
def platform_funds(client):
    """Available money on the platform: transfers and refunds of the tests never run into an empty balance."""
    return client.v1.payment_intents.create(payment(2000000, payment_method="pm_card_bypassPending"))


@pytest.fixture
def platform(client):
    return Books(client)


@pytest.fixture
def new_seller(client):
    """Makes connected accounts that can be paid at once."""

    def make(params=None):
        account = client.v1.accounts.create(params or seller_params())
        assert account.capabilities.transfers == "active", account.requirements
        return account

    return make


@pytest.fixture
def seller(new_seller):
    return new_seller()


@pytest.fixture
def german_seller(new_seller):
    return new_seller(german_seller_params())


@pytest.fixture
def seller_books(client, seller):
    return Books(client, seller.id)


@pytest.fixture
def paid_seller(client, seller):
    """A seller with 90.00 usd that it can pay out, from a card that skips the pending time."""
    client.v1.payment_intents.create(
        payment(
            10000,
            payment_method="pm_card_bypassPending",
            application_fee_amount=1000,
            transfer_data={"destination": seller.id},
        )
    )
    return seller
