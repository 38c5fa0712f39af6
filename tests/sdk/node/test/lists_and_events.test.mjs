import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Books, actingFor, feePayment, findEvent, fundPlatform, newSeller, refusal, stripe } from '../support.mjs';

const COUNT = 12;
let seller;
let transactions; // newest first
const transfers = [];

before(async () => {
  await fundPlatform();
  seller = await newSeller();
  for (let step = 0; step < COUNT; step += 1) {
    transfers.push(
      await stripe.transfers.create({ amount: 100 + step, currency: 'usd', destination: seller.id }),
    );
  }
  transactions = (await new Books(seller).transactions(COUNT)).reverse();
  assert.equal(transactions.length, COUNT);
});

const idsOf = (found) => found.map((entry) => entry.id);

test('auto-pagination forwards gives each once', async () => {
  const seen = [];
  for await (const found of stripe.balanceTransactions.list({ limit: 3 }, actingFor(seller))) seen.push(found.id);

  assert.deepEqual(seen, idsOf(transactions));
});

test('auto-pagination backwards gives each once', async () => {
  const params = { limit: 3, ending_before: transactions.at(-1).id };
  const seen = [];
  for await (const found of stripe.balanceTransactions.list(params, actingFor(seller))) seen.push(found.id);

  // The SDK walks towards the newest, so the order is turned round.
  assert.deepEqual(seen, idsOf(transactions.slice(0, -1)).reverse());
});

test('a page has the documented shape', async () => {
  const page = await stripe.balanceTransactions.list({}, actingFor(seller));

  assert.equal(page.object, 'list');
  assert.equal(page.url, '/v1/balance_transactions');
  assert.equal(page.has_more, true);
  assert.equal(page.data.length, 10);
});

test('balance transactions are filtered by type and source', async () => {
  const payments = await stripe.balanceTransactions.list({ type: 'payment', limit: 100 }, actingFor(seller));
  const one = await stripe.balanceTransactions.list(
    { source: transfers[4].destination_payment },
    actingFor(seller),
  );

  assert.deepEqual(idsOf(payments.data), idsOf(transactions));
  assert.deepEqual(one.data.map((found) => found.amount), [104]);
});

test('lists expand below data', async () => {
  const page = await stripe.transfers.list({
    destination: seller.id,
    limit: 3,
    expand: ['data.balance_transaction'],
  });

  assert.equal(page.data.length, 3);
  for (const transfer of page.data) assert.equal(transfer.balance_transaction.net, -transfer.amount);
});

test('an unknown cursor and a limit out of range are refused', async () => {
  const cursor = await refusal(() => stripe.charges.list({ starting_after: 'ch_nowhere' }));
  assert.deepEqual([cursor.statusCode, cursor.code, cursor.param], [400, 'resource_missing', 'starting_after']);

  const limit = await refusal(() => stripe.charges.list({ limit: 101 }));
  assert.deepEqual([limit.statusCode, limit.param], [400, 'limit']);
});

test('a destination charge tells platform and seller', async () => {
  const intent = await stripe.paymentIntents.create(feePayment(seller, { expand: ['latest_charge.transfer'] }));
  const charge = intent.latest_charge;

  for (const [type, id] of [
    ['payment_intent.succeeded', intent.id],
    ['charge.succeeded', charge.id],
    ['transfer.created', charge.transfer.id],
    ['application_fee.created', charge.application_fee],
  ]) {
    assert.equal((await findEvent(type, id))?.type, type);
  }
  const arrival = await findEvent('payment.created', charge.transfer.destination_payment, seller);
  assert.equal(arrival?.account, seller.id);
});

test('an event is retrieved by id', async () => {
  const intent = await stripe.paymentIntents.create(feePayment(seller));
  const event = await findEvent('payment_intent.succeeded', intent.id);

  assert.match(event.id, /^evt_/);
  assert.equal(event.data.object.latest_charge, intent.latest_charge);
  assert.deepEqual(await stripe.events.retrieve(event.id), event);
});
