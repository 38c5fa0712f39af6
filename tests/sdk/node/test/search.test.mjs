// Searches through the Node SDK, which pages through them in its own way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripe, unique } from '../support.mjs';

test('a search is paged through to its end', async () => {
  const shop = unique('shop');
  const made = [];
  for (let step = 0; step < 5; step += 1) {
    made.unshift((await stripe.customers.create({ name: `Jenny ${step}`, metadata: { shop } })).id);
  }
  const query = `metadata["shop"]:"${shop}"`;

  const found = await stripe.customers.search({ query, limit: 2 }).autoPagingToArray({ limit: 100 });

  assert.deepEqual(found.map((customer) => customer.id), made);
  const page = await stripe.customers.search({ query: `${query} AND name~"ny 3"` });
  assert.equal(page.object, 'search_result');
  assert.deepEqual(page.data.map((customer) => customer.name), ['Jenny 3']);
});

test('a query that cannot be read is refused', async () => {
  await assert.rejects(stripe.charges.search({ query: 'nothing' }), {
    type: 'StripeInvalidRequestError',
    param: 'query',
    statusCode: 400,
  });
});
