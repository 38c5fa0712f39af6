"""Events: what is told, to whom, and in which form."""

import pytest
import stripe

from support import acting_for, eventually, find_event, payment, unique


@pytest.fixture
def sale(client, seller):
    return client.v1.payment_intents.create(
        payment(
            10000,
            application_fee_amount=1000,
            transfer_data={"destination": seller.id},
            expand=["latest_charge.transfer"],
        )
    )


def test_destination_charge_tells_the_platform(client, sale):
    charge = sale.latest_charge

    for kind, object_id in (
        ("payment_intent.created", sale.id),
        ("payment_intent.succeeded", sale.id),
        ("charge.succeeded", charge.id),
        ("transfer.created", charge.transfer.id),
        ("application_fee.created", charge.application_fee),
    ):
        event = find_event(client, kind, object_id)
        assert event is not None, kind
        assert event.type == kind
        assert getattr(event, "account", None) is None


def test_destination_charge_tells_the_seller(client, sale, seller):
    event = find_event(client, "payment.created", sale.latest_charge.transfer.destination_payment, seller.id)

    assert event is not None
    assert event.account == seller.id
    assert event.data.object.amount == 10000
    assert event.data.object.object == "charge"


def test_event_has_the_documented_shape(client, sale):
    event = find_event(client, "payment_intent.succeeded", sale.id)

    assert event.id.startswith("evt_")
    assert event.object == "event"
    assert event.livemode is False
    assert event.api_version
    assert event.created >= sale.created
    assert isinstance(event.pending_webhooks, int)
    assert event.request.id.startswith("req_")
    # Expandable fields are ids in the snapshot, whatever the request expanded.
    assert event.data.object.latest_charge == sale.latest_charge.id
    assert event.data.object.status == "succeeded"


def test_event_names_the_request_that_caused_it(client):
    key = unique("key")
    customer = client.v1.customers.create({"name": "Jenny"}, {"idempotency_key": key})

    event = find_event(client, "customer.created", customer.id)

    assert event.request.id == customer.last_response.request_id
    assert event.request.idempotency_key == key


def test_event_is_retrieved_by_id(client, sale):
    event = find_event(client, "charge.succeeded", sale.latest_charge.id)

    assert client.v1.events.retrieve(event.id).to_dict() == event.to_dict()


def test_event_of_a_seller_is_not_the_platforms(client, sale, seller):
    event = find_event(client, "payment.created", sale.latest_charge.transfer.destination_payment, seller.id)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.events.retrieve(event.id)
    assert caught.value.http_status == 404
    assert client.v1.events.retrieve(event.id, options=acting_for(seller)).id == event.id


def test_snapshot_is_frozen(client, sale):
    charge = sale.latest_charge.id
    client.v1.refunds.create({"charge": charge, "reverse_transfer": True, "refund_application_fee": True})

    assert client.v1.charges.retrieve(charge).amount_refunded == 10000
    assert find_event(client, "charge.succeeded", charge).data.object.amount_refunded == 0
    assert find_event(client, "charge.refunded", charge).data.object.amount_refunded == 10000


def test_update_event_holds_the_old_values_of_what_changed(client):
    customer = client.v1.customers.create({"name": "Jenny", "description": "same"})
    client.v1.customers.update(customer.id, {"name": "Jenny Rosen"})

    event = find_event(client, "customer.updated", customer.id)

    assert event.data.previous_attributes.to_dict() == {"name": "Jenny"}
    assert event.data.object.name == "Jenny Rosen"


def test_account_events_go_to_the_account(client, seller):
    client.v1.accounts.update(seller.id, {"metadata": {"shop": "17"}})

    event = find_event(client, "account.updated", seller.id, seller.id)

    assert event is not None
    assert event.account == seller.id


def test_events_are_filtered_by_several_types_and_page(client, sale):
    kinds = ["transfer.created", "application_fee.created"]

    def read():
        page = client.v1.events.list({"types": kinds, "limit": 2})
        newest = []
        for event in page.auto_paging_iter():
            newest.append(event)
            if len(newest) == 5:
                break
        return newest

    newest = eventually(read, lambda found: len(found) >= 2)

    assert {event.type for event in newest} <= set(kinds)
    assert len({event.id for event in newest}) == len(newest)
