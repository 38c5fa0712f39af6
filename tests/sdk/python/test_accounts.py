"""Connected accounts, their capabilities, and the account behind the key."""

import pytest
import stripe

from support import acting_for, eventually, seller_params, unique


def test_custom_individual_is_active_in_the_answer_that_creates_it(client):
    account = client.v1.accounts.create(seller_params(metadata={"shop": "17"}))

    assert account.id.startswith("acct_")
    assert account.object == "account"
    assert account.type == "custom"
    assert account.country == "US"
    assert account.default_currency == "usd"
    assert account.business_type == "individual"
    assert account.capabilities.to_dict() == {"card_payments": "active", "transfers": "active"}
    assert account.charges_enabled is True
    assert account.payouts_enabled is True
    assert account.details_submitted is True
    assert list(account.requirements.currently_due) == []
    assert account.requirements.disabled_reason is None
    assert account.metadata.to_dict() == {"shop": "17"}


def test_legacy_type_comes_back_with_its_controller(seller):
    assert seller.controller.losses.payments == "application"
    assert seller.controller.fees.payer == "application_custom"
    assert seller.controller.stripe_dashboard.type == "none"
    assert seller.controller.requirement_collection == "application"


def test_bank_account_shows_its_last_four_digits_only(client):
    account = client.v1.accounts.create(seller_params())

    assert account.external_accounts.object == "list"
    (bank,) = account.external_accounts.data
    assert bank.id.startswith("ba_")
    assert bank.object == "bank_account"
    assert bank.last4 == "6789"
    assert bank.routing_number == "110000000"
    assert bank.currency == "usd"
    assert bank.default_for_currency is True
    assert "000123456789" not in account.last_response.body


def test_identity_number_is_write_only(client):
    account = client.v1.accounts.create(seller_params())

    assert account.individual.id_number_provided is True
    assert "222222222" not in account.last_response.body


def test_fresh_account_without_data_cannot_be_paid(client):
    account = client.v1.accounts.create(
        {"type": "custom", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    )

    assert account.charges_enabled is False
    assert account.payouts_enabled is False
    assert account.details_submitted is False
    assert account.capabilities.transfers in ("inactive", "pending")
    assert account.external_accounts.data == []
    assert account.requirements.disabled_reason == "requirements.past_due"
    assert set(account.requirements.past_due) <= set(account.requirements.currently_due)
    assert set(account.requirements.currently_due) <= set(account.requirements.eventually_due)


def test_retrieve_gives_what_create_gave(client, seller):
    again = client.v1.accounts.retrieve(seller.id)

    assert again.id == seller.id
    assert again.email == seller.email
    assert again.created == seller.created
    assert again.capabilities == seller.capabilities


def test_update_merges_metadata_and_keeps_the_rest(client, seller):
    client.v1.accounts.update(seller.id, {"metadata": {"shop": "17", "city": "Utrecht"}})
    updated = client.v1.accounts.update(seller.id, {"metadata": {"city": "", "street": "Oudegracht"}})

    assert updated.metadata.to_dict() == {"shop": "17", "street": "Oudegracht"}
    assert updated.email == seller.email
    assert client.v1.accounts.retrieve(seller.id).metadata.to_dict() == {"shop": "17", "street": "Oudegracht"}


def test_update_changes_the_email(client, seller):
    address = f"{unique('New.Owner')}@example.com"

    assert client.v1.accounts.update(seller.id, {"email": address}).email == address


def test_list_pages_through_all_accounts_once(client, new_seller):
    made = [new_seller().id for _ in range(4)]

    def read():
        return [account.id for account in client.v1.accounts.list({"limit": 3}).auto_paging_iter()]

    seen = eventually(read, lambda ids: set(made) <= set(ids))

    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)


def test_delete_answers_with_a_stub_and_the_account_is_gone(client, new_seller):
    account = new_seller()

    assert client.v1.accounts.delete(account.id).to_dict() == {
        "id": account.id,
        "object": "account",
        "deleted": True,
    }
    with pytest.raises((stripe.PermissionError, stripe.InvalidRequestError)) as caught:
        client.v1.accounts.retrieve(account.id)
    assert caught.value.http_status in (403, 404)


def test_capabilities_are_listed_and_retrieved(client, seller):
    listed = client.v1.accounts.capabilities.list(seller.id)
    assert {capability.id: capability.status for capability in listed.data} == {
        "card_payments": "active",
        "transfers": "active",
    }

    transfers = client.v1.accounts.capabilities.retrieve(seller.id, "transfers")
    assert transfers.object == "capability"
    assert transfers.account == seller.id
    assert transfers.requested is True
    assert transfers.status == "active"


def test_capability_is_requested_later(client):
    account = client.v1.accounts.create(seller_params(capabilities={"transfers": {"requested": True}}))
    assert "card_payments" not in account.capabilities

    capability = client.v1.accounts.capabilities.update(account.id, "card_payments", {"requested": True})

    assert capability.requested is True
    assert client.v1.accounts.retrieve(account.id).capabilities.card_payments == "active"


def test_own_account_of_the_key_is_a_us_platform(client):
    platform = client.v1.accounts.retrieve_current()

    assert platform.id.startswith("acct_")
    assert platform.object == "account"
    assert platform.country == "US"
    assert platform.default_currency == "usd"


def test_own_account_under_the_header_is_the_connected_one(client, seller):
    assert client.v1.accounts.retrieve_current(options=acting_for(seller)).id == seller.id


def test_type_and_controller_exclude_each_other(client):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.accounts.create({"type": "custom", "controller": {"fees": {"payer": "account"}}})
    assert caught.value.code == "parameters_exclusive"


def test_fresh_account_owes_its_requirements(client):
    account = client.v1.accounts.create(
        {"type": "custom", "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}}}
    )

    owed = account.requirements
    assert set(owed.past_due) <= set(owed.currently_due) <= set(owed.eventually_due)
    assert owed.past_due and owed.disabled_reason == "requirements.past_due"
    assert owed.current_deadline is None
    assert (account.charges_enabled, account.payouts_enabled) == (False, False)


def test_unknown_capability_is_not_found(client, seller):
    for call in (
        lambda: client.v1.accounts.capabilities.retrieve(seller.id, "foo"),
        lambda: client.v1.accounts.capabilities.update(seller.id, "foo", {"requested": True}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call()
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
