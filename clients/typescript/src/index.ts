// The client of Moneta's HTTP API. What it adds to openapi-fetch: the token, an idempotency key for every POST, repetitions
// that never do anything twice, and problems as errors.
import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './schema.js';

export type { components, paths } from './schema.js';
/** The objects of the API by name, such as `Schemas['MoneyFlowView']`. */
export type Schemas = components['schemas'];
/** What the API says of an error (RFC 9457). */
export type Problem = Schemas['Problem'];

export interface Options {
  /** The address of the API. */
  baseUrl: string;
  /** The caller's token, or what gives one. It is asked for each attempt, so that an expired one can be renewed. */
  token: string | (() => string | Promise<string>);
  /** How often a request is sent again whose answer got lost or says so; 4 unless given. */
  retries?: number;
  /** What sends requests; the platform's own unless given. */
  fetch?: (request: Request) => Promise<Response>;
  /** Waits; for tests. */
  sleep?: (milliseconds: number) => Promise<void>;
}

/** An answer that isn't a success. */
export class ProblemError extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** The problem's stable code; `gateway` for an answer of the gateway itself. */
  readonly code: string;
  /** The problem as it came; none for an answer of the gateway itself. */
  readonly problem: Problem | undefined;
  /** The id under which the logs have the request. */
  readonly correlationId: string | undefined;

  constructor(status: number, problem: Problem | undefined, message: string, correlationId: string | undefined) {
    super(message);
    this.name = 'ProblemError';
    this.status = status;
    this.code = problem?.code ?? 'gateway';
    this.problem = problem;
    this.correlationId = correlationId;
  }
}

const KEY = 'Idempotency-Key';
const DEFAULT_RETRIES = 4;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000;

/** A client of the API. Every call gives the data of a success, or throws a {@link ProblemError}. */
export function createMonetaClient(options: Options): Client<paths> {
  const client = createClient<paths>({
    baseUrl: options.baseUrl,
    fetch: (request) => send(request, options),
  });
  client.use({
    async onResponse({ response }) {
      if (!response.ok) {
        throw await problemOf(response);
      }
    },
  });
  return client;
}

/** Sends a request until it is answered for good. Each attempt has the same key, so that what was done is not done again. */
async function send(request: Request, options: Options): Promise<Response> {
  const sender = options.fetch ?? ((each: Request) => fetch(each));
  const sleep = options.sleep ?? ((milliseconds) => new Promise<void>((done) => setTimeout(done, milliseconds)));
  const retries = options.retries ?? DEFAULT_RETRIES;
  if (request.method === 'POST' && !request.headers.has(KEY)) {
    request.headers.set(KEY, crypto.randomUUID());
  }
  for (let attempt = 0; ; attempt += 1) {
    const each = request.clone();
    const token = typeof options.token === 'string' ? options.token : await options.token();
    each.headers.set('Authorization', `Bearer ${token}`);
    let answer: Response | undefined;
    try {
      answer = await sender(each);
    } catch (error) {
      if (attempt >= retries || request.signal.aborted) {
        throw error;
      }
    }
    if (answer && (attempt >= retries || !(await asksForAnother(answer)))) {
      return answer;
    }
    await sleep(pause(attempt, answer));
  }
}

/** Whether the same request may be answered otherwise in a moment. */
async function asksForAnother(answer: Response): Promise<boolean> {
  if ([429, 500, 502, 503, 504].includes(answer.status)) {
    return true;
  }
  if (answer.status !== 409) {
    return false;
  }
  const problem = await readProblem(answer.clone());
  return problem?.code === 'request-in-flight';
}

/** How long to wait: what the answer says, or twice as long each time, in part by chance. */
function pause(attempt: number, answer: Response | undefined): number {
  const told = Number(answer?.headers.get('Retry-After') ?? Number.NaN);
  if (Number.isFinite(told) && told >= 0) {
    return Math.min(told * 1000, MAX_PAUSE_MS);
  }
  const longest = Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS);
  return longest / 2 + (Math.random() * longest) / 2;
}

async function readProblem(answer: Response): Promise<Problem | undefined> {
  if (!answer.headers.get('Content-Type')?.startsWith('application/problem+json')) {
    return undefined;
  }
  return (await answer.json()) as Problem;
}

async function problemOf(answer: Response): Promise<ProblemError> {
  const correlationId = answer.headers.get('x-correlation-id') ?? undefined;
  const problem = await readProblem(answer.clone());
  const message = problem ? `${problem.code}: ${problem.detail}` : `${answer.status} ${await answer.text()}`;
  return new ProblemError(answer.status, problem, message, correlationId);
}
