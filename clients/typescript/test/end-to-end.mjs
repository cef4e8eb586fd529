// Against a running local cloud: MONETA_URL, MONETA_TOKEN, and the ids of a customer in CUSTOMER as JSON.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { GraphQLClient, ClientError } from 'graphql-request';
import { ProblemError, createMonetaClient } from '../dist/index.js';

// Debian 12 has Node.js 18, which has it under this name alone.
globalThis.crypto ??= webcrypto;

const { MONETA_URL: baseUrl, MONETA_TOKEN: token, CUSTOMER } = process.env;
const { trading_account_id, bank_account_id } = JSON.parse(CUSTOMER);
const deposit = { trading_account_id, bank_account_id, amount_cents: 2_500 };

// Every second answer is lost on its way back.
let sent = 0;
const lossy = async (request) => {
  const answer = await fetch(request);
  sent += 1;
  if (sent % 2 === 1) throw new TypeError('the answer got lost');
  return answer;
};
const client = createMonetaClient({ baseUrl, token, fetch: lossy, sleep: async () => {} });
const { data: flow } = await client.POST('/trading/deposits', { body: deposit });
assert.equal(flow.amount_cents, 2_500);
assert.equal(sent, 2);

const { data: history } = await client.GET('/trading/history/money-flow', { params: { query: { limit: 10 } } });
assert.deepEqual(history.items.map((item) => item.id), [flow.id]);

const tooMuch = { ...deposit, amount_cents: 5_000_001 };
const refused = await client.POST('/trading/deposits', { body: tooMuch }).catch((error) => error);
assert.ok(refused instanceof ProblemError, `${refused}`);
assert.equal(refused.code, 'amount-above-limit');

// A client that knows nothing of AppSync.
const graphql = new GraphQLClient(`${baseUrl}/graphql`, { headers: { authorization: `Bearer ${token}` } });
const shown = await graphql.request('query Home($n: Int) { list_money_flow_history(limit: $n) { items { id amount_cents } } }', { n: 5 });
assert.deepEqual(shown.list_money_flow_history.items, [{ id: `${flow.id}`, amount_cents: '2500' }]);
const failed = await graphql.request('{ get_invoice(invoice_id: "999999999") { id } }').catch((error) => error);
assert.ok(failed instanceof ClientError, `${failed}`);
assert.equal(failed.response.errors[0].errorType, 'invoice-not-found');
console.log('done');
