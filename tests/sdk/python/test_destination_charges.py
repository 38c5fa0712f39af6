"""A payment for a seller: the rows on both sides, the objects and how they point at each other."""

import pytest
import stripe

from support import Books, Row, acting_for, eventually, payment, seller_params, unique


@pytest.fixture
def fee_payment(client, seller):
    """100.00 usd for a seller, 10.00 of it for the platform."""
    return client.v1.payment_intents.create(
        payment(
            10000,
            application_fee_amount=1000,
            transfer_data={"destination": seller.id},
            expand=["latest_charge.transfer", "latest_charge.application_fee", "latest_charge.balance_transaction"],
        )
    )


def test_intent_succeeds(fee_payment, seller):
    assert fee_payment.id.startswith("pi_")
    assert fee_payment.object == "payment_intent"
    assert fee_payment.status == "succeeded"
    assert fee_payment.amount == 10000
    assert fee_payment.amount_received == 10000
    assert fee_payment.amount_capturable == 0
    assert fee_payment.currency == "usd"
    assert fee_payment.application_fee_amount == 1000
    assert fee_payment.transfer_data.destination == seller.id
    assert fee_payment.next_action is None
    assert fee_payment.last_payment_error is None
    assert fee_payment.client_secret.startswith(f"{fee_payment.id}_secret_")


def test_platform_rows_are_charge_transfer_of_the_full_amount_and_fee(fee_payment, platform):
    charge = fee_payment.latest_charge

    assert platform.row_of(charge.id) == Row("charge", 10000, 320, 9680)
    assert platform.row_of(charge.transfer.id) == Row("transfer", -10000, 0, -10000)
    assert platform.row_of(charge.application_fee.id) == Row("application_fee", 1000, 0, 1000)


def test_platform_charge_row_names_the_processing_fee(fee_payment):
    transaction = fee_payment.latest_charge.balance_transaction

    assert transaction.id.startswith("txn_")
    assert transaction.reporting_category == "charge"
    assert transaction.exchange_rate is None
    assert transaction.status == "pending"
    (fee,) = transaction.fee_details
    assert (fee.type, fee.amount, fee.currency, fee.application) == ("stripe_fee", 320, "usd", None)


def test_seller_row_is_the_payment_less_the_fee(fee_payment, seller_books):
    (transaction,) = seller_books.transactions(1)

    assert Row(transaction.type, transaction.amount, transaction.fee, transaction.net) == Row(
        "payment", 10000, 1000, 9000
    )
    assert transaction.reporting_category == "charge"
    assert transaction.source.startswith("py_")
    (fee,) = transaction.fee_details
    assert (fee.type, fee.amount, fee.currency) == ("application_fee", 1000, "usd")
    assert fee.application.startswith("ca_")


def test_seller_row_becomes_available_with_the_charge(fee_payment, seller_books):
    (transaction,) = seller_books.transactions(1)

    assert transaction.status == "pending"
    assert transaction.available_on == fee_payment.latest_charge.balance_transaction.available_on
    assert transaction.available_on % 86400 == 0


def test_balance_of_the_seller_is_pending_9000(fee_payment, seller_books):
    assert seller_books.pending() == 9000
    assert seller_books.available() == 0


def test_balance_of_the_platform_grows_by_680(client, seller, platform):
    available, pending = platform.available(), platform.pending()

    client.v1.payment_intents.create(
        payment(10000, application_fee_amount=1000, transfer_data={"destination": seller.id})
    )

    assert platform.pending() - pending == 680
    assert platform.available() - available == 0


def test_charge_points_at_transfer_and_fee(fee_payment, seller):
    charge = fee_payment.latest_charge

    assert charge.id.startswith("ch_")
    assert charge.status == "succeeded"
    assert (charge.paid, charge.captured, charge.refunded) == (True, True, False)
    assert (charge.amount, charge.amount_captured, charge.amount_refunded) == (10000, 10000, 0)
    assert charge.payment_intent == fee_payment.id
    assert charge.application_fee_amount == 1000
    assert charge.transfer_data.destination == seller.id
    assert charge.transfer_data.amount is None
    assert charge.destination == seller.id
    assert charge.transfer_group == f"group_{fee_payment.id}"
    assert charge.on_behalf_of is None
    assert charge.outcome.network_status == "approved_by_network"
    assert charge.outcome.type == "authorized"


def test_transfer_points_at_charge_and_payment(fee_payment, seller):
    charge = fee_payment.latest_charge
    transfer = charge.transfer

    assert transfer.id.startswith("tr_")
    assert transfer.amount == 10000
    assert transfer.currency == "usd"
    assert transfer.source_transaction == charge.id
    assert transfer.destination == seller.id
    assert transfer.destination_payment.startswith("py_")
    assert transfer.transfer_group == charge.transfer_group
    assert (transfer.amount_reversed, transfer.reversed) == (0, False)
    assert transfer.balance_transaction.startswith("txn_")


def test_payment_on_the_seller_points_back(client, fee_payment, seller):
    transfer = fee_payment.latest_charge.transfer
    arrival = client.v1.charges.retrieve(transfer.destination_payment, options=acting_for(seller))

    assert arrival.object == "charge"
    assert arrival.amount == 10000
    assert arrival.currency == "usd"
    assert (arrival.status, arrival.paid) == ("succeeded", True)
    assert arrival.source_transfer == transfer.id
    assert arrival.application_fee == fee_payment.latest_charge.application_fee.id
    assert arrival.application_fee_amount == 1000
    assert arrival.payment_method_details.type == "stripe_account"
    assert arrival.transfer_group is None


def test_fee_points_at_both_charges(client, fee_payment, seller):
    charge = fee_payment.latest_charge
    fee = client.v1.application_fees.retrieve(charge.application_fee.id)

    assert fee.id.startswith("fee_")
    assert fee.object == "application_fee"
    assert fee.amount == 1000
    assert fee.currency == "usd"
    assert fee.account == seller.id
    assert fee.originating_transaction == charge.id
    assert fee.charge == charge.transfer.destination_payment
    assert fee.application.startswith("ca_")
    assert (fee.amount_refunded, fee.refunded) == (0, False)


def test_fee_is_listed_under_its_charge(client, fee_payment):
    charge = fee_payment.latest_charge

    def read():
        return client.v1.application_fees.list({"charge": charge.transfer.destination_payment})

    listed = eventually(read, lambda page: len(page.data) == 1)

    assert [fee.id for fee in listed.data] == [charge.application_fee.id]


def test_charge_belongs_to_the_platform_and_payment_to_the_seller(client, fee_payment, seller):
    charge = fee_payment.latest_charge

    for missing, options in (
        (charge.id, acting_for(seller)),
        (charge.transfer.destination_payment, {}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.charges.retrieve(missing, options=options)
        assert caught.value.http_status == 404
        assert caught.value.code == "resource_missing"


def test_metadata_of_the_intent_is_copied_to_the_charge_but_not_to_the_transfer(client, seller):
    intent = client.v1.payment_intents.create(
        payment(
            transfer_data={"destination": seller.id},
            metadata={"order": "A-17"},
            expand=["latest_charge.transfer"],
        )
    )

    assert intent.latest_charge.metadata.to_dict() == {"order": "A-17"}
    assert intent.latest_charge.transfer.metadata.to_dict() == {}


def test_given_transfer_group_wins(client, seller):
    group = unique("order")

    intent = client.v1.payment_intents.create(
        payment(transfer_data={"destination": seller.id}, transfer_group=group, expand=["latest_charge.transfer"])
    )

    assert intent.latest_charge.transfer_group == group
    assert intent.latest_charge.transfer.transfer_group == group


def test_transfer_amount_leaves_the_rest_on_the_platform(client, seller, platform, seller_books):
    before = platform.total()

    intent = client.v1.payment_intents.create(
        payment(
            10000,
            transfer_data={"destination": seller.id, "amount": 8770},
            expand=["latest_charge"],
        )
    )
    charge = intent.latest_charge

    assert platform.row_of(charge.id) == Row("charge", 10000, 320, 9680)
    assert platform.row_of(charge.transfer) == Row("transfer", -8770, 0, -8770)
    assert seller_books.rows(1) == [Row("payment", 8770, 0, 8770)]
    assert platform.total() - before == 910
    assert charge.application_fee is None
    assert charge.transfer_data.amount == 8770


@pytest.mark.parametrize(
    "amount, processing, net",
    [(50, 31, 19), (1000, 59, 941), (2050, 89, 1961), (10000, 320, 9680), (12345, 388, 11957)],
)
def test_processing_fee_rounds_half_up(client, platform, amount, processing, net):
    intent = client.v1.payment_intents.create(payment(amount))

    assert platform.row_of(intent.latest_charge) == Row("charge", amount, processing, net)


def test_documented_charge_of_1000_with_fee_of_123(client, seller, platform, seller_books):
    before = platform.total()

    client.v1.payment_intents.create(
        payment(1000, application_fee_amount=123, transfer_data={"destination": seller.id})
    )

    assert platform.total() - before == 64
    assert seller_books.total() == 877


def test_create_then_confirm_reaches_the_same_rows(client, seller, seller_books):
    intent = client.v1.payment_intents.create(
        {
            "amount": 10000,
            "currency": "usd",
            "application_fee_amount": 1000,
            "transfer_data": {"destination": seller.id},
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    assert intent.status == "requires_payment_method"
    assert intent.latest_charge is None

    intent = client.v1.payment_intents.update(intent.id, {"payment_method": "pm_card_visa"})
    assert intent.status == "requires_confirmation"
    assert seller_books.total() == 0

    intent = client.v1.payment_intents.confirm(intent.id)
    assert intent.status == "succeeded"
    assert seller_books.rows(1) == [Row("payment", 10000, 1000, 9000)]


def test_amount_may_change_before_confirmation(client, seller, seller_books):
    intent = client.v1.payment_intents.create(
        payment(10000, confirm=False, transfer_data={"destination": seller.id})
    )
    assert intent.status == "requires_confirmation"

    client.v1.payment_intents.update(intent.id, {"amount": 4000})
    client.v1.payment_intents.confirm(intent.id)

    assert seller_books.total() == 4000


def test_intents_and_charges_are_listed_by_customer(client, seller):
    customer = client.v1.customers.create()
    intent = client.v1.payment_intents.create(
        payment(customer=customer.id, transfer_data={"destination": seller.id})
    )

    def read_intents():
        return client.v1.payment_intents.list({"customer": customer.id})

    def read_charges():
        return client.v1.charges.list({"customer": customer.id})

    intents = eventually(read_intents, lambda page: len(page.data) == 1)
    charges = eventually(read_charges, lambda page: len(page.data) == 1)

    assert [found.id for found in intents.data] == [intent.id]
    assert [found.id for found in charges.data] == [intent.latest_charge]


def test_charge_update_changes_description_and_metadata(client, seller):
    intent = client.v1.payment_intents.create(payment(transfer_data={"destination": seller.id}))

    charge = client.v1.charges.update(
        intent.latest_charge, {"description": "order 17", "metadata": {"packed": "yes"}}
    )

    assert charge.description == "order 17"
    assert charge.metadata.to_dict() == {"packed": "yes"}
    assert client.v1.payment_intents.retrieve(intent.id).metadata.to_dict() == {}


def test_account_without_transfers_capability_is_refused_as_destination(client):
    account = client.v1.accounts.create(
        {"type": "custom", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    )

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(payment(transfer_data={"destination": account.id}))

    assert caught.value.http_status == 400
    assert caught.value.code == "insufficient_capabilities_for_transfer"


def test_seller_with_transfers_only_can_be_paid(client, new_seller):
    account = new_seller(seller_params(capabilities={"transfers": {"requested": True}}))

    client.v1.payment_intents.create(
        payment(10000, application_fee_amount=1000, transfer_data={"destination": account.id})
    )

    assert Books(client, account.id).total() == 9000
