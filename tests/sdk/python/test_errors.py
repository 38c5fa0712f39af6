"""What is refused, and with which words."""

import pytest
import stripe

from support import KEY, URL, acting_for, payment, unique


def refused(call, status=400):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    error = caught.value
    assert error.http_status == status
    assert error.error.type == "invalid_request_error"
    assert error.user_message
    assert error.request_id.startswith("req_")
    return error


# --- keys and accounts --------------------------------------------------------------------------


def test_wrong_key_is_an_authentication_error_that_masks_the_key():
    wrong = "sk_test_wrongwrongwrongwrongabcd"
    client = stripe.StripeClient(wrong, base_addresses={"api": URL})

    with pytest.raises(stripe.AuthenticationError) as caught:
        client.v1.balance.retrieve()

    assert caught.value.http_status == 401
    message = caught.value.user_message
    assert message.startswith("Invalid API Key provided: sk_test_")
    assert message.endswith("abcd")
    assert wrong not in message


def test_right_key_with_a_wrong_ending_is_refused():
    client = stripe.StripeClient(KEY + "x", base_addresses={"api": URL})

    with pytest.raises(stripe.AuthenticationError):
        client.v1.balance.retrieve()


def test_unknown_account_in_the_header_is_a_permission_error(client):
    with pytest.raises(stripe.PermissionError) as caught:
        client.v1.balance.retrieve(options=acting_for("acct_1Nobody000000000"))

    assert caught.value.http_status == 403
    assert caught.value.error.code == "account_invalid"


# --- unknown things -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read, param",
    [
        (lambda v1: v1.charges.retrieve("ch_nowhere"), "id"),
        (lambda v1: v1.customers.retrieve("cus_nowhere"), "id"),
        (lambda v1: v1.payment_intents.retrieve("pi_nowhere"), "intent"),
        (lambda v1: v1.transfers.retrieve("tr_nowhere"), "transfer"),
        (lambda v1: v1.payouts.retrieve("po_nowhere"), "payout"),
    ],
    ids=["charge", "customer", "payment_intent", "transfer", "payout"],
)
def test_unknown_id_in_the_path_is_not_found(client, read, param):
    error = refused(lambda: read(client.v1), status=404)

    assert error.code == "resource_missing"
    assert error.param == param
    assert "nowhere" in error.user_message


@pytest.mark.parametrize(
    "call",
    [
        lambda v1: v1.payment_intents.confirm("pi_nowhere"),
        lambda v1: v1.payment_intents.capture("pi_nowhere"),
        lambda v1: v1.payment_intents.cancel("pi_nowhere"),
        lambda v1: v1.transfers.reversals.create("tr_nowhere"),
        lambda v1: v1.application_fees.refunds.create("fee_nowhere"),
        lambda v1: v1.customers.update("cus_nowhere", {"name": "x"}),
        lambda v1: v1.payment_methods.detach("pm_nowhere"),
        lambda v1: v1.balance_transactions.retrieve("txn_nowhere"),
        lambda v1: v1.events.retrieve("evt_nowhere"),
        lambda v1: v1.refunds.retrieve("re_nowhere"),
        lambda v1: v1.application_fees.retrieve("fee_nowhere"),
        lambda v1: v1.tokens.retrieve("tok_nowhere"),
    ],
)
def test_unknown_id_is_not_found_by_any_verb(client, call):
    assert refused(lambda: call(client.v1), status=404).code == "resource_missing"


@pytest.mark.parametrize(
    "call, param",
    [
        (lambda v1: v1.payment_intents.create(payment(payment_method="pm_nowhere")), "payment_method"),
        (lambda v1: v1.payment_intents.create(payment(customer="cus_nowhere")), "customer"),
        (
            lambda v1: v1.payment_intents.create(payment(transfer_data={"destination": "acct_nobody"})),
            "transfer_data[destination]",
        ),
        (lambda v1: v1.refunds.create({"charge": "ch_nowhere"}), "charge"),
        (lambda v1: v1.refunds.create({"payment_intent": "pi_nowhere"}), "payment_intent"),
        (lambda v1: v1.payment_methods.attach("pm_card_visa", {"customer": "cus_nowhere"}), "customer"),
    ],
)
def test_unknown_id_in_the_body_is_a_bad_request(client, call, param):
    error = refused(lambda: call(client.v1))

    assert error.code == "resource_missing"
    assert error.param == param


def test_unknown_url_is_not_found_and_has_no_code(client):
    error = refused(lambda: client.raw_request("get", "/v1/nope"), status=404)

    assert error.user_message.startswith("Unrecognized request URL (GET: /v1/nope)")
    assert error.code is None


def test_unknown_method_on_a_known_url_is_not_found(client):
    refused(lambda: client.raw_request("delete", "/v1/balance"), status=404)


# --- parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, name",
    [
        ({"foo": 1}, "foo"),
        ({"transfer_data": {"destination": "acct_x", "foo": "1"}}, "transfer_data[foo]"),
        ({"automatic_payment_methods": {"enabled": True, "foo": "1"}}, "automatic_payment_methods[foo]"),
    ],
)
def test_unknown_parameter_is_named(client, params, name):
    error = refused(lambda: client.v1.payment_intents.create({"amount": 1000, "currency": "usd", **params}))

    assert error.code == "parameter_unknown"
    assert error.param == name
    assert error.user_message == f"Received unknown parameter: {name}"


def test_unknown_parameter_of_a_list_is_named(client):
    error = refused(lambda: client.v1.charges.list({"foo": "1"}))

    assert (error.code, error.param) == ("parameter_unknown", "foo")


@pytest.mark.parametrize(
    "params, missing",
    [({"amount": 1000}, "currency"), ({"currency": "usd"}, "amount")],
)
def test_missing_parameter_is_named(client, params, missing):
    error = refused(lambda: client.v1.payment_intents.create(params))

    assert error.code == "parameter_missing"
    assert error.param == missing
    assert error.user_message.startswith(f"Missing required param: {missing}.")


@pytest.mark.parametrize("amount", ["10.5", "ten", "1e3", "0x10"])
def test_what_is_no_integer_is_refused(client, amount):
    error = refused(lambda: client.v1.payment_intents.create({"amount": amount, "currency": "usd"}))

    assert error.code == "parameter_invalid_integer"
    assert error.param == "amount"
    assert error.user_message == f"Invalid integer: {amount}"


def test_integer_beyond_64_bits_is_refused(client):
    error = refused(lambda: client.v1.payment_intents.create({"amount": "99999999999999999999", "currency": "usd"}))

    assert error.code in ("parameter_invalid_integer", "amount_too_large")


def test_float_from_the_sdk_is_no_integer(client):
    error = refused(lambda: client.v1.payment_intents.create({"amount": 10.5, "currency": "usd"}))

    assert error.code == "parameter_invalid_integer"


def test_negative_amount_is_refused(client):
    error = refused(lambda: client.v1.payment_intents.create({"amount": -100, "currency": "usd"}))

    assert error.code == "parameter_invalid_integer"
    assert error.param == "amount"


@pytest.mark.parametrize("amount, currency", [(49, "usd"), (44, "eur"), (29, "gbp"), (49, "jpy")])
def test_amount_below_the_minimum_is_refused(client, amount, currency):
    # What is converted must reach the 0.50 usd of the platform: 0.44 eur are 0.484 usd.
    error = refused(lambda: client.v1.payment_intents.create({"amount": amount, "currency": currency}))

    assert error.code == "amount_too_small"


def test_smallest_amount_is_accepted(client):
    assert client.v1.payment_intents.create(payment(50)).status == "succeeded"


def test_amount_above_eight_digits_is_refused(client):
    error = refused(lambda: client.v1.payment_intents.create({"amount": 100000000, "currency": "usd"}))

    assert error.code == "amount_too_large"


def test_value_outside_the_allowed_ones_is_refused(client):
    error = refused(
        lambda: client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "capture_method": "sometimes"})
    )

    assert error.param == "capture_method"
    assert "manual" in error.user_message


def test_unknown_currency_is_refused(client):
    assert refused(lambda: client.v1.payment_intents.create({"amount": 1000, "currency": "zzz"})).param == "currency"


def test_fee_and_transfer_amount_exclude_each_other(client, seller):
    refused(
        lambda: client.v1.payment_intents.create(
            payment(application_fee_amount=1000, transfer_data={"destination": seller.id, "amount": 9000})
        )
    )


def test_fee_on_a_plain_platform_charge_is_refused(client):
    refused(lambda: client.v1.payment_intents.create(payment(application_fee_amount=1000)))


@pytest.mark.parametrize("fee", [10000, 10001])
def test_fee_of_the_whole_amount_is_refused(client, seller, fee):
    error = refused(
        lambda: client.v1.payment_intents.create(
            payment(10000, application_fee_amount=fee, transfer_data={"destination": seller.id})
        )
    )

    assert error.param == "application_fee_amount"


def test_transfer_amount_above_the_amount_is_refused(client, seller):
    refused(
        lambda: client.v1.payment_intents.create(
            payment(10000, transfer_data={"destination": seller.id, "amount": 10001})
        )
    )


def test_charge_and_intent_of_a_refund_exclude_each_other(client):
    intent = client.v1.payment_intents.create(payment())

    refused(lambda: client.v1.refunds.create({"charge": intent.latest_charge, "payment_intent": intent.id}))


def test_refusal_leaves_nothing_behind(client, seller, seller_books, platform):
    before = platform.total()

    refused(
        lambda: client.v1.payment_intents.create(
            payment(10000, application_fee_amount=10000, transfer_data={"destination": seller.id})
        )
    )

    assert platform.total() == before
    assert seller_books.rows(0) == []


# --- nested arrays ------------------------------------------------------------------------------


def test_array_of_strings(client):
    intent = client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "allowed_payment_method_types": ["card"]}
    )

    assert list(intent.payment_method_types) == ["card"]


def test_older_name_of_the_method_types_is_accepted(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "payment_method_types": ["card"]})

    assert list(intent.payment_method_types) == ["card"]


# --- expand -------------------------------------------------------------------------------------


def test_expand_in_create(client):
    intent = client.v1.payment_intents.create(payment(expand=["latest_charge.balance_transaction"]))

    assert intent.latest_charge.object == "charge"
    assert intent.latest_charge.balance_transaction.object == "balance_transaction"


def test_expand_in_retrieve(client, seller):
    intent = client.v1.payment_intents.create(payment(transfer_data={"destination": seller.id}))

    expanded = client.v1.payment_intents.retrieve(
        intent.id, {"expand": ["latest_charge.transfer", "payment_method", "transfer_data.destination"]}
    )

    assert expanded.latest_charge.transfer.object == "transfer"
    assert expanded.payment_method.object == "payment_method"
    assert expanded.transfer_data.destination.id == seller.id


def test_expand_in_a_list(client):
    client.v1.payment_intents.create(payment())

    page = client.v1.charges.list({"limit": 3, "expand": ["data.balance_transaction"]})

    settled = [charge for charge in page.data if charge.captured]
    assert all(charge.balance_transaction.object == "balance_transaction" for charge in settled)


def test_expand_of_what_is_null_stays_null(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "expand": ["customer"]})

    assert intent.customer is None


@pytest.mark.parametrize("path", ["foo", "latest_charge.foo", "amount"])
def test_what_cannot_be_expanded_is_named(client, path):
    intent = client.v1.payment_intents.create(payment())

    error = refused(lambda: client.v1.payment_intents.retrieve(intent.id, {"expand": [path]}))

    assert "This property cannot be expanded" in error.user_message
    assert path.split(".")[-1] in error.user_message


def test_expand_below_four_levels_is_refused(client, seller):
    intent = client.v1.payment_intents.create(payment(transfer_data={"destination": seller.id}))

    refused(
        lambda: client.v1.payment_intents.retrieve(
            intent.id, {"expand": ["latest_charge.transfer.source_transaction.balance_transaction.source"]}
        )
    )


def test_list_expands_below_data_only(client):
    refused(lambda: client.v1.charges.list({"expand": ["balance_transaction"]}))


# --- metadata -----------------------------------------------------------------------------------


def test_metadata_merges_removes_and_clears(client):
    customer = client.v1.customers.create({"metadata": {"a": "1", "b": "2"}})

    merged = client.v1.customers.update(customer.id, {"metadata": {"b": "3", "c": "4"}})
    assert merged.metadata.to_dict() == {"a": "1", "b": "3", "c": "4"}

    without_a = client.v1.customers.update(customer.id, {"metadata": {"a": ""}})
    assert without_a.metadata.to_dict() == {"b": "3", "c": "4"}

    untouched = client.v1.customers.update(customer.id, {"name": "Jenny"})
    assert untouched.metadata.to_dict() == {"b": "3", "c": "4"}

    cleared = client.v1.customers.update(customer.id, {"metadata": ""})
    assert cleared.metadata.to_dict() == {}


def test_metadata_values_are_strings(client):
    customer = client.v1.customers.create({"metadata": {"number": 17, "flag": True, "text": "17"}})

    assert customer.metadata.to_dict() == {"number": "17", "flag": "true", "text": "17"}


def test_metadata_at_its_limits_is_accepted(client):
    metadata = {f"key_{number}": "v" for number in range(49)}
    metadata["k" * 40] = "v" * 500

    assert len(client.v1.customers.create({"metadata": metadata}).metadata.to_dict()) == 50


@pytest.mark.parametrize(
    "metadata",
    [
        {f"key_{number}": "v" for number in range(51)},
        {"k" * 41: "v"},
        {"k": "v" * 501},
    ],
    ids=["51 keys", "a key of 41", "a value of 501"],
)
def test_metadata_beyond_its_limits_is_refused(client, metadata):
    assert refused(lambda: client.v1.customers.create({"metadata": metadata})).param == "metadata"


def test_merge_counts_the_keys_that_are_there(client):
    customer = client.v1.customers.create({"metadata": {f"key_{number}": "v" for number in range(50)}})

    refused(lambda: client.v1.customers.update(customer.id, {"metadata": {unique("k")[:40]: "v"}}))


# --- currencies and texts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "amount, currency",
    [(501, "isk"), (50001, "ugx"), (5124, "kwd")],
    ids=["krona in hundreds", "shilling in hundreds", "dinar ends in zero"],
)
def test_amount_that_the_currency_cannot_have_is_refused(client, amount, currency):
    error = refused(lambda: client.v1.payment_intents.create({"amount": amount, "currency": currency}))

    assert (error.code, error.param) == ("parameter_invalid_integer", "amount")


@pytest.mark.parametrize("amount, currency", [(500, "jpy"), (50001, "huf"), (100000000, "idr"), (50000, "isk")])
def test_amount_that_the_currency_can_have_is_accepted(client, amount, currency):
    intent = client.v1.payment_intents.create({"amount": amount, "currency": currency})

    assert (intent.amount, intent.currency) == (amount, currency)


@pytest.mark.parametrize("name", ["statement_descriptor", "statement_descriptor_suffix"])
@pytest.mark.parametrize("text", ["A" * 23, "12345", "A<B", "A>B", "A\\B", "A'B", 'A"B', "A*B"])
def test_statement_descriptor_that_no_bank_prints_is_refused(client, name, text):
    assert refused(
        lambda: client.v1.payment_intents.create({"amount": 1000, "currency": "usd", name: text})
    ).param == name


@pytest.mark.parametrize(
    "params, param",
    [
        ({"confirm": "yes"}, "confirm"),
        ({"transfer_data": "x"}, "transfer_data"),
        ({"receipt_email": "nobody"}, "receipt_email"),
        ({"description": {"a": "b"}}, "description"),
        ({"setup_future_usage": "sometimes"}, "setup_future_usage"),
    ],
)
def test_value_of_the_wrong_kind_is_refused(client, params, param):
    assert refused(lambda: client.v1.payment_intents.create({"amount": 1000, "currency": "usd", **params})).param == param


@pytest.mark.parametrize("name", ["amount", "currency"])
def test_what_cannot_be_unset_is_refused_empty(client, name):
    error = refused(lambda: client.v1.payment_intents.create({"amount": 1000, "currency": "usd", name: ""}))

    assert (error.code, error.param) == ("parameter_invalid_empty", name)


def test_payment_that_may_redirect_needs_a_return_url(client):
    open_to_all = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}

    refused(lambda: client.v1.payment_intents.create(open_to_all))

    assert client.v1.payment_intents.create({**open_to_all, "return_url": "https://example.com"}).status == "succeeded"


def test_payment_that_may_redirect_needs_a_return_url_to_be_confirmed_later_too(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"})

    error = refused(lambda: client.v1.payment_intents.confirm(intent.id))

    assert error.error.payment_intent.id == intent.id
    assert client.v1.payment_intents.confirm(intent.id, {"return_url": "https://example.com"}).status == "succeeded"


def test_payment_without_a_word_on_methods_takes_all(client):
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})

    assert intent.automatic_payment_methods.to_dict() == {"enabled": True, "allow_redirects": "always"}
