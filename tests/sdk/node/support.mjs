// What the tests share: the client, the parameters they build on, and how they read a ledger.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';

export const URL_OF_FLORIN = process.env.FLORIN_URL ?? '';
export const KEY = process.env.FLORIN_TEST_KEY ?? '';
if (!URL_OF_FLORIN || !KEY) {
  throw new Error('FLORIN_URL and FLORIN_TEST_KEY must name a running daemon and its secret test key');
}

// How long a list may take to show what an answer has already acknowledged.
const LIST_PATIENCE_MS = 5000;

export const CARD_YEAR = new Date().getUTCFullYear() + 5;

/** The official client; only the address differs from production use. */
export function clientWith(key) {
  const address = new URL(URL_OF_FLORIN);
  return new Stripe(key, { host: address.hostname, port: address.port, protocol: 'http' });
}

export const stripe = clientWith(KEY);

export const unique = (prefix) => `${prefix}_${randomUUID().replaceAll('-', '')}`;

/** Request options that act for a connected account (header Stripe-Account). */
export const actingFor = (account) => ({ stripeAccount: account.id ?? account });

// A custom US individual whose values make it active in the answer that creates it. Payouts are manual, so that
// no schedule takes money out while a test counts it.
export const sellerParams = (changes = {}) => ({
  type: 'custom',
  country: 'US',
  email: `${unique('seller')}@example.com`,
  business_type: 'individual',
  capabilities: { card_payments: { requested: true }, transfers: { requested: true } },
  business_profile: { mcc: '5734', url: 'https://accessible.stripe.com' },
  individual: {
    first_name: 'Jenny',
    last_name: 'Rosen',
    email: 'jenny.rosen@example.com',
    phone: '0000000000',
    dob: { day: 1, month: 1, year: 1902 },
    address: {
      line1: 'address_full_match',
      city: 'San Francisco',
      state: 'CA',
      postal_code: '94111',
      country: 'US',
    },
    id_number: '222222222',
  },
  external_account: {
    object: 'bank_account',
    country: 'US',
    currency: 'usd',
    account_holder_name: 'Jenny Rosen',
    account_holder_type: 'individual',
    routing_number: '110000000',
    account_number: '000123456789',
  },
  tos_acceptance: { date: Math.floor(Date.now() / 1000), ip: '203.0.113.7' },
  settings: { payouts: { schedule: { interval: 'manual' } } },
  ...changes,
});

export const germanSellerParams = () => {
  const params = sellerParams({ country: 'DE' });
  params.individual.address = {
    line1: 'address_full_match',
    city: 'Berlin',
    postal_code: '10115',
    country: 'DE',
  };
  params.external_account = {
    object: 'bank_account',
    country: 'DE',
    currency: 'eur',
    account_holder_name: 'Jenny Rosen',
    account_holder_type: 'individual',
    account_number: 'DE89370400440532013000',
  };
  return params;
};

export async function newSeller(params = sellerParams()) {
  const account = await stripe.accounts.create(params);
  assert.equal(account.capabilities.transfers, 'active', JSON.stringify(account.requirements));
  return account;
}

/** Parameters of a payment intent that is paid by a test card in the call that creates it. */
export const payment = (amount, changes = {}) => ({
  amount,
  currency: 'usd',
  payment_method: 'pm_card_visa',
  confirm: true,
  automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  ...changes,
});

/** 100.00 usd for a seller, 10.00 of it for the platform. */
export const feePayment = (seller, changes = {}) =>
  payment(10000, { application_fee_amount: 1000, transfer_data: { destination: seller.id }, ...changes });

/** Available money on the platform, for transfers and refunds. */
export const fundPlatform = () =>
  stripe.paymentIntents.create(payment(1000000, { payment_method: 'pm_card_bypassPending' }));

/** A seller with 90.00 usd that it can pay out, from a card that skips the pending time. */
export async function paidSeller() {
  const seller = await newSeller();
  await stripe.paymentIntents.create(feePayment(seller, { payment_method: 'pm_card_bypassPending' }));
  return seller;
}

/**
 * Reads until the answer is complete or patience ends, and returns the last answer for the test to assert.
 * Lists are served from a projection that follows the journal, so they may trail an answer a little.
 */
export async function eventually(read, isComplete) {
  const deadline = Date.now() + LIST_PATIENCE_MS;
  for (;;) {
    const answer = await read();
    if (isComplete(answer) || Date.now() > deadline) return answer;
    await sleep(50);
  }
}

const sumOf = (entries, currency) =>
  entries.filter((entry) => entry.currency === currency).reduce((sum, entry) => sum + entry.amount, 0);

/** Balance transactions and balances of the platform or of one connected account. */
export class Books {
  constructor(account) {
    this.options = account ? actingFor(account) : {};
  }

  /** All balance transactions, oldest first, once as many as expected are there. */
  async transactions(expected, filters = {}) {
    const read = () =>
      stripe.balanceTransactions
        .list({ limit: 100, ...filters }, this.options)
        .autoPagingToArray({ limit: 1000 });
    const found = await eventually(read, (list) => list.length >= expected);
    return found.reverse();
  }

  /** The same as [type, amount, fee, net, currency]. */
  async rows(expected, filters = {}) {
    const found = await this.transactions(expected, filters);
    return found.map((t) => [t.type, t.amount, t.fee, t.net, t.currency]);
  }

  async available(currency = 'usd') {
    return sumOf((await this.balance()).available, currency);
  }

  async pending(currency = 'usd') {
    return sumOf((await this.balance()).pending, currency);
  }

  async total(currency = 'usd') {
    const balance = await this.balance();
    return sumOf(balance.available, currency) + sumOf(balance.pending, currency);
  }

  balance() {
    return stripe.balance.retrieve({}, this.options);
  }
}

/** The error that a call is refused with; fails when the call succeeds. */
export async function refusal(call) {
  try {
    await call();
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error;
    throw error;
  }
  assert.fail('the call was not refused');
}

/** The event of a type that carries an object, or undefined. */
export async function findEvent(type, objectId, account) {
  const options = account ? actingFor(account) : {};
  const read = async () => {
    const newest = await stripe.events.list({ type, limit: 100 }, options).autoPagingToArray({ limit: 200 });
    return newest.filter((event) => event.data.object.id === objectId);
  };
  return (await eventually(read, (found) => found.length > 0))[0];
}
