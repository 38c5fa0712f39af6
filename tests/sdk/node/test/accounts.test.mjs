import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CARD_YEAR, actingFor, eventually, newSeller, payment, refusal, sellerParams, stripe } from '../support.mjs';

test('a custom individual is active in the answer that creates it', async () => {
  const account = await stripe.accounts.create(sellerParams({ metadata: { shop: '17' } }));

  assert.match(account.id, /^acct_/);
  assert.equal(account.type, 'custom');
  assert.equal(account.default_currency, 'usd');
  assert.deepEqual({ ...account.capabilities }, { card_payments: 'active', transfers: 'active' });
  assert.equal(account.charges_enabled, true);
  assert.equal(account.payouts_enabled, true);
  assert.deepEqual(account.requirements.currently_due, []);
  assert.equal(account.external_accounts.data[0].last4, '6789');
  assert.deepEqual(account.metadata, { shop: '17' });
});

test('an account is retrieved and its metadata merges on update', async () => {
  const seller = await newSeller();
  await stripe.accounts.update(seller.id, { metadata: { shop: '17', city: 'Utrecht' } });
  await stripe.accounts.update(seller.id, { metadata: { city: '', street: 'Oudegracht' } });

  const account = await stripe.accounts.retrieve(seller.id);

  assert.equal(account.email, seller.email);
  assert.deepEqual(account.metadata, { shop: '17', street: 'Oudegracht' });
});

test('accounts are listed by auto-pagination, each once', async () => {
  const made = [];
  for (let i = 0; i < 4; i += 1) made.push((await newSeller()).id);

  const read = async () => {
    const ids = [];
    for await (const account of stripe.accounts.list({ limit: 3 })) ids.push(account.id);
    return ids;
  };
  const seen = await eventually(read, (ids) => made.every((id) => ids.includes(id)));

  assert.equal(new Set(seen).size, seen.length);
  for (const id of made) assert.ok(seen.includes(id));
});

test('a deleted account answers with a stub', async () => {
  const seller = await newSeller();

  const deleted = await stripe.accounts.del(seller.id);

  assert.deepEqual({ ...deleted }, { id: seller.id, object: 'account', deleted: true });
  assert.ok([403, 404].includes((await refusal(() => stripe.accounts.retrieve(seller.id))).statusCode));
});

test('capabilities are listed, retrieved and requested', async () => {
  const seller = await newSeller(sellerParams({ capabilities: { transfers: { requested: true } } }));

  assert.equal((await stripe.accounts.retrieveCapability(seller.id, 'transfers')).status, 'active');
  await stripe.accounts.updateCapability(seller.id, 'card_payments', { requested: true });

  const listed = await stripe.accounts.listCapabilities(seller.id);
  assert.deepEqual(
    Object.fromEntries(listed.data.map((capability) => [capability.id, capability.status])),
    { card_payments: 'active', transfers: 'active' },
  );
});

test('the account behind the key is the platform, under the header the seller', async () => {
  const seller = await newSeller();

  const own = await stripe.accounts.retrieveCurrent();
  assert.equal(own.country, 'US');
  assert.equal(own.default_currency, 'usd');
  assert.notEqual(own.id, seller.id);
  assert.equal((await stripe.accounts.retrieveCurrent({}, actingFor(seller))).id, seller.id);
});

test('customers are created, updated, listed and deleted', async () => {
  const email = `Buyer.${Date.now()}@example.com`;
  const customer = await stripe.customers.create({ email, name: 'Jenny Rosén', metadata: { order: 7 } });
  assert.match(customer.id, /^cus_/);
  assert.equal(customer.email, email);
  assert.equal(customer.name, 'Jenny Rosén');
  assert.deepEqual(customer.metadata, { order: '7' });

  const updated = await stripe.customers.update(customer.id, { name: 'Jenny', description: 'a + b & c' });
  assert.equal(updated.name, 'Jenny');
  assert.equal((await stripe.customers.retrieve(customer.id)).description, 'a + b & c');

  const listed = await eventually(
    () => stripe.customers.list({ email }),
    (page) => page.data.length === 1,
  );
  assert.deepEqual(listed.data.map((found) => found.id), [customer.id]);

  const stub = { id: customer.id, object: 'customer', deleted: true };
  assert.deepEqual({ ...(await stripe.customers.del(customer.id)) }, stub);
  assert.deepEqual({ ...(await stripe.customers.retrieve(customer.id)) }, stub);
});

test('a card is attached, pays for its customer, and is detached', async () => {
  const customer = await stripe.customers.create();
  const method = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
  assert.equal(method.customer, customer.id);
  assert.notEqual(method.id, 'pm_card_visa');

  const intent = await stripe.paymentIntents.create(
    payment(1000, { customer: customer.id, payment_method: method.id }),
  );
  assert.equal(intent.status, 'succeeded');
  assert.equal(intent.customer, customer.id);

  assert.equal((await stripe.paymentMethods.detach(method.id)).customer, null);
  assert.equal(
    (await refusal(() => stripe.paymentIntents.create(payment(1000, { payment_method: method.id })))).statusCode,
    400,
  );
});

test('a token and raw card data make payment methods', async () => {
  const fromToken = await stripe.paymentMethods.create({ type: 'card', card: { token: 'tok_visa' } });
  assert.equal(fromToken.card.last4, '4242');

  const card = { number: '5555555555554444', exp_month: 12, exp_year: CARD_YEAR, cvc: '123' };
  const fromNumber = await stripe.paymentMethods.create({ type: 'card', card });
  assert.equal(fromNumber.card.brand, 'mastercard');

  const token = await stripe.tokens.create({ card });
  await stripe.paymentMethods.create({ type: 'card', card: { token: token.id } });
  const again = await refusal(() => stripe.paymentMethods.create({ type: 'card', card: { token: token.id } }));
  assert.equal(again.code, 'token_already_used');
});
