"""Accounts' life: persons, external accounts, capabilities with requirements, tokens, rejection, countries."""

import time

import pytest
import stripe

from support import acting_for, eventually, find_event, payment, seller_params, unique


def company_params(**changes) -> dict:
    """A custom US company that only lacks its representative."""
    params = seller_params(business_type="company", **changes)
    del params["individual"]
    params["company"] = {
        "name": "Rosen Inc",
        "phone": "0000000000",
        "tax_id": "222222222",
        "structure": "private_corporation",
        "owners_provided": True,
        "address": {
            "line1": "address_full_match",
            "city": "San Francisco",
            "state": "CA",
            "postal_code": "94111",
            "country": "US",
        },
    }
    return params


def person_params(**changes) -> dict:
    return {
        "first_name": "Jenny",
        "last_name": "Rosen",
        "email": "jenny@example.com",
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
        "relationship": {"representative": True, "executive": True, "title": "Manager"},
        **changes,
    }


def bank_params(currency="usd", **changes) -> dict:
    return {
        "object": "bank_account",
        "country": "US",
        "currency": currency,
        "routing_number": "110000000",
        "account_number": "000123456789",
        **changes,
    }


def refused(call, kind=stripe.InvalidRequestError):
    with pytest.raises(kind) as caught:
        call()
    return caught.value


@pytest.fixture
def company(client):
    return client.v1.accounts.create(company_params())


# --- persons ------------------------------------------------------------------------------------


def test_company_becomes_active_with_its_representative(client, company):
    assert list(company.requirements.currently_due) == ["relationship.representative"]
    assert company.company.tax_id_provided is True
    assert company.company.structure == "private_corporation"

    person = client.v1.accounts.persons.create(company.id, person_params(metadata={"role": "boss"}))

    assert person.id.startswith("person_")
    assert person.account == company.id
    assert person.verification.status == "verified"
    assert person.relationship.representative is True
    assert person.id_number_provided is True
    assert person.metadata.to_dict() == {"role": "boss"}
    assert "222222222" not in person.last_response.body
    account = client.v1.accounts.retrieve(company.id)
    assert (account.charges_enabled, account.payouts_enabled) == (True, True)
    created = find_event(client, "person.created", person.id, company.id)
    assert created.data.object["first_name"] == "Jenny"


def test_requirements_name_the_person_that_owes_them(client, company):
    params = person_params()
    del params["dob"]
    person = client.v1.accounts.persons.create(company.id, params)

    assert list(person.requirements.currently_due) == ["dob.day", "dob.month", "dob.year"]
    account = client.v1.accounts.retrieve(company.id)
    assert set(account.requirements.past_due) == {f"{person.id}.dob.{part}" for part in ("day", "month", "year")}
    transfers = client.v1.accounts.capabilities.retrieve(company.id, "transfers")
    assert transfers.requirements.disabled_reason == "requirements.fields_needed"
    assert set(transfers.requirements.currently_due) == set(account.requirements.currently_due)

    client.v1.accounts.persons.update(company.id, person.id, {"dob": {"day": 1, "month": 1, "year": 1902}})
    assert client.v1.accounts.retrieve(company.id).charges_enabled is True
    change = find_event(client, "capability.updated", "transfers", company.id)
    assert change.data.previous_attributes["status"] == "inactive"


def test_persons_are_listed_by_relationship(client, company):
    representative = client.v1.accounts.persons.create(company.id, person_params())
    owner = client.v1.accounts.persons.create(
        company.id, person_params(relationship={"owner": True, "percent_ownership": 40})
    )

    listed = client.v1.accounts.persons.list(company.id)
    assert [person.id for person in listed.data] == [owner.id, representative.id]
    owners = client.v1.accounts.persons.list(company.id, {"relationship": {"owner": True}})
    assert [person.id for person in owners.data] == [owner.id]
    assert owners.data[0].relationship.percent_ownership == 40
    page = client.v1.accounts.persons.list(company.id, {"limit": 1})
    assert page.has_more is True
    assert [person.id for person in page.auto_paging_iter()] == [owner.id, representative.id]


def test_persons_are_updated_and_deleted(client, company):
    representative = client.v1.accounts.persons.create(company.id, person_params())
    other = client.v1.accounts.persons.create(company.id, person_params(relationship={"owner": True}))

    updated = client.v1.accounts.persons.update(company.id, other.id, {"last_name": "Novak", "metadata": {"a": "1"}})
    assert (updated.last_name, updated.first_name) == ("Novak", "Jenny")
    assert client.v1.accounts.persons.retrieve(company.id, other.id).last_name == "Novak"
    event = find_event(client, "person.updated", other.id, company.id)
    assert event.data.previous_attributes["last_name"] == "Rosen"

    assert refused(lambda: client.v1.accounts.persons.delete(company.id, representative.id)).http_status == 400
    gone = client.v1.accounts.persons.delete(company.id, other.id)
    assert gone.to_dict() == {"id": other.id, "object": "person", "deleted": True}
    assert refused(lambda: client.v1.accounts.persons.retrieve(company.id, other.id)).code == "resource_missing"
    assert find_event(client, "person.deleted", other.id, company.id).data.object["last_name"] == "Novak"


def test_individual_is_a_person_of_its_account(client, seller):
    (person,) = client.v1.accounts.persons.list(seller.id).data

    assert person.id == seller.individual.id
    client.v1.accounts.persons.update(seller.id, person.id, {"phone": "0000000000", "email": "new@example.com"})
    assert client.v1.accounts.retrieve(seller.id).individual.email == "new@example.com"
    client.v1.accounts.update(seller.id, {"individual": {"last_name": "Novak"}})
    assert client.v1.accounts.persons.retrieve(seller.id, person.id).last_name == "Novak"


# --- tokens -------------------------------------------------------------------------------------


def test_account_token_and_person_token_are_used_once(client):
    entity = client.v1.tokens.create(
        {
            "account": {
                "business_type": "company",
                "company": {"name": "Rosen Inc", "tax_id": "222222222"},
                "tos_shown_and_accepted": True,
            }
        }
    )
    assert entity.id.startswith("ct_")
    assert (entity.type, entity.used) == ("account", False)
    account = client.v1.accounts.create(
        {"type": "custom", "country": "US", "account_token": entity.id, "capabilities": {"transfers": {"requested": True}}}
    )
    assert (account.business_type, account.company.name) == ("company", "Rosen Inc")
    assert account.tos_acceptance.date is not None
    assert client.v1.tokens.retrieve(entity.id).used is True

    token = client.v1.tokens.create({"person": person_params()})
    assert token.id.startswith("cpt_")
    person = client.v1.accounts.persons.create(account.id, {"person_token": token.id})
    assert (person.first_name, person.verification.status) == ("Jenny", "verified")
    again = refused(lambda: client.v1.accounts.persons.create(account.id, {"person_token": token.id}))
    assert again.code == "token_already_used"


def test_account_token_excludes_what_it_carries(client):
    entity = client.v1.tokens.create({"account": {"business_type": "individual"}})

    error = refused(
        lambda: client.v1.accounts.create({"type": "custom", "account_token": entity.id, "business_type": "individual"})
    )
    assert error.code == "parameters_exclusive"


# --- external accounts --------------------------------------------------------------------------


def test_external_account_is_added_beside_the_default(client, seller):
    (first,) = seller.external_accounts.data

    added = client.v1.accounts.external_accounts.create(seller.id, {"external_account": bank_params()})

    assert added.default_for_currency is False
    listed = client.v1.accounts.external_accounts.list(seller.id)
    assert [bank.id for bank in listed.data] == [added.id, first.id]
    created = find_event(client, "account.external_account.created", added.id, seller.id)
    assert created is not None


def test_default_moves_and_may_not_be_deleted(client, seller):
    (first,) = seller.external_accounts.data
    bank = bank_params(account_holder_name="Jenny Rosen")
    del bank["object"]
    token = client.v1.tokens.create({"bank_account": bank})
    added = client.v1.accounts.external_accounts.create(
        seller.id, {"external_account": token.id, "default_for_currency": True}
    )
    assert (added.default_for_currency, added.account_holder_name) == (True, "Jenny Rosen")
    assert client.v1.accounts.external_accounts.retrieve(seller.id, first.id).default_for_currency is False

    error = refused(lambda: client.v1.accounts.external_accounts.delete(seller.id, added.id))
    assert error.http_status == 400
    assert "You cannot delete the default external account for your default currency" in error.user_message

    client.v1.accounts.external_accounts.update(seller.id, first.id, {"default_for_currency": True})
    gone = client.v1.accounts.external_accounts.delete(seller.id, added.id)
    assert (gone.object, gone.deleted) == ("bank_account", True)
    assert find_event(client, "account.external_account.deleted", added.id, seller.id) is not None


def test_debit_card_is_an_external_account(client, seller):
    card = client.v1.accounts.external_accounts.create(seller.id, {"external_account": "tok_visa_debit"})

    assert (card.object, card.account, card.currency) == ("card", seller.id, "usd")
    assert "instant" in card.available_payout_methods
    updated = client.v1.accounts.external_accounts.update(seller.id, card.id, {"exp_month": "11", "name": "J. Rosen"})
    assert (updated.exp_month, updated.name) == (11, "J. Rosen")
    cards = client.v1.accounts.external_accounts.list(seller.id, {"object": "card"})
    assert [found.id for found in cards.data] == [card.id]
    gone = client.v1.accounts.external_accounts.delete(seller.id, card.id)
    assert (gone.object, gone.deleted) == ("card", True)

    error = refused(
        lambda: client.v1.accounts.external_accounts.create(seller.id, {"external_account": "tok_visa"})
    )
    assert error.code == "invalid_card_type"


def test_account_settles_in_the_currencies_of_its_external_accounts(client, seller):
    charge = payment(1000, currency="eur")
    converted = client.v1.payment_intents.create(charge, acting_for(seller))
    client.v1.accounts.external_accounts.create(seller.id, {"external_account": bank_params("eur")})
    kept = client.v1.payment_intents.create(charge, acting_for(seller))

    def currency(intent):
        expand = {"expand": ["balance_transaction"]}
        return client.v1.charges.retrieve(intent.latest_charge, expand, acting_for(seller)).balance_transaction.currency

    assert (currency(converted), currency(kept)) == ("usd", "eur")
    error = refused(
        lambda: client.v1.accounts.external_accounts.create(seller.id, {"external_account": bank_params("inr")})
    )
    assert error.param == "external_account[currency]"


@pytest.mark.parametrize(
    "changes,code",
    [
        ({"routing_number": "123"}, "routing_number_invalid"),
        ({"account_number": "12"}, "account_number_invalid"),
        ({"country": "DE", "currency": "eur", "account_number": "DE00370400440532013000"}, "account_number_invalid"),
    ],
)
def test_numbers_of_banks_are_checked_by_country(client, seller, changes, code):
    error = refused(
        lambda: client.v1.accounts.external_accounts.create(seller.id, {"external_account": bank_params(**changes)})
    )
    assert error.code == code


def test_ownership_of_a_bank_account_is_shown_by_a_document(client):
    account = client.v1.accounts.create(seller_params(external_account=bank_params(account_number="000999999992")))
    (bank,) = account.external_accounts.data

    assert account.payouts_enabled is False
    owed = "documents.bank_account_ownership_verification.files"
    assert list(account.requirements.currently_due) == [owed]
    assert list(bank.requirements.currently_due) == [owed]
    client.v1.accounts.external_accounts.update(
        account.id,
        bank.id,
        {"documents": {"bank_account_ownership_verification": {"files": ["file_identity_document_success"]}}},
    )
    assert client.v1.accounts.retrieve(account.id).payouts_enabled is True


# --- requirements -------------------------------------------------------------------------------


def test_verification_that_takes_a_moment_is_pending_first(client):
    params = seller_params()
    params["individual"]["dob"]["year"] = 1901
    account = client.v1.accounts.create(params)

    assert account.capabilities.to_dict() == {"card_payments": "pending", "transfers": "pending"}
    assert account.requirements.disabled_reason == "requirements.pending_verification"
    assert "individual.dob.day" in account.requirements.pending_verification
    assert account.individual.verification.status == "pending"

    done = eventually(lambda: client.v1.accounts.retrieve(account.id), lambda found: found.charges_enabled, 15)
    assert (done.charges_enabled, done.payouts_enabled) == (True, True)
    assert done.individual.verification.status == "verified"
    event = find_event(client, "account.updated", account.id, account.id)
    assert event is not None


def test_mistake_of_an_active_account_has_a_deadline(client, seller):
    changed = client.v1.accounts.update(seller.id, {"individual": {"address": {"line1": "address_no_match"}}})

    assert changed.charges_enabled is True
    assert changed.requirements.current_deadline > time.time() + 6 * 86400
    assert list(changed.requirements.currently_due) == ["individual.verification.additional_document"]
    assert list(changed.requirements.past_due) == []
    (error,) = changed.requirements.errors
    assert error.code == "verification_failed_address_match"
    mended = client.v1.accounts.update(
        seller.id,
        {"individual": {"verification": {"additional_document": {"front": "file_identity_document_success"}}}},
    )
    assert mended.requirements.current_deadline is None
    assert mended.individual.verification.additional_document.front == "file_identity_document_success"


def test_website_and_description_are_alternatives(client):
    account = client.v1.accounts.create(
        {"type": "custom", "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}}}
    )

    (alternative,) = account.requirements.alternatives
    assert list(alternative.original_fields_due) == ["business_profile.url"]
    assert list(alternative.alternative_fields_due) == ["business_profile.product_description"]


def test_recipient_receives_transfers_only(client):
    params = seller_params(capabilities={"transfers": {"requested": True}})
    params["tos_acceptance"]["service_agreement"] = "recipient"
    account = client.v1.accounts.create(params)

    assert account.tos_acceptance.service_agreement == "recipient"
    error = refused(
        lambda: client.v1.accounts.capabilities.update(account.id, "card_payments", {"requested": True})
    )
    assert error.param == "capabilities"


# --- updates ------------------------------------------------------------------------------------


def test_everything_that_platforms_set_comes_back(client, seller):
    updated = client.v1.accounts.update(
        seller.id,
        {
            "email": f"{unique('owner')}@example.com",
            "business_profile": {
                "name": "Rosen Chairs",
                "support_email": "help@example.com",
                "support_phone": "0000000000",
                "support_url": "https://example.com/help",
                "product_description": "Chairs",
                "estimated_worker_count": 3,
                "annual_revenue": {"amount": 1000000, "currency": "usd", "fiscal_year_end": "2025-12-31"},
                "support_address": {"city": "Utrecht", "country": "NL"},
            },
            "settings": {
                "branding": {"primary_color": "#ff0000"},
                "card_payments": {
                    "decline_on": {"cvc_failure": True},
                    "statement_descriptor_prefix": "ROSEN",
                },
                "payments": {"statement_descriptor": "ROSEN CHAIRS"},
                "payouts": {
                    "debit_negative_balances": True,
                    "statement_descriptor": "ROSEN",
                    "schedule": {"interval": "manual", "delay_days": 5},
                },
            },
            "metadata": {"shop": "18"},
        },
    )

    profile, settings = updated.business_profile, updated.settings
    assert (profile.name, profile.support_url, profile.estimated_worker_count) == (
        "Rosen Chairs",
        "https://example.com/help",
        3,
    )
    assert profile.annual_revenue.amount == 1000000
    assert profile.support_address.city == "Utrecht"
    assert settings.branding.primary_color == "#ff0000"
    assert settings.card_payments.decline_on.cvc_failure is True
    assert settings.card_payments.statement_descriptor_prefix == "ROSEN"
    assert settings.payments.statement_descriptor == "ROSEN CHAIRS"
    assert (settings.payouts.debit_negative_balances, settings.payouts.schedule.delay_days) == (True, 5)
    assert updated.charges_enabled is True


def test_holder_of_an_express_account_speaks_for_itself_once_submitted(client):
    express = client.v1.accounts.create(seller_params(type="express"))
    assert express.details_submitted is True

    for call in (
        lambda: client.v1.accounts.update(express.id, {"individual": {"first_name": "Rosa"}}),
        lambda: client.v1.accounts.external_accounts.create(express.id, {"external_account": bank_params()}),
        lambda: client.v1.accounts.persons.create(express.id, {"first_name": "Rosa"}),
    ):
        assert "required permissions" in refused(call, stripe.PermissionError).user_message
    assert client.v1.accounts.update(express.id, {"metadata": {"a": "1"}}).metadata.to_dict() == {"a": "1"}


def test_verified_business_type_stays(client, seller):
    error = refused(lambda: client.v1.accounts.update(seller.id, {"business_type": "company"}))
    assert error.param == "business_type"


# --- rejection, countries -----------------------------------------------------------------------


def test_rejected_account_is_closed_and_opened_again(client, seller):
    rejected = client.v1.accounts.reject(seller.id, {"reason": "fraud_other"})

    assert (rejected.charges_enabled, rejected.payouts_enabled) == (False, False)
    assert rejected.requirements.disabled_reason == "rejected.platform_fraud"
    error = refused(
        lambda: client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": seller.id})
    )
    assert error.code == "insufficient_capabilities_for_transfer"
    error = refused(
        lambda: client.v1.payouts.create({"amount": 100, "currency": "usd"}, acting_for(seller))
    )
    assert error.code == "payouts_not_allowed"
    change = find_event(client, "account.updated", seller.id, seller.id)
    assert change.data.previous_attributes["requirements"]["disabled_reason"] is None

    response = client.raw_request("post", f"/v1/accounts/{seller.id}/unreject")
    opened = client.deserialize(response, api_mode="V1")
    assert (opened.charges_enabled, opened.payouts_enabled) == (True, True)


def test_countries_tell_what_accounts_there_need(client):
    spec = client.v1.country_specs.retrieve("DE")

    assert (spec.id, spec.object, spec.default_currency) == ("DE", "country_spec", "eur")
    assert "eur" in spec.supported_bank_account_currencies.to_dict()
    assert "individual.address.city" in spec.verification_fields.individual.minimum
    codes = [country.id for country in client.v1.country_specs.list({"limit": 50}).auto_paging_iter()]
    assert len(codes) == len(set(codes)) and {"US", "DE", "JP"} <= set(codes)
    assert refused(lambda: client.v1.country_specs.retrieve("XX")).http_status == 404
