"""Direct charges, charges on behalf of an account, charges without a payment intent, and account debits.

The amounts of every model are in `fixtures/tables/charge_models.toml`; here is how the objects look and point at each other.
"""

import pytest
import stripe

from support import Books, Row, acting_for, eventually, find_event, german_seller_params, payment, seller_params, unique


def refused(call, status=400):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    assert caught.value.http_status == status
    return caught.value


# --- direct charges -----------------------------------------------------------------------------


@pytest.fixture
def direct(client, seller):
    """100.00 usd on the seller's own account, 10.00 of it for the platform."""
    return client.v1.payment_intents.create(
        payment(
            10000,
            application_fee_amount=1000,
            expand=["latest_charge.application_fee", "latest_charge.balance_transaction"],
        ),
        acting_for(seller),
    )


def test_direct_charge_belongs_to_the_seller(client, direct, seller):
    charge = direct.latest_charge

    assert direct.application.startswith("ca_")
    assert direct.application_fee_amount == 1000
    assert direct.transfer_data is None
    assert charge.application == direct.application
    assert charge.application_fee_amount == 1000
    assert charge.on_behalf_of is None
    assert charge.transfer_group is None
    assert refused(lambda: client.v1.payment_intents.retrieve(direct.id), 404).code == "resource_missing"
    assert refused(lambda: client.v1.charges.retrieve(charge.id), 404).code == "resource_missing"
    assert client.v1.charges.retrieve(charge.id, options=acting_for(seller)).payment_intent == direct.id


def test_direct_charge_row_holds_both_fees(direct):
    transaction = direct.latest_charge.balance_transaction

    assert Row(transaction.type, transaction.amount, transaction.fee, transaction.net) == Row("charge", 10000, 1320, 8680)
    details = {fee.type: (fee.amount, fee.currency, fee.application) for fee in transaction.fee_details}
    assert details["stripe_fee"] == (320, "usd", None)
    assert details["application_fee"] == (1000, "usd", direct.application)


def test_fee_of_a_direct_charge_is_the_platforms(client, direct, seller, platform):
    charge = direct.latest_charge

    fee = client.v1.application_fees.retrieve(charge.application_fee.id, {"expand": ["balance_transaction"]})

    assert fee.account == seller.id
    assert fee.charge == charge.id
    assert fee.fee_source.to_dict() == {"charge": charge.id, "type": "charge"}
    assert fee.originating_transaction is None
    assert (fee.amount, fee.currency, fee.amount_refunded, fee.refunded) == (1000, "usd", 0, False)
    assert fee.application == direct.application
    assert fee.balance_transaction.available_on == charge.balance_transaction.available_on
    assert platform.row_of(fee.id) == Row("application_fee", 1000, 0, 1000)
    assert refused(lambda: client.v1.application_fees.retrieve(fee.id, options=acting_for(seller)), 404)
    listed = eventually(lambda: client.v1.application_fees.list({"charge": charge.id}), lambda page: len(page.data) == 1)
    assert [item.id for item in listed.data] == [fee.id]


def test_events_of_a_direct_charge_go_to_both_sides(client, direct, seller):
    charge = direct.latest_charge

    on_seller = find_event(client, "charge.succeeded", charge.id, seller)
    assert on_seller.account == seller.id
    assert find_event(client, "payment_intent.succeeded", direct.id, seller).account == seller.id
    on_platform = find_event(client, "application_fee.created", charge.application_fee.id)
    assert "account" not in on_platform
    assert on_platform.data.object["charge"] == charge.id


def test_refund_of_a_direct_charge_with_its_fee(client, direct, seller, seller_books, platform):
    charge = direct.latest_charge

    refund = client.v1.refunds.create(
        {"charge": charge.id, "amount": 4000, "refund_application_fee": True}, acting_for(seller)
    )

    assert refund.payment_intent == direct.id
    assert refund.transfer_reversal is None
    assert seller_books.row_of(refund.id) == Row("refund", -4000, 0, -4000)
    fee = client.v1.application_fees.retrieve(charge.application_fee.id)
    assert (fee.amount_refunded, fee.refunded) == (400, False)
    (fee_refund,) = fee.refunds.data
    assert (fee_refund.amount, fee_refund.currency, fee_refund.fee) == (400, "usd", fee.id)
    assert platform.rows(2, source=fee.id)[1] == Row("application_fee_refund", -400, 0, -400)
    assert seller_books.rows(1, source=fee.id) == [Row("adjustment", 400, 0, 400)]
    assert find_event(client, "application_fee.refunded", fee.id).data.object["amount_refunded"] == 400

    updated = client.v1.application_fees.refunds.update(fee.id, fee_refund.id, {"metadata": {"why": "late"}})
    assert updated.metadata.to_dict() == {"why": "late"}


def test_fee_of_a_direct_charge_is_refunded_by_itself(client, direct, seller_books):
    fee = direct.latest_charge.application_fee.id

    fee_refund = client.v1.application_fees.refunds.create(fee, {"amount": 250})

    assert fee_refund.fee == fee
    assert [item.id for item in client.v1.application_fees.refunds.list(fee).data] == [fee_refund.id]
    assert seller_books.rows(1, source=fee) == [Row("adjustment", 250, 0, 250)]
    assert refused(lambda: client.v1.application_fees.refunds.create(fee, {"amount": 751})).param == "amount"


def test_platform_that_pays_processing_has_it_on_its_fee_row(client, new_seller, platform):
    params = seller_params()
    del params["type"]
    params["controller"] = {
        "fees": {"payer": "application"},
        "losses": {"payments": "application"},
        "stripe_dashboard": {"type": "none"},
        "requirement_collection": "application",
    }
    account = new_seller(params)
    before = platform.total()

    paid = client.v1.payment_intents.create(
        payment(10000, application_fee_amount=1000, expand=["latest_charge.balance_transaction"]), acting_for(account)
    )
    bare = client.v1.payment_intents.create(payment(10000), acting_for(account))

    assert paid.latest_charge.balance_transaction.fee == 1000
    assert platform.row_of(paid.latest_charge.application_fee) == Row("application_fee", 1000, 320, 680)
    assert platform.total() - before == 680 - 320
    (own,) = [row for row in platform.transactions(1, type="stripe_fee") if bare.latest_charge in row.description]
    assert (own.amount, own.fee, own.net, own.source) == (-320, 0, -320, None)
    assert own.reporting_category == "fee"


def test_direct_charge_needs_card_payments(client):
    params = seller_params(capabilities={"transfers": {"requested": True}})
    account = client.v1.accounts.create(params)

    intent = client.v1.payment_intents.create(payment(confirm=False), acting_for(account))
    error = refused(lambda: client.v1.payment_intents.confirm(intent.id, options=acting_for(account)))

    assert error.user_message.startswith("Your account cannot currently make charges.")
    on_behalf = payment(transfer_data={"destination": account.id}, on_behalf_of=account.id)
    assert refused(lambda: client.v1.payment_intents.create(on_behalf)).user_message.startswith("Your account cannot")


# --- on behalf of -------------------------------------------------------------------------------


def test_charge_on_behalf_of_the_destination(client, german_seller, platform):
    intent = client.v1.payment_intents.create(
        payment(
            10000,
            application_fee_amount=1000,
            transfer_data={"destination": german_seller.id},
            on_behalf_of=german_seller.id,
            expand=["latest_charge.balance_transaction", "latest_charge.application_fee", "on_behalf_of"],
        )
    )
    charge = intent.latest_charge
    transaction = charge.balance_transaction

    assert intent.on_behalf_of.id == german_seller.id
    assert charge.on_behalf_of == german_seller.id
    assert Row(transaction.type, transaction.amount, transaction.fee, transaction.net, transaction.currency) == Row(
        "charge", 9000, 291, 8709, "eur"
    )
    assert transaction.exchange_rate == 0.9
    assert platform.row_of(charge.transfer) == Row("transfer", -9000, 0, -9000, "eur")
    # The platform's fee is never converted; its row shows the charge's rate.
    assert platform.row_of(charge.application_fee.id) == Row("application_fee", 1000, 0, 1000, "usd")
    (arrival,) = Books(client, german_seller.id).transactions(1)
    assert Row(arrival.type, arrival.amount, arrival.fee, arrival.net, arrival.currency) == Row(
        "payment", 9000, 900, 8100, "eur"
    )
    assert arrival.exchange_rate is None
    assert arrival.available_on == transaction.available_on


def test_settlement_merchant_speaks_on_the_statement(client, new_seller):
    params = seller_params()
    params["settings"]["payments"] = {"statement_descriptor": "JENNYS CHAIRS"}
    params["settings"]["card_payments"] = {"statement_descriptor_prefix": "JENNY"}
    account = new_seller(params)

    def calculated(options=None, **changes):
        intent = client.v1.payment_intents.create(payment(expand=["latest_charge"], **changes), options)
        return intent.latest_charge.calculated_statement_descriptor

    to = {"destination": account.id}
    assert calculated(acting_for(account)) == "JENNYS CHAIRS"
    assert calculated(transfer_data=to, on_behalf_of=account.id) == "JENNYS CHAIRS"
    assert calculated(acting_for(account), statement_descriptor_suffix="ORDER 7") == "JENNY* ORDER 7"
    assert calculated(acting_for(account), statement_descriptor="OWN WORDS") == "OWN WORDS"
    assert calculated(transfer_data=to) is None


def test_on_behalf_of_must_be_connected(client):
    own = client.v1.accounts.retrieve_current().id

    error = refused(lambda: client.v1.payment_intents.create(payment(on_behalf_of=own)))

    assert (error.code, error.param) == ("resource_missing", "on_behalf_of")


# --- transfer groups ----------------------------------------------------------------------------


def test_transfer_takes_the_group_of_its_charge(client, seller):
    group = unique("order")
    charge = client.v1.payment_intents.create(payment(transfer_group=group)).latest_charge
    part = {"amount": 100, "currency": "usd", "destination": seller.id, "source_transaction": charge}

    transfer = client.v1.transfers.create(part)

    assert transfer.transfer_group == group
    other = refused(lambda: client.v1.transfers.create({**part, "transfer_group": unique("other")}))
    assert other.param == "transfer_group"
    arrival = client.v1.charges.retrieve(transfer.destination_payment, options=acting_for(seller))
    assert arrival.transfer_group is None
    for resource, found in (("transfers", transfer.id), ("charges", charge)):
        service = getattr(client.v1, resource)
        page = eventually(lambda: service.list({"transfer_group": group}), lambda page: len(page.data) == 1)
        assert [item.id for item in page.data] == [found]


# --- without a payment intent -------------------------------------------------------------------


def test_charge_of_a_token(client, platform):
    charge = client.v1.charges.create(
        {
            "amount": 2000,
            "currency": "usd",
            "source": "tok_mastercard",
            "description": "Chair",
            "statement_descriptor": "CHAIRS",
            "receipt_email": "jenny@example.com",
            "metadata": {"order": "7"},
            "shipping": {"name": "Jenny", "address": {"line1": "1 Main St", "city": "Delft", "country": "NL"}},
            "expand": ["balance_transaction"],
        }
    )

    assert charge.id.startswith("ch_")
    assert (charge.status, charge.paid, charge.captured) == ("succeeded", True, True)
    assert charge.payment_intent is None
    assert charge.description == "Chair"
    assert charge.calculated_statement_descriptor == "CHAIRS"
    assert charge.receipt_email == "jenny@example.com"
    assert charge.metadata.to_dict() == {"order": "7"}
    assert charge.shipping.address.city == "Delft"
    assert (charge.source.object, charge.source.brand, charge.source.last4) == ("card", "MasterCard", "4444")
    assert charge.source.id.startswith("card_")
    assert charge.balance_transaction.net == 1912
    assert client.v1.charges.retrieve(charge.id).description == "Chair"
    assert find_event(client, "charge.succeeded", charge.id)
    newest = client.v1.payment_intents.list({"limit": 5}).data
    assert all(intent.latest_charge != charge.id for intent in newest)

    updated = client.v1.charges.update(charge.id, {"description": "Red chair", "metadata": {"order": ""}})
    assert (updated.description, updated.metadata.to_dict()) == ("Red chair", {})

    refund = client.v1.refunds.create({"charge": charge.id})
    assert refund.payment_intent is None
    assert platform.row_of(refund.id) == Row("refund", -2000, 0, -2000)
    assert client.v1.charges.retrieve(charge.id).refunded


def test_charge_of_a_card_token_is_made_once(client):
    token = client.v1.tokens.create(
        {"card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123", "name": "Jenny"}}
    )
    params = {"amount": 500, "currency": "usd", "source": token.id}
    charge = client.v1.charges.create(params)

    assert charge.source.last4 == "4242"
    error = refused(lambda: client.v1.charges.create(params))
    assert (error.code, error.param) == ("token_already_used", "source")


def test_charge_of_a_customers_default_card(client):
    customer = client.v1.customers.create({"payment_method": "pm_card_visa"})
    method = client.v1.customers.payment_methods.list(customer.id).data[0].id

    with pytest.raises(stripe.StripeError) as caught:
        client.v1.charges.create({"amount": 500, "currency": "usd", "customer": customer.id})
    assert (caught.value.http_status, caught.value.code) == (402, "missing")
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method}})
    charge = client.v1.charges.create({"amount": 500, "currency": "usd", "customer": customer.id})
    named = client.v1.charges.create({"amount": 500, "currency": "usd", "customer": customer.id, "source": method})

    assert charge.customer == named.customer == customer.id
    assert charge.payment_method == named.payment_method == method


def test_charge_gets_a_customer_once(client):
    first, second = client.v1.customers.create({}), client.v1.customers.create({})
    charge = client.v1.charges.create(
        {"amount": 500, "currency": "usd", "source": "tok_visa", "description": "Chair"}
    )

    assert client.v1.charges.update(charge.id, {"customer": first.id}).customer == first.id
    again = client.v1.charges.update(charge.id, {"customer": first.id})
    assert (again.customer, again.description) == (first.id, "Chair")
    assert refused(lambda: client.v1.charges.update(charge.id, {"customer": second.id})).param == "customer"


def test_declined_charge_leaves_a_failed_one(client):
    with pytest.raises(stripe.CardError) as caught:
        client.v1.charges.create({"amount": 500, "currency": "usd", "source": "tok_chargeDeclinedInsufficientFunds"})

    error = caught.value.error
    assert (caught.value.http_status, error.code, error.decline_code) == (402, "card_declined", "insufficient_funds")
    assert "payment_intent" not in caught.value.json_body["error"]
    charge = client.v1.charges.retrieve(error.charge)
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, "card_declined")
    assert charge.balance_transaction is None
    assert find_event(client, "charge.failed", charge.id)


def test_authorized_charge_is_captured_in_part(client, seller, seller_books, platform):
    charge = client.v1.charges.create(
        {
            "amount": 10000,
            "currency": "usd",
            "source": "tok_visa",
            "capture": False,
            "transfer_data": {"destination": seller.id},
            "application_fee_amount": 1000,
        }
    )
    assert (charge.captured, charge.paid, charge.amount_captured) == (False, True, 0)
    assert charge.balance_transaction is None
    assert charge.payment_method_details.card.capture_before > charge.created
    assert seller_books.rows(0) == []

    captured = client.v1.charges.capture(
        charge.id, {"amount": 6000, "application_fee_amount": 800, "statement_descriptor": "PART"}
    )

    assert (captured.captured, captured.amount_captured, captured.amount_refunded) == (True, 6000, 4000)
    assert captured.refunded is False
    assert captured.calculated_statement_descriptor == "PART"
    assert captured.transfer_group == f"group_{charge.id}"
    assert client.v1.transfers.retrieve(captured.transfer).transfer_group == f"group_{charge.id}"
    assert seller_books.rows(1) == [Row("payment", 6000, 800, 5200)]
    assert platform.row_of(charge.id) == Row("charge", 10000, 204, 9796)
    assert find_event(client, "charge.captured", charge.id)
    assert refused(lambda: client.v1.charges.capture(charge.id)).code == "charge_already_captured"


def test_refund_of_an_authorized_charge_releases_it(client, platform):
    charge = client.v1.charges.create({"amount": 900, "currency": "usd", "source": "tok_visa", "capture": False})
    before = platform.total()

    refund = client.v1.refunds.create({"charge": charge.id, "metadata": {"why": "cold feet"}})

    assert (refund.amount, refund.status, refund.balance_transaction) == (900, "succeeded", None)
    assert refund.metadata.to_dict() == {"why": "cold feet"}
    released = client.v1.charges.retrieve(charge.id, {"expand": ["refunds"]})
    assert (released.refunded, released.amount_refunded, released.captured) == (True, 900, False)
    assert [item.id for item in released.refunds.data] == [refund.id]
    assert platform.total() == before
    assert refused(lambda: client.v1.charges.capture(charge.id)).code == "charge_expired_for_capture"


def test_direct_charge_without_an_intent(client, seller, seller_books):
    charge = client.v1.charges.create(
        {"amount": 10000, "currency": "usd", "source": "tok_visa", "application_fee_amount": 1000}, acting_for(seller)
    )

    assert charge.application_fee.startswith("fee_")
    assert seller_books.row_of(charge.id) == Row("charge", 10000, 1320, 8680)


def test_charge_of_an_intent_is_captured_by_it(client):
    intent = client.v1.payment_intents.create(payment(capture_method="manual"))

    error = refused(lambda: client.v1.charges.capture(intent.latest_charge))

    assert intent.id in error.user_message
    assert refused(lambda: client.v1.charges.capture("ch_nobody"), 404).code == "resource_missing"


# --- account debits -----------------------------------------------------------------------------


def test_charge_of_an_accounts_balance(client, paid_seller, seller_books, platform):
    before = platform.total()

    debit = client.v1.charges.create(
        {
            "amount": 2500,
            "currency": "usd",
            "source": paid_seller.id,
            "description": "Rent",
            "metadata": {"month": "5"},
            "expand": ["balance_transaction"],
        }
    )

    assert debit.id.startswith("py_")
    assert (debit.status, debit.paid, debit.captured) == ("succeeded", True, True)
    assert debit.description == "Rent"
    assert debit.metadata.to_dict() == {"month": "5"}
    assert (debit.source.id, debit.source.object) == (paid_seller.id, "account")
    assert debit.payment_method_details.type == "stripe_account"
    assert debit.balance_transaction.status == "available"
    assert platform.total() - before == 2500
    assert seller_books.available() == 9000 - 2500
    listed = eventually(
        lambda: client.v1.charges.list({"limit": 3}), lambda page: debit.id in [item.id for item in page.data]
    )
    assert debit.id in [item.id for item in listed.data]
    transfer = client.v1.transfers.retrieve(debit.source_transfer, options=acting_for(paid_seller))
    assert (transfer.amount, transfer.destination_payment) == (2500, debit.id)

    refund = client.v1.refunds.create({"charge": debit.id, "amount": 1000, "metadata": {"why": "holiday"}})

    assert refund.id.startswith("pyr_")
    assert (refund.amount, refund.charge) == (1000, debit.id)
    assert refund.metadata.to_dict() == {"why": "holiday"}
    assert client.v1.charges.retrieve(debit.id).amount_refunded == 1000
    assert seller_books.available() == 9000 - 2500 + 1000


def test_account_debit_is_limited_by_the_available_balance(client, paid_seller):
    error = refused(
        lambda: client.v1.charges.create({"amount": 9001, "currency": "usd", "source": paid_seller.id})
    )

    assert error.code == "balance_insufficient"


def test_account_transfers_to_its_platform(client, paid_seller, seller_books):
    own = client.v1.accounts.retrieve_current().id

    transfer = client.v1.transfers.create(
        {"amount": 700, "currency": "usd", "destination": own, "description": "Fees"}, acting_for(paid_seller)
    )

    assert (transfer.destination, transfer.description) == (own, "Fees")
    arrival = client.v1.charges.retrieve(transfer.destination_payment, {"expand": ["balance_transaction"]})
    assert arrival.balance_transaction.amount == 700
    assert seller_books.row_of(transfer.id) == Row("transfer", -700, 0, -700)
    page = eventually(
        lambda: client.v1.transfers.list({}, acting_for(paid_seller)), lambda page: len(page.data) == 1
    )
    assert [item.id for item in page.data] == [transfer.id]


def test_account_in_another_region_is_not_debited(client, new_seller):
    account = new_seller(german_seller_params())

    error = refused(lambda: client.v1.charges.create({"amount": 100, "currency": "eur", "source": account.id}))

    assert error.param == "source"


# --- amounts ------------------------------------------------------------------------------------


def test_least_amounts_are_named(client, german_seller):
    small = refused(lambda: client.v1.payment_intents.create(payment(49)))
    assert (small.code, small.param) == ("amount_too_small", "amount")
    assert small.user_message == "Amount must be at least $0.50 usd"
    converted = refused(lambda: client.v1.payment_intents.create(payment(10, currency="eur")))
    assert converted.user_message == "Amount must convert to at least 50 cents. €0.10 converts to approximately $0.11."
    direct = refused(lambda: client.v1.payment_intents.create(payment(10), acting_for(german_seller)))
    assert direct.user_message == "Amount must convert to at least 50 cents. $0.10 converts to approximately €0.09."
    large = refused(lambda: client.v1.charges.create({"amount": 100000000, "currency": "usd", "source": "tok_visa"}))
    assert (large.code, large.param) == ("amount_too_large", "amount")
