import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Books,
  actingFor,
  eventually,
  feePayment,
  germanSellerParams,
  newSeller,
  payment,
  refusal,
  stripe,
} from '../support.mjs';

const platform = new Books();

test('a destination charge with a fee has the documented rows on both sides', async () => {
  const seller = await newSeller();
  const pending = await platform.pending();

  const intent = await stripe.paymentIntents.create(feePayment(seller, { expand: ['latest_charge'] }));
  const charge = intent.latest_charge;

  assert.equal(intent.status, 'succeeded');
  assert.equal(intent.amount_received, 10000);
  assert.deepEqual(await platform.rows(1, { source: charge.id }), [['charge', 10000, 320, 9680, 'usd']]);
  assert.deepEqual(await platform.rows(1, { source: charge.transfer }), [['transfer', -10000, 0, -10000, 'usd']]);
  assert.deepEqual(await platform.rows(1, { source: charge.application_fee }), [
    ['application_fee', 1000, 0, 1000, 'usd'],
  ]);
  assert.deepEqual(await new Books(seller).rows(1), [['payment', 10000, 1000, 9000, 'usd']]);
  assert.equal(await new Books(seller).pending(), 9000);
  assert.equal((await platform.pending()) - pending, 680);
});

test('the objects of a destination charge point at each other', async () => {
  const seller = await newSeller();
  const intent = await stripe.paymentIntents.create(
    feePayment(seller, { expand: ['latest_charge.transfer', 'latest_charge.application_fee'] }),
  );
  const charge = intent.latest_charge;
  const { transfer, application_fee: fee } = charge;
  const arrival = await stripe.charges.retrieve(transfer.destination_payment, {}, actingFor(seller));

  assert.equal(charge.payment_intent, intent.id);
  assert.equal(charge.transfer_group, `group_${intent.id}`);
  assert.equal(transfer.source_transaction, charge.id);
  assert.equal(transfer.destination, seller.id);
  assert.equal(transfer.amount, 10000);
  assert.match(arrival.id, /^py_/);
  assert.equal(arrival.source_transfer, transfer.id);
  assert.equal(arrival.application_fee, fee.id);
  assert.equal(arrival.payment_method_details.type, 'stripe_account');
  assert.equal(fee.amount, 1000);
  assert.equal(fee.account, seller.id);
  assert.equal(fee.originating_transaction, charge.id);
  assert.equal(fee.charge, arrival.id);
});

test('a destination charge with a transfer amount leaves the rest on the platform', async () => {
  const seller = await newSeller();
  const before = await platform.total();

  const intent = await stripe.paymentIntents.create(
    payment(10000, { transfer_data: { destination: seller.id, amount: 8770 }, expand: ['latest_charge'] }),
  );

  assert.deepEqual(await platform.rows(1, { source: intent.latest_charge.transfer }), [
    ['transfer', -8770, 0, -8770, 'usd'],
  ]);
  assert.deepEqual(await new Books(seller).rows(1), [['payment', 8770, 0, 8770, 'usd']]);
  assert.equal((await platform.total()) - before, 910);
  assert.equal(intent.latest_charge.application_fee, null);
});

test('a payment for a German seller arrives in euro, its fee too', async () => {
  const seller = await newSeller(germanSellerParams());
  const [usd, eur] = [await platform.total('usd'), await platform.total('eur')];

  const intent = await stripe.paymentIntents.create(
    feePayment(seller, { expand: ['latest_charge.application_fee'] }),
  );

  const [arrival] = await new Books(seller).transactions(1);
  assert.deepEqual(
    [arrival.type, arrival.amount, arrival.fee, arrival.net, arrival.currency, arrival.exchange_rate],
    ['payment', 9000, 900, 8100, 'eur', 0.9],
  );
  assert.deepEqual(await platform.rows(1, { source: intent.latest_charge.application_fee.id }), [
    ['application_fee', 900, 0, 900, 'eur'],
  ]);
  assert.deepEqual(
    [intent.latest_charge.application_fee.amount, intent.latest_charge.application_fee.currency],
    [1000, 'usd'],
  );
  assert.equal((await platform.total('usd')) - usd, -320);
  assert.equal((await platform.total('eur')) - eur, 900);
});

test('only the transferred amount is converted', async () => {
  const seller = await newSeller(germanSellerParams());

  await stripe.paymentIntents.create(
    payment(10000, { transfer_data: { destination: seller.id, amount: 9000 } }),
  );

  assert.deepEqual(await new Books(seller).rows(1), [['payment', 8100, 0, 8100, 'eur']]);
});

test('create, update, confirm', async () => {
  const seller = await newSeller();
  const created = await stripe.paymentIntents.create({
    amount: 10000,
    currency: 'usd',
    application_fee_amount: 1000,
    transfer_data: { destination: seller.id },
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  });
  assert.equal(created.status, 'requires_payment_method');
  const updated = await stripe.paymentIntents.update(created.id, { payment_method: 'pm_card_visa' });
  assert.equal(updated.status, 'requires_confirmation');

  assert.equal((await stripe.paymentIntents.confirm(created.id)).status, 'succeeded');
  assert.equal(await new Books(seller).total(), 9000);
});

test('a partial capture transfers what was captured', async () => {
  const seller = await newSeller();
  const before = await platform.total();
  const intent = await stripe.paymentIntents.create(feePayment(seller, { capture_method: 'manual' }));
  assert.equal(intent.status, 'requires_capture');
  assert.equal(intent.amount_capturable, 10000);
  assert.equal(await platform.total(), before);

  const captured = await stripe.paymentIntents.capture(intent.id, { amount_to_capture: 6000 });

  assert.equal(captured.status, 'succeeded');
  assert.equal(captured.amount_received, 6000);
  const charge = await stripe.charges.retrieve(captured.latest_charge);
  assert.deepEqual([charge.amount_captured, charge.amount_refunded, charge.refunded], [6000, 4000, false]);
  assert.deepEqual(await new Books(seller).rows(1), [['payment', 6000, 1000, 5000, 'usd']]);
  assert.equal((await platform.total()) - before, 1000 - 204);
});

test('a canceled authorisation moves no money', async () => {
  const before = await platform.total();
  const intent = await stripe.paymentIntents.create(payment(10000, { capture_method: 'manual' }));

  const canceled = await stripe.paymentIntents.cancel(intent.id, { cancellation_reason: 'abandoned' });

  assert.equal(canceled.status, 'canceled');
  assert.equal(canceled.cancellation_reason, 'abandoned');
  assert.equal(await platform.total(), before);
  const late = await refusal(() => stripe.paymentIntents.capture(intent.id));
  assert.equal(late.code, 'payment_intent_unexpected_state');
});

test('a decline is a card error with the intent inside, and a retry succeeds', async () => {
  const seller = await newSeller();

  const error = await refusal(() =>
    stripe.paymentIntents.create(feePayment(seller, { payment_method: 'pm_card_visa_chargeDeclined' })),
  );

  assert.equal(error.type, 'StripeCardError');
  assert.equal(error.statusCode, 402);
  assert.equal(error.code, 'card_declined');
  assert.equal(error.decline_code, 'generic_decline');
  assert.equal(error.payment_intent.status, 'requires_payment_method');
  assert.equal(error.payment_intent.latest_charge, error.charge);
  const failed = await stripe.charges.retrieve(error.charge);
  assert.equal(failed.status, 'failed');
  assert.equal(failed.balance_transaction, null);
  assert.equal(await new Books(seller).total(), 0);

  const intent = await stripe.paymentIntents.confirm(error.payment_intent.id, { payment_method: 'pm_card_visa' });
  assert.equal(intent.status, 'succeeded');
  assert.equal(await new Books(seller).total(), 9000);
  const charges = await eventually(
    () => stripe.charges.list({ payment_intent: intent.id }),
    (page) => page.data.length === 2,
  );
  assert.deepEqual(charges.data.map((charge) => charge.status).sort(), ['failed', 'succeeded']);
});

test('insufficient funds are named', async () => {
  const error = await refusal(() =>
    stripe.paymentIntents.create(
      payment(10000, { payment_method: 'pm_card_visa_chargeDeclinedInsufficientFunds' }),
    ),
  );

  assert.equal(error.code, 'card_declined');
  assert.equal(error.decline_code, 'insufficient_funds');
});
