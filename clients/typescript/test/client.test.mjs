import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { test } from 'node:test';
import { ProblemError, createMonetaClient } from '../dist/index.js';

// Debian 12 has Node.js 18, which has it under this name alone.
globalThis.crypto ??= webcrypto;

const deposit = { trading_account_id: 1, bank_account_id: 1, amount_cents: 25_000 };
const flow = { id: 7, status: 'pending' };

function json(status, body, headers = {}) {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': type, ...headers } });
}

/** A client whose requests are answered in turn; an error is a lost connection. */
function clientOf(answers, options = {}) {
  const sent = [];
  const pauses = [];
  const client = createMonetaClient({
    baseUrl: 'http://moneta.test',
    token: () => `token-${sent.length}`,
    fetch: async (request) => {
      sent.push({ key: request.headers.get('idempotency-key'), token: request.headers.get('authorization'), body: await request.text() });
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    sleep: async (milliseconds) => { pauses.push(milliseconds); },
    ...options,
  });
  return { client, sent, pauses };
}

test('a post that got lost is sent again under its key', async () => {
  const busy = json(503, { code: 'unavailable', detail: 'Later.' }, { 'retry-after': '2' });
  const running = json(409, { code: 'request-in-flight', detail: 'Wait.' });
  const { client, sent, pauses } = clientOf([new TypeError('lost'), busy, running, json(201, flow)]);
  const { data } = await client.POST('/trading/deposits', { body: deposit });
  assert.deepEqual(data, flow);
  assert.equal(sent.length, 4);
  assert.equal(new Set(sent.map(({ key }) => key)).size, 1);
  assert.match(sent[0].key, /^[0-9a-f-]{36}$/);
  assert.deepEqual(JSON.parse(sent[3].body), deposit);
  assert.equal(sent[3].token, 'Bearer token-3');
  assert.equal(pauses[1], 2000);
});

test('two posts have keys of their own, and a given key is kept', async () => {
  const { client, sent } = clientOf([json(201, flow), json(201, flow), json(201, flow)]);
  await client.POST('/trading/deposits', { body: deposit });
  await client.POST('/trading/deposits', { body: deposit });
  await client.POST('/trading/deposits', { body: deposit, params: { header: { 'Idempotency-Key': 'mine' } } });
  assert.notEqual(sent[0].key, sent[1].key);
  assert.equal(sent[2].key, 'mine');
});

test('a refusal is an error with its problem, and not repeated', async () => {
  const problem = { status: 422, code: 'amount-above-limit', detail: 'Too much', errors: [{ field: 'amount_cents', message: 'x' }] };
  const { client, sent } = clientOf([json(422, problem, { 'x-correlation-id': 'c' })]);
  const refused = await client.POST('/trading/deposits', { body: deposit }).catch((error) => error);
  assert.ok(refused instanceof ProblemError);
  assert.deepEqual([refused.status, refused.code, refused.correlationId], [422, 'amount-above-limit', 'c']);
  assert.equal(refused.problem.errors[0].field, 'amount_cents');
  assert.equal(sent.length, 1);
});

test('what stays out of reach ends after the retries', async () => {
  const lost = () => new TypeError('lost');
  const { client, sent } = clientOf([lost(), lost(), lost()], { retries: 2 });
  await assert.rejects(client.GET('/trading/profile'), TypeError);
  assert.equal(sent.length, 3);
});

test('a get has no key', async () => {
  const { client, sent } = clientOf([json(200, { unread: 0 })]);
  const { data } = await client.GET('/notifications/unread-count');
  assert.equal(data.unread, 0);
  assert.equal(sent[0].key, null);
});
