"""Searches: the query language over charges, payment intents and customers."""

import pytest
import stripe

from support import acting_for, payment, unique


@pytest.fixture(scope="module")
def shop(client):
    """Six payments with a metadata value of their own, newest first; one of them declined, one in euro."""
    mark = unique("shop")
    intents = [
        client.v1.payment_intents.create(payment(1000 + step, metadata={"shop": mark, "step": str(step)}))
        for step in range(4)
    ]
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(
            payment(1004, payment_method="pm_card_visa_chargeDeclined", metadata={"shop": mark, "step": "4"})
        )
    intents.append(caught.value.error.payment_intent)
    intents.append(client.v1.payment_intents.create(payment(1005, currency="eur", metadata={"shop": mark, "step": "5"})))
    return mark, [intent.id for intent in reversed(intents)]


def steps(page):
    return [int(found.metadata["step"]) for found in page.data]


def test_search_result_has_the_documented_shape(client, shop):
    mark, _ = shop

    page = client.v1.payment_intents.search({"query": f'metadata["shop"]:"{mark}"', "limit": 4})

    assert page.object == "search_result"
    assert page.url == "/v1/payment_intents/search"
    assert page.has_more is True
    assert page.next_page
    assert steps(page) == [5, 4, 3, 2]


@pytest.mark.parametrize(
    "clause, expected",
    [
        ("", [5, 4, 3, 2, 1, 0]),
        ("AND amount>1002", [5, 4, 3]),
        ("amount>=1002 amount<1005", [4, 3, 2]),
        ('AND status:"succeeded"', [5, 3, 2, 1, 0]),
        ('AND -status:"succeeded"', [4]),
        ('and currency:"EUR"', [5]),
        ('AND -currency:"usd"', [5]),
        ('AND metadata["step"]:"2"', [2]),
        ("AND metadata['step']:'2'", [2]),
        ('AND metadata["nothing"]:null', [5, 4, 3, 2, 1, 0]),
        ('AND -metadata["nothing"]:null', []),
        ("AND customer:null", [5, 4, 3, 2, 1, 0]),
        ("AND created>1", [5, 4, 3, 2, 1, 0]),
        ("AND created<1", []),
    ],
)
def test_clauses(client, shop, clause, expected):
    mark, _ = shop

    page = client.v1.payment_intents.search({"query": f'metadata["shop"]:"{mark}" {clause}', "limit": 100})

    assert steps(page) == expected
    assert page.has_more is False
    assert page.next_page is None


def test_any_of_several_is_enough(client, shop):
    mark, ids = shop
    query = f'metadata["shop"]:"{mark}" OR metadata["shop"]:"nobody"'

    assert [found.id for found in client.v1.payment_intents.search({"query": query}).data] == ids


def test_auto_pagination_gives_each_once(client, shop):
    mark, ids = shop

    page = client.v1.payment_intents.search({"query": f'metadata["shop"]:"{mark}"', "limit": 2})

    assert [found.id for found in page.auto_paging_iter()] == ids


def test_charges_by_card_and_amount(client, shop):
    mark, _ = shop
    query = f'metadata["shop"]:"{mark}" AND payment_method_details.card.last4:4242 AND amount<1002'

    page = client.v1.charges.search({"query": query, "expand": ["data.balance_transaction"]})

    assert steps(page) == [1, 0]
    assert page.data[0].balance_transaction.object == "balance_transaction"
    failed = client.v1.charges.search({"query": f'metadata["shop"]:"{mark}" AND status:"failed"'})
    assert steps(failed) == [4]


def test_customers_by_part_of_their_address(client):
    name = unique("jenny")
    customer = client.v1.customers.create({"name": name, "email": f"{name}@Example.com", "phone": "+1555"})

    for query in (f'email~"{name[3:]}"', f'email:"{name}@example.com"', f'name:"{name.upper()}" AND phone~"155"'):
        assert [found.id for found in client.v1.customers.search({"query": query}).data] == [customer.id], query


def test_search_sees_what_was_just_done_and_what_is_one_s_own(client, seller):
    mark = unique("mark")
    query = {"query": f'metadata["mark"]:"{mark}"'}
    client.v1.customers.create({"metadata": {"mark": mark}}, acting_for(seller))

    assert len(client.v1.customers.search(query, acting_for(seller)).data) == 1
    assert client.v1.customers.search(query).data == []


@pytest.mark.parametrize(
    "params, param, words",
    [
        ({}, "query", "Missing required param: query."),
        ({"query": "succeeded"}, "query", "We were unable to parse your search query."),
        ({"query": 'metadata[order]:"7"'}, "query", "We were unable to parse your search query."),
        ({"query": 'description:"x"'}, "query", "Field `description` is an unsupported search field for resource `charges`"),
        ({"query": 'status:"a" AND amount:1 OR amount:2'}, "query", "A search query cannot combine AND and OR"),
        ({"query": "amount:1", "page": "nowhere"}, "page", "Invalid page"),
        ({"query": "amount:1", "limit": 101}, "limit", "This value must be less than or equal to 100."),
        ({"query": "amount:1", "starting_after": "ch_1"}, "starting_after", "Received unknown parameter: starting_after"),
    ],
)
def test_searches_that_are_refused(client, params, param, words):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.charges.search(params)

    assert (caught.value.http_status, caught.value.param) == (400, param)
    assert caught.value.user_message.startswith(words)
