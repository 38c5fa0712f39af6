import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Books, feePayment, fundPlatform, newSeller, payment, refusal, stripe } from '../support.mjs';

const platform = new Books();

// Gives every seller enough to return what it got with the fee on top, so that no balance turns negative.
const CUSHION = 5000;

before(fundPlatform);

/** A paid destination charge, and what platform and seller gain from here on. */
async function sale(params) {
  const seller = await newSeller();
  await stripe.transfers.create({ amount: CUSHION, currency: 'usd', destination: seller.id });
  const intent = await stripe.paymentIntents.create({ ...params(seller), expand: ['latest_charge'] });
  const books = new Books(seller);
  let [ofPlatform, ofSeller] = [await platform.total(), await books.total()];
  return {
    charge: intent.latest_charge,
    books,
    moved: async () => {
      const now = [await platform.total(), await books.total()];
      const difference = [now[0] - ofPlatform, now[1] - ofSeller];
      [ofPlatform, ofSeller] = now;
      return difference;
    },
  };
}

const withFee = (seller) => feePayment(seller);
const withTransferAmount = (seller) =>
  payment(10000, { transfer_data: { destination: seller.id, amount: 8770 } });
const REVERSE = { reverse_transfer: true };
const BOTH = { reverse_transfer: true, refund_application_fee: true };

for (const [name, params, flags, moved] of [
  ['with a fee, no flags', withFee, {}, [-10000, 0]],
  ['with a fee, reversed', withFee, REVERSE, [0, -10000]],
  ['with a fee, reversed and given back', withFee, BOTH, [-1000, -9000]],
  ['with a transfer amount, reversed', withTransferAmount, REVERSE, [-1230, -8770]],
]) {
  test(`full refund ${name}`, async () => {
    const sold = await sale(params);

    const refund = await stripe.refunds.create({ charge: sold.charge.id, ...flags });

    assert.equal(refund.status, 'succeeded');
    assert.equal(refund.amount, 10000);
    assert.deepEqual(await sold.moved(), moved);
  });
}

test('rows of a full refund with both flags', async () => {
  const sold = await sale(withFee);
  const refund = await stripe.refunds.create({ charge: sold.charge.id, ...BOTH });

  assert.deepEqual(await platform.rows(1, { source: refund.id }), [['refund', -10000, 0, -10000, 'usd']]);
  assert.deepEqual(await platform.rows(2, { source: sold.charge.transfer }), [
    ['transfer', -10000, 0, -10000, 'usd'],
    ['transfer_refund', 10000, 0, 10000, 'usd'],
  ]);
  assert.deepEqual(await platform.rows(2, { source: sold.charge.application_fee }), [
    ['application_fee', 1000, 0, 1000, 'usd'],
    ['application_fee_refund', -1000, 0, -1000, 'usd'],
  ]);
  assert.deepEqual((await sold.books.rows(4)).sort(), [
    ['adjustment', 1000, 0, 1000, 'usd'],
    ['payment', 10000, 1000, 9000, 'usd'],
    ['payment', CUSHION, 0, CUSHION, 'usd'],
    ['payment_refund', -10000, 0, -10000, 'usd'],
  ]);
});

test('partial refunds take reversal and fee in proportion, the last one what is left', async () => {
  const sold = await sale((seller) =>
    payment(1000, { application_fee_amount: 123, transfer_data: { destination: seller.id } }),
  );

  for (const [amount, moved] of [
    [333, [-41, -292]],
    [333, [-41, -292]],
    [334, [-41, -293]],
  ]) {
    const refund = await stripe.refunds.create({
      charge: sold.charge.id,
      amount,
      expand: ['transfer_reversal'],
      ...BOTH,
    });
    assert.equal(refund.transfer_reversal.amount, amount);
    assert.deepEqual(await sold.moved(), moved);
  }
  assert.equal((await stripe.charges.retrieve(sold.charge.id)).refunded, true);
  assert.equal((await stripe.transfers.retrieve(sold.charge.transfer)).reversed, true);
  assert.equal((await stripe.applicationFees.retrieve(sold.charge.application_fee)).refunded, true);
});

test('half of a transfer amount is reversed with half of the charge', async () => {
  const sold = await sale(withTransferAmount);

  await stripe.refunds.create({ charge: sold.charge.id, amount: 5000, ...REVERSE });

  assert.deepEqual(await sold.moved(), [-5000 + 4385, -4385]);
});

test('refunds beyond what is left are refused', async () => {
  const sold = await sale(withFee);

  const tooMuch = await refusal(() => stripe.refunds.create({ charge: sold.charge.id, amount: 10001, ...BOTH }));
  assert.equal(tooMuch.statusCode, 400);
  assert.equal(tooMuch.param, 'amount');
  const feeAlone = await refusal(() =>
    stripe.refunds.create({ charge: sold.charge.id, refund_application_fee: true }),
  );
  assert.equal(feeAlone.statusCode, 400);
  assert.deepEqual(await sold.moved(), [0, 0]);

  await stripe.refunds.create({ charge: sold.charge.id, ...BOTH });
  const again = await refusal(() => stripe.refunds.create({ charge: sold.charge.id, ...BOTH }));
  assert.equal(again.code, 'charge_already_refunded');
});

test('an application fee is given back on its own', async () => {
  const sold = await sale(withFee);
  const fee = sold.charge.application_fee;

  const refund = await stripe.applicationFees.createRefund(fee, { amount: 400 });

  assert.match(refund.id, /^fr_/);
  assert.equal(refund.object, 'fee_refund');
  assert.deepEqual(await sold.moved(), [-400, 400]);
  assert.equal((await stripe.applicationFees.retrieve(fee)).amount_refunded, 400);
  await stripe.applicationFees.createRefund(fee);
  assert.deepEqual(await sold.moved(), [-600, 600]);
  assert.equal((await stripe.applicationFees.retrieve(fee)).refunded, true);
  assert.equal((await refusal(() => stripe.applicationFees.createRefund(fee))).statusCode, 400);
});
