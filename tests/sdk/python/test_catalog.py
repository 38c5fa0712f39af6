"""Products and prices, and the rates that money is converted by."""

from decimal import Decimal

import pytest
import stripe

from support import acting_for, find_event, request, unique


@pytest.fixture
def product(client):
    return client.v1.products.create({"name": "Chair", "metadata": {"wood": "oak"}})


def price_params(of, **changes):
    return {"currency": "eur", "unit_amount": 4900, "product": of.id, **changes}


# --- products -----------------------------------------------------------------------------------


def test_product_is_made_read_changed_and_deleted(client):
    product = client.v1.products.create(
        {
            "name": "Chair",
            "description": "Four legs",
            "images": ["https://example.com/1.png", "https://example.com/2.png"],
            "marketing_features": [{"name": "sturdy"}, {"name": "light"}],
            "shippable": True,
            "unit_label": "piece",
            "statement_descriptor": "CHAIR",
            "url": "https://example.com/chair",
            "metadata": {"wood": "oak"},
        }
    )

    assert product.object == "product"
    assert product.id.startswith("prod_")
    assert (product.active, product.livemode, product.type, product.shippable) == (True, False, "service", True)
    assert product.images == ["https://example.com/1.png", "https://example.com/2.png"]
    assert [feature.name for feature in product.marketing_features] == ["sturdy", "light"]
    assert product.updated == product.created
    assert client.v1.products.retrieve(product.id).to_dict() == product.to_dict()

    changed = client.v1.products.update(
        product.id, {"name": "Stool", "active": False, "images": [], "description": "", "metadata": {"wood": "", "legs": "3"}}
    )
    assert (changed.name, changed.active, changed.description) == ("Stool", False, None)
    assert changed.metadata.to_dict() == {"legs": "3"}
    assert changed.unit_label == "piece"
    event = find_event(client, "product.updated", product.id)
    assert event.data.previous_attributes["name"] == "Chair"
    assert event.data.previous_attributes["active"] is True

    gone = client.v1.products.delete(product.id)
    assert (gone.id, gone.object, gone.deleted) == (product.id, "product", True)
    assert find_event(client, "product.deleted", product.id).data.object["name"] == "Stool"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.products.retrieve(product.id)
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_products_are_listed_by_what_they_are(client):
    url = f"https://example.com/{unique('product')}"
    products = [client.v1.products.create({"name": f"Chair {n}", "url": url, "active": n != 1}) for n in range(3)]
    newest_first = [product.id for product in reversed(products)]

    def ids(**filters):
        return [found.id for found in client.v1.products.list({"url": url, **filters}).data]

    assert ids() == newest_first
    assert ids(active=False) == [products[1].id]
    assert ids(ids=[products[0].id, products[2].id]) == [products[2].id, products[0].id]
    assert ids(shippable=True) == []
    assert ids(type="service", limit=1) == newest_first[:1]
    assert ids(starting_after=newest_first[0]) == newest_first[1:]
    assert ids(ending_before=newest_first[2]) == newest_first[:2]
    assert ids(created={"gt": products[2].created}) == []


def test_product_with_prices_cannot_be_deleted(client, product):
    client.v1.prices.create(price_params(product))

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.products.delete(product.id)

    assert "prices" in caught.value.user_message


def test_product_with_its_first_price(client):
    product = client.v1.products.create(
        {
            "name": "Newspaper",
            "default_price_data": {
                "currency": "usd",
                "unit_amount": 250,
                "recurring": {"interval": "week"},
                "metadata": {"a": "b"},
            },
            "expand": ["default_price"],
        }
    )

    price = product.default_price
    assert (price.object, price.product, price.unit_amount, price.type) == ("price", product.id, 250, "recurring")
    assert price.recurring.interval == "week"
    assert price.metadata.to_dict() == {"a": "b"}
    assert product.metadata.to_dict() == {}
    assert find_event(client, "price.created", price.id)


def test_ids_are_florin_s_to_make(client):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.products.create({"name": "Chair", "id": "chair"})

    assert (caught.value.http_status, caught.value.param) == (400, "id")


# --- prices -------------------------------------------------------------------------------------


def test_price_is_made_read_and_changed(client, product):
    price = client.v1.prices.create(price_params(product, nickname="Full", lookup_key="chair", tax_behavior="inclusive"))

    assert price.id.startswith("price_")
    assert (price.currency, price.unit_amount, price.unit_amount_decimal) == ("eur", 4900, Decimal(4900))
    assert (price.type, price.recurring, price.billing_scheme) == ("one_time", None, "per_unit")
    assert (price.nickname, price.lookup_key, price.tax_behavior) == ("Full", "chair", "inclusive")
    assert client.v1.prices.retrieve(price.id, {"expand": ["product"]}).product.name == "Chair"

    changed = client.v1.prices.update(price.id, {"active": False, "nickname": "Old", "metadata": {"a": "b"}})
    assert (changed.active, changed.nickname, changed.metadata.to_dict()) == (False, "Old", {"a": "b"})
    assert find_event(client, "price.updated", price.id).data.previous_attributes["nickname"] == "Full"


def test_fraction_of_a_cent(client, product):
    params = price_params(product)
    del params["unit_amount"]
    price = client.v1.prices.create({**params, "unit_amount_decimal": "0.0500"})
    whole = client.v1.prices.create({**params, "unit_amount_decimal": "12.0"})

    assert (price.unit_amount, price.unit_amount_decimal) == (None, Decimal("0.05"))
    assert (whole.unit_amount, whole.unit_amount_decimal) == (12, Decimal(12))


def test_price_with_its_product(client):
    price = client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 100,
            "recurring": {"interval": "month", "interval_count": 3},
            "product_data": {"name": "Magazine", "metadata": {"pages": "64"}},
        }
    )

    product = client.v1.products.retrieve(price.product)
    assert (product.name, product.metadata.to_dict(), product.default_price) == ("Magazine", {"pages": "64"}, None)
    assert (price.recurring.interval_count, price.metadata.to_dict()) == (3, {})


def test_prices_are_listed_by_what_they_are(client, product):
    one = client.v1.prices.create(price_params(product, lookup_key=unique("key")))
    monthly = client.v1.prices.create(price_params(product, recurring={"interval": "month"}))
    dollars = client.v1.prices.create(price_params(product, currency="usd", active=False))

    def ids(**filters):
        return [found.id for found in client.v1.prices.list({"product": product.id, **filters}).data]

    assert ids() == [dollars.id, monthly.id, one.id]
    assert ids(active=True) == [monthly.id, one.id]
    assert ids(currency="usd") == [dollars.id]
    assert ids(type="recurring") == [monthly.id]
    assert ids(recurring={"interval": "month"}) == [monthly.id]
    assert ids(lookup_keys=[one.lookup_key]) == [one.id]


@pytest.mark.parametrize(
    "changes, param, code",
    [
        ({"product": "prod_nowhere"}, "product", "resource_missing"),
        ({"product": None}, "product", "parameter_missing"),
        ({"unit_amount": None}, "unit_amount", "parameter_missing"),
        ({"unit_amount": -1}, "unit_amount", "parameter_invalid_integer"),
        ({"unit_amount_decimal": "1"}, "unit_amount", "parameters_exclusive"),
        ({"unit_amount": None, "unit_amount_decimal": "-1"}, "unit_amount_decimal", None),
        ({"unit_amount": None, "unit_amount_decimal": "0.0000000000001"}, "unit_amount_decimal", None),
        ({"currency": "zzz"}, "currency", None),
        ({"recurring": {"interval": "hour"}}, "recurring[interval]", None),
        ({"recurring": {"interval_count": 2}}, "recurring[interval]", "parameter_missing"),
        ({"recurring": {"interval": "year", "interval_count": 4}}, "recurring[interval_count]", "parameter_invalid_integer"),
        ({"tiers_mode": "graduated"}, "tiers_mode", "parameter_unknown"),
    ],
)
def test_prices_that_are_refused(client, product, changes, param, code):
    params = {name: value for name, value in price_params(product, **changes).items() if value is not None}

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.prices.create(params)

    assert (caught.value.http_status, caught.value.param, caught.value.code) == (400, param, code)


def test_default_price_is_one_of_the_product_s_own(client, product):
    own = client.v1.prices.create(price_params(product))
    other = client.v1.prices.create(price_params(client.v1.products.create({"name": "Table"})))

    assert client.v1.products.update(product.id, {"default_price": own.id}).default_price == own.id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.products.update(product.id, {"default_price": other.id})
    assert caught.value.param == "default_price"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.prices.update(own.id, {"active": False})
    assert caught.value.param == "active"


def test_catalog_of_a_seller_is_the_seller_s(client, seller):
    product = client.v1.products.create({"name": "Chair"}, acting_for(seller))
    price = client.v1.prices.create(price_params(product), acting_for(seller))

    for path in (f"/v1/products/{product.id}", f"/v1/prices/{price.id}"):
        assert request("GET", path).status == 404
        assert request("GET", path, headers={"Stripe-Account": seller.id}).status == 200


# --- exchange rates -----------------------------------------------------------------------------


def test_rates_are_those_that_money_is_converted_by(client):
    rates = client.v1.exchange_rates.retrieve("usd")

    assert (rates.id, rates.object) == ("usd", "exchange_rate")
    # Fixed for the suite.
    assert rates.rates["eur"] == 0.90
    assert client.v1.exchange_rates.retrieve("eur").rates["usd"] == 1.10
    assert rates.rates["usd"] == 1
    assert 50 < rates.rates["jpy"] < 500


def test_rates_are_listed_by_currency(client):
    page = client.v1.exchange_rates.list({"limit": 3})

    every = [rates.id for rates in page.auto_paging_iter()]
    assert every == sorted(every)
    assert {"usd", "eur", "gbp", "jpy"} <= set(every)
    back = client.v1.exchange_rates.list({"limit": 2, "ending_before": every[3]})
    assert [rates.id for rates in back.data] == every[1:3]


def test_unknown_rate_is_not_found(client):
    for currency in ("zzz", "xau"):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.exchange_rates.retrieve(currency)
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
