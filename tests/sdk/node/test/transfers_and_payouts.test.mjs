import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  Books,
  actingFor,
  eventually,
  findEvent,
  fundPlatform,
  newSeller,
  paidSeller,
  payment,
  refusal,
  stripe,
  unique,
} from '../support.mjs';

const platform = new Books();

before(fundPlatform);

test('one charge is shared between two sellers', async () => {
  const [restaurant, driver] = [await newSeller(), await newSeller()];
  const group = unique('order');
  const earlier = await platform.total();
  await stripe.paymentIntents.create(
    payment(10000, { payment_method: 'pm_card_bypassPending', transfer_group: group }),
  );

  for (const [seller, amount] of [
    [restaurant, 7000],
    [driver, 2000],
  ]) {
    await stripe.transfers.create({
      amount,
      currency: 'usd',
      destination: seller.id,
      transfer_group: group,
    });
    assert.deepEqual(await new Books(seller).rows(1), [['payment', amount, 0, amount, 'usd']]);
    assert.equal(await new Books(seller).available(), amount);
  }

  assert.equal((await platform.total()) - earlier, 680);
  const listed = await eventually(
    () => stripe.transfers.list({ transfer_group: group }),
    (page) => page.data.length === 2,
  );
  assert.deepEqual(listed.data.map((transfer) => transfer.amount).sort(), [2000, 7000]);
});

test('a transfer from a pending charge waits with it and stops at its amount', async () => {
  const seller = await newSeller();
  const intent = await stripe.paymentIntents.create(payment(10000));
  const part = { currency: 'usd', destination: seller.id, source_transaction: intent.latest_charge };

  const transfer = await stripe.transfers.create({ amount: 7000, ...part });

  assert.equal(transfer.transfer_group, `group_${intent.id}`);
  assert.equal(await new Books(seller).pending(), 7000);
  assert.equal(await new Books(seller).available(), 0);
  assert.equal((await refusal(() => stripe.transfers.create({ amount: 3001, ...part }))).statusCode, 400);
});

test('a transfer is reversed in two steps', async () => {
  const seller = await newSeller();
  const transfer = await stripe.transfers.create({ amount: 7000, currency: 'usd', destination: seller.id });

  const reversal = await stripe.transfers.createReversal(transfer.id, { amount: 2500 });
  assert.match(reversal.id, /^trr_/);
  assert.equal((await stripe.transfers.retrieve(transfer.id)).amount_reversed, 2500);
  await stripe.transfers.createReversal(transfer.id);

  const emptied = await stripe.transfers.retrieve(transfer.id);
  assert.deepEqual([emptied.amount_reversed, emptied.reversed], [7000, true]);
  assert.deepEqual(await platform.rows(3, { source: transfer.id }), [
    ['transfer', -7000, 0, -7000, 'usd'],
    ['transfer_refund', 2500, 0, 2500, 'usd'],
    ['transfer_refund', 4500, 0, 4500, 'usd'],
  ]);
  assert.equal(await new Books(seller).total(), 0);
  const again = await refusal(() => stripe.transfers.createReversal(transfer.id));
  assert.match(again.message, /already fully reversed/);
});

test('a transfer beyond the available balance is refused', async () => {
  const seller = await newSeller();

  const error = await refusal(() =>
    stripe.transfers.create({ amount: 99999999, currency: 'usd', destination: seller.id }),
  );

  assert.equal(error.type, 'StripeInvalidRequestError');
  assert.equal(error.code, 'balance_insufficient');
});

test('a payout takes the money out and its cancellation returns it', async () => {
  const seller = await paidSeller();
  const books = new Books(seller);
  assert.equal(await books.available(), 9000);

  const payout = await stripe.payouts.create({ amount: 4000, currency: 'usd' }, actingFor(seller));
  assert.match(payout.id, /^po_/);
  assert.equal(payout.status, 'pending');
  assert.equal(payout.automatic, false);
  assert.equal(payout.destination, seller.external_accounts.data[0].id);
  assert.equal(await books.available(), 5000);

  const canceled = await stripe.payouts.cancel(payout.id, {}, actingFor(seller));
  assert.equal(canceled.status, 'canceled');
  assert.equal(await books.available(), 9000);
  assert.deepEqual(await books.rows(2, { source: payout.id }), [
    ['payout', -4000, 0, -4000, 'usd'],
    ['payout_cancel', 4000, 0, 4000, 'usd'],
  ]);
});

test('payouts are retrieved and listed', async () => {
  const seller = await paidSeller();
  const made = [];
  for (let i = 0; i < 3; i += 1) {
    made.push((await stripe.payouts.create({ amount: 1000, currency: 'usd' }, actingFor(seller))).id);
  }

  assert.equal((await stripe.payouts.retrieve(made[0], {}, actingFor(seller))).amount, 1000);
  const listed = await eventually(
    () => stripe.payouts.list({ limit: 2 }, actingFor(seller)).autoPagingToArray({ limit: 100 }),
    (found) => found.length >= 3,
  );
  assert.deepEqual(listed.map((payout) => payout.id).sort(), [...made].sort());
});

test('a payout beyond the available balance is refused', async () => {
  const seller = await paidSeller();

  const error = await refusal(() =>
    stripe.payouts.create({ amount: 9001, currency: 'usd' }, actingFor(seller)),
  );

  assert.equal(error.code, 'balance_insufficient');
});

test('a payout tells the account', async () => {
  const seller = await paidSeller();
  const payout = await stripe.payouts.create({ amount: 1000, currency: 'usd' }, actingFor(seller));

  assert.equal((await findEvent('payout.created', payout.id, seller)).account, seller.id);
});
