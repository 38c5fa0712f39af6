import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Books,
  URL_OF_FLORIN,
  actingFor,
  clientWith,
  feePayment,
  newSeller,
  payment,
  refusal,
  stripe,
  unique,
} from '../support.mjs';

const headersOf = (answer) => answer.lastResponse.headers;

test('a replay gives the same body, says so, and moves money once', async () => {
  const seller = await newSeller();
  const options = { idempotencyKey: unique('key') };

  const first = await stripe.paymentIntents.create(feePayment(seller), options);
  const again = await stripe.paymentIntents.create(feePayment(seller), options);

  assert.deepEqual(again, first);
  assert.equal(headersOf(first)['idempotent-replayed'], undefined);
  assert.equal(headersOf(again)['idempotent-replayed'], 'true');
  assert.equal(headersOf(again)['original-request'], first.lastResponse.requestId);
  assert.equal(await new Books(seller).total(), 9000);
});

test('other parameters under a key are an idempotency error', async () => {
  const options = { idempotencyKey: unique('key') };
  await stripe.customers.create({ name: 'Jenny' }, options);

  const error = await refusal(() => stripe.customers.create({ name: 'Jack' }, options));

  assert.equal(error.type, 'StripeIdempotencyError');
  assert.equal(error.statusCode, 400);
});

test('a validation error does not use up the key', async () => {
  const options = { idempotencyKey: unique('key') };
  const error = await refusal(() => stripe.paymentIntents.create({ amount: 1000 }, options));
  assert.equal(error.code, 'parameter_missing');

  const intent = await stripe.paymentIntents.create({ amount: 1000, currency: 'usd' }, options);

  assert.equal(intent.status, 'requires_payment_method');
  assert.equal(headersOf(intent)['idempotent-replayed'], undefined);
});

test('a decline is replayed with its intent', async () => {
  const options = { idempotencyKey: unique('key') };
  const pay = () =>
    stripe.paymentIntents.create(payment(1000, { payment_method: 'pm_card_visa_chargeDeclined' }), options);

  const [first, again] = [await refusal(pay), await refusal(pay)];

  assert.equal(again.payment_intent.id, first.payment_intent.id);
  assert.equal(again.headers['idempotent-replayed'], 'true');
});

test('a wrong key is an authentication error', async () => {
  const error = await refusal(() => clientWith('sk_test_wrongwrongwrongabcd').balance.retrieve());

  assert.equal(error.type, 'StripeAuthenticationError');
  assert.equal(error.statusCode, 401);
  assert.match(error.message, /^Invalid API Key provided: sk_test_.*abcd$/);
  assert.doesNotMatch(error.message, /wrongwrongwrong/);
});

test('no key at all is 401', async () => {
  const answer = await fetch(`${URL_OF_FLORIN}/v1/balance`);

  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).error.type, 'invalid_request_error');
});

test('an unknown account in the header is a permission error', async () => {
  const error = await refusal(() => stripe.balance.retrieve({}, actingFor('acct_1Nobody000000000')));

  assert.equal(error.type, 'StripePermissionError');
  assert.equal(error.statusCode, 403);
  assert.equal(error.code, 'account_invalid');
});

for (const [name, call, expected] of [
  [
    'unknown parameter',
    () => stripe.paymentIntents.create({ amount: 1000, currency: 'usd', foo: '1' }),
    [400, 'parameter_unknown', 'foo'],
  ],
  [
    'unknown nested parameter',
    () => stripe.paymentIntents.create({ amount: 1000, currency: 'usd', transfer_data: { foo: '1' } }),
    [400, 'parameter_unknown', 'transfer_data[foo]'],
  ],
  ['missing parameter', () => stripe.paymentIntents.create({ amount: 1000 }), [400, 'parameter_missing', 'currency']],
  [
    'no integer',
    () => stripe.paymentIntents.create({ amount: '10.5', currency: 'usd' }),
    [400, 'parameter_invalid_integer', 'amount'],
  ],
  ['unknown charge', () => stripe.charges.retrieve('ch_nowhere'), [404, 'resource_missing', 'id']],
  ['unknown intent', () => stripe.paymentIntents.retrieve('pi_nowhere'), [404, 'resource_missing', 'intent']],
  [
    'unknown payment method in the body',
    () => stripe.paymentIntents.create(payment(1000, { payment_method: 'pm_nowhere' })),
    [400, 'resource_missing', 'payment_method'],
  ],
  [
    'unknown destination in the body',
    () => stripe.transfers.create({ amount: 100, currency: 'usd', destination: 'acct_nobody' }),
    [400, 'resource_missing', 'destination'],
  ],
]) {
  test(`${name} is refused and named`, async () => {
    const error = await refusal(call);

    assert.equal(error.type, 'StripeInvalidRequestError');
    assert.deepEqual([error.statusCode, error.code, error.param], expected);
    assert.match(error.requestId, /^req_/);
  });
}

test('an unknown URL is not found', async () => {
  const error = await refusal(() => stripe.rawRequest('GET', '/v1/nope'));

  assert.equal(error.statusCode, 404);
  assert.match(error.message, /^Unrecognized request URL \(GET: \/v1\/nope\)/);
});

test('an amount below the minimum is refused', async () => {
  const error = await refusal(() => stripe.paymentIntents.create(payment(49)));

  assert.equal(error.code, 'amount_too_small');
});

test('what cannot be expanded is refused', async () => {
  const intent = await stripe.paymentIntents.create(payment(1000, { expand: ['latest_charge.balance_transaction'] }));
  assert.equal(intent.latest_charge.balance_transaction.fee, 59);

  for (const path of ['foo', 'latest_charge.transfer.source_transaction.balance_transaction.source']) {
    const error = await refusal(() => stripe.paymentIntents.retrieve(intent.id, { expand: [path] }));
    assert.equal(error.statusCode, 400);
  }
});

test('metadata merges, removes and clears', async () => {
  const { id } = await stripe.customers.create({ metadata: { a: '1', b: '2' } });

  const update = async (params) => (await stripe.customers.update(id, params)).metadata;

  assert.deepEqual(await update({ metadata: { b: '3', c: '4' } }), { a: '1', b: '3', c: '4' });
  assert.deepEqual(await update({ metadata: { a: '' } }), { b: '3', c: '4' });
  assert.deepEqual(await update({ name: 'Jenny' }), { b: '3', c: '4' });
  assert.deepEqual(await update({ metadata: '' }), {});
});

test('nested arrays reach the daemon in order', async () => {
  const intent = await stripe.paymentIntents.create({
    amount: 1000,
    currency: 'usd',
    allowed_payment_method_types: ['card'],
  });

  assert.deepEqual(intent.payment_method_types, ['card']);
});
