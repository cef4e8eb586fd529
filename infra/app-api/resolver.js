// What every field of infra/schema.graphql is resolved with, on AppSync (APPSYNC_JS) and in the local cloud: a field's
// arguments and the caller's claims become the event that the HTTP API would send the same function, and the function's
// answer becomes the field's value or, if it is a problem, a GraphQL error.
//
// APPSYNC_JS knows no recursion, no while, no exceptions and no regular expressions as literals; infra/tools/check-resolver.sh
// holds the file to AppSync's own rules.
import { util } from '@aws-appsync/utils';

// Written by `moneta graphql`; don't edit what stands between here and the end of the table.
// For each field its route. `whole` names the arguments that a function takes as whole numbers and an app gives as text,
// because GraphQL's Int ends at 2,147,483,647; `counts` the parts of an answer that are Int, all other numbers being text;
// `maps` those that are AWSJSON; `decimals` the arguments that are Float; `result` is where the answer goes beside `result`.
const OPERATIONS = {
  add_payment_method: {
    route: 'POST /billing/payment-methods',
  },
  cancel_collection_version: {
    route: 'DELETE /trading/collections/{collection_id}/versions/{version_id}',
  },
  cancel_withdrawal: {
    route: 'POST /withdrawals/{withdrawal_id}/cancel',
  },
  create_checkout_session: {
    route: 'POST /billing/checkout-sessions',
  },
  create_payout_account_link: {
    route: 'POST /payout-account/link',
  },
  create_plaid_link_token: {
    route: 'POST /trading/bank-accounts/link-token',
    whole: ['bank_account_id'],
  },
  delete_bank_account: {
    route: 'DELETE /trading/bank-accounts/{bank_account_id}',
  },
  delete_payment_method: {
    route: 'DELETE /billing/payment-methods/{payment_method_id}',
  },
  deposit_funds: {
    route: 'POST /trading/deposits',
    whole: ['amount_cents', 'bank_account_id', 'trading_account_id'],
  },
  get_actual_holdings: {
    route: 'GET /trading/collections/{collection_id}/holdings',
  },
  get_equity_history: {
    route: 'GET /funded-accounts/{funded_account_id}/equity',
  },
  get_funded_account: {
    route: 'GET /funded-accounts/{funded_account_id}',
  },
  get_invoice: {
    route: 'GET /billing/invoices/{invoice_id}',
    counts: ['attempt', 'billable_days', 'days_with_balance'],
  },
  get_kyc_form: {
    route: 'GET /trading/kyc/form',
  },
  get_kyc_form_config: {
    route: 'GET /trading/kyc/form-config',
  },
  get_kyc_status: {
    route: 'GET /trading/kyc/status',
  },
  get_notification_preferences: {
    route: 'GET /notifications/preferences',
  },
  get_payout_account: {
    route: 'GET /payout-account',
  },
  get_statement_document: {
    route: 'GET /trading/statements/{statement_id}',
  },
  get_trading_history: {
    route: 'GET /trading/history',
  },
  get_trading_profile: {
    route: 'GET /trading/profile',
  },
  get_unread_count: {
    route: 'GET /notifications/unread-count',
    counts: ['unread'],
  },
  link_bank_account: {
    route: 'POST /trading/bank-accounts',
  },
  list_bank_accounts: {
    route: 'GET /trading/bank-accounts',
  },
  list_collections: {
    route: 'GET /trading/collections',
  },
  list_commission_history: {
    route: 'GET /billing/commissions',
    counts: ['year'],
  },
  list_funded_accounts: {
    route: 'GET /funded-accounts',
  },
  list_invoices: {
    route: 'GET /billing/invoices',
    counts: ['attempt', 'billable_days', 'days_with_balance'],
  },
  list_money_flow_history: {
    route: 'GET /trading/history/money-flow',
  },
  list_notifications: {
    route: 'GET /notifications',
    maps: ['data'],
  },
  list_payment_methods: {
    route: 'GET /billing/payment-methods',
  },
  list_rebalancing_history: {
    route: 'GET /trading/history/rebalancings',
  },
  list_recommended_weights: {
    route: 'GET /trading/collections/{collection_id}/recommended-weights',
  },
  list_statements: {
    route: 'GET /trading/statements',
  },
  list_tiers: {
    route: 'GET /tiers',
    counts: ['min_trades', 'min_winning_days', 'payout_cycle_days'],
  },
  list_withdrawals: {
    route: 'GET /funded-accounts/{funded_account_id}/withdrawals',
  },
  mark_notifications_read: {
    route: 'POST /notifications/read',
    counts: ['unread'],
  },
  put_kyc_form: {
    route: 'PUT /trading/kyc/form',
    whole: ['investor_profile_annual_income', 'investor_profile_net_worth_liquid', 'investor_profile_net_worth_total'],
  },
  reconfigure_ttf_holdings: {
    route: 'POST /trading/collections/{collection_id}/versions',
    decimals: ['weight'],
    result: 'version',
  },
  register_device: {
    route: 'PUT /notifications/devices/{token}',
  },
  request_withdrawal: {
    route: 'POST /funded-accounts/{funded_account_id}/withdraw',
    whole: ['amount_cents'],
  },
  send_kyc_form: {
    route: 'POST /trading/kyc/submissions',
  },
  send_phone_code: {
    route: 'POST /trading/kyc/phone-codes',
  },
  set_active_payment_method: {
    route: 'PUT /billing/payment-methods/{payment_method_id}/active',
  },
  set_language: {
    route: 'PUT /profile/language',
  },
  set_notification_preferences: {
    route: 'PUT /notifications/preferences',
  },
  unregister_device: {
    route: 'DELETE /notifications/devices/{token}',
  },
  verify_phone_code: {
    route: 'POST /trading/kyc/phone-codes/verifications',
  },
  withdraw_funds: {
    route: 'POST /trading/withdrawals',
    whole: ['amount_cents', 'bank_account_id', 'trading_account_id'],
  },
};
// The end of the table.

// How deep a body or an answer may be nested. Nothing here is half as deep.
const LEVELS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const WHOLE_NUMBER = '^(0|-?[1-9][0-9]*)$';
const UNAVAILABLE = {
  type: 'urn:moneta:problem:unavailable',
  title: 'Service unavailable',
  status: 503,
  code: 'unavailable',
  detail: 'This is not possible at the moment. Please repeat the request.',
};
const INTERNAL = {
  type: 'urn:moneta:problem:internal',
  title: 'Internal server error',
  status: 500,
  code: 'internal',
  detail: 'Something went wrong on our side. It has been reported; please try again later.',
};

/** The event of the HTTP API. */
export function request(ctx) {
  const operation = OPERATIONS[ctx.info.fieldName];
  const claims = claimTexts(ctx.identity.claims);
  refuseForeignProfile(ctx.args.profile_id, claims, ctx.env.CLAIMS);
  return { operation: 'Invoke', payload: event(ctx, operation, claims) };
}

/** The field's value. */
export function response(ctx) {
  if (ctx.error) {
    fail(ctx.error.type === 'Lambda:TooManyRequestsException' ? UNAVAILABLE : INTERNAL);
  }
  const operation = OPERATIONS[ctx.info.fieldName];
  const answer = JSON.parse(ctx.result.body);
  if (ctx.result.statusCode >= 400) {
    fail(answer);
  }
  const value = texts(answer, operation);
  if (!operation.result) {
    return value;
  }
  const beside = { result: true };
  beside[operation.result] = value;
  return beside;
}

function fail(problem) {
  util.error(problem.detail, problem.code, null, problem);
}

function event(ctx, operation, claims) {
  const [method, template] = operation.route.split(' ');
  const path = {};
  const rest = {};
  for (const name of Object.keys(ctx.args)) {
    const isPart = template.indexOf(`{${name}}`) > -1;
    if (isPart) {
      path[name] = `${ctx.args[name]}`;
    } else if (name !== 'idempotency_key' && name !== 'profile_id') {
      rest[name] = ctx.args[name];
    }
  }
  let rawPath = template;
  for (const name of Object.keys(path)) {
    rawPath = rawPath.split(`{${name}}`).join(path[name]);
  }
  const inQuery = method === 'GET' || method === 'DELETE';
  const payload = {
    version: '2.0',
    routeKey: operation.route,
    rawPath,
    rawQueryString: inQuery ? query(rest) : '',
    headers: headers(ctx, inQuery),
    requestContext: context(ctx, operation.route, method, rawPath, claims),
    pathParameters: path,
    isBase64Encoded: false,
  };
  if (!inQuery) {
    payload.body = JSON.stringify(numbers(rest, operation));
  }
  return payload;
}

function context(ctx, routeKey, method, path, claims) {
  return {
    accountId: 'appsync',
    apiId: 'appsync',
    authorizer: { jwt: { claims, scopes: null } },
    domainName: 'appsync',
    domainPrefix: 'appsync',
    http: {
      method,
      path,
      protocol: 'HTTP/1.1',
      sourceIp: ctx.request.headers['x-forwarded-for'] ?? '',
      userAgent: ctx.request.headers['user-agent'] ?? '',
    },
    requestId: ctx.request.headers['x-amzn-requestid'] ?? util.autoId(),
    routeKey,
    stage: '$default',
    timeEpoch: util.time.nowEpochMilliSeconds(),
  };
}

// Without a key of the app's each field is a request of its own: two alike in one document are meant twice. What all fields
// do is found in the logs under the id that AppSync answers with.
function headers(ctx, inQuery) {
  const given = ctx.request.headers;
  const sent = { accept: 'application/json' };
  for (const name of ['user-agent', 'x-amzn-trace-id', 'x-forwarded-for']) {
    if (given[name]) {
      sent[name] = given[name];
    }
  }
  sent['x-correlation-id'] = given['x-correlation-id'] ?? given['x-amzn-requestid'] ?? util.autoId();
  if (!inQuery) {
    sent['content-type'] = 'application/json';
    sent['idempotency-key'] = ctx.args.idempotency_key ?? given['idempotency-key'] ?? util.autoId();
  }
  return sent;
}

function query(parameters) {
  const pairs = [];
  for (const name of Object.keys(parameters)) {
    const value = parameters[name];
    if (value !== null) {
      pairs.push(`${util.urlEncode(name)}=${util.urlEncode(`${value}`)}`);
    }
  }
  return pairs.join('&');
}

// The claims as the HTTP API hands them on: all of them texts, a list as [a b].
function claimTexts(claims) {
  const written = {};
  for (const name of Object.keys(claims)) {
    const value = claims[name];
    if (typeof value === 'string') {
      written[name] = value;
    } else {
      written[name] = isList(value) ? `[${value.join(' ')}]` : JSON.stringify(value);
    }
  }
  return written;
}

// A profile that an app names is the caller's own, or else it isn't there. `names` says what claims are called, as
// OURS=THEIRS with commas between.
function refuseForeignProfile(profile, claims, names) {
  if (profile === undefined || profile === null) {
    return;
  }
  let claim = 'profile_id';
  for (const pair of names.split(',')) {
    const [ours, theirs] = pair.split('=');
    if (ours === 'profile_id') {
      claim = theirs;
    }
  }
  if (claims[claim] !== `${profile}`) {
    const message = 'there is no such profile';
    fail({
      type: 'urn:moneta:problem:profile-not-found',
      title: 'Not found',
      status: 404,
      code: 'profile-not-found',
      detail: 'There is no such profile',
      errors: [{ field: 'profile_id', message }],
    });
  }
}

function isList(value) {
  return typeof value === 'object' && value !== null && value.length >= 0;
}

// The body with numbers where the function wants numbers. A text that is no whole number, or one that JavaScript would
// round, stays: the function then says what is wrong with the field.
function numbers(body, operation) {
  const whole = operation.whole ?? [];
  const decimals = operation.decimals ?? [];
  const copy = JSON.parse(JSON.stringify(body));
  let layer = [{ name: '', node: copy }];
  for (const level of LEVELS) {
    const below = [];
    for (const { name: above, node } of layer) {
      const keys = isList(node) ? node.map((item, index) => index) : Object.keys(node);
      for (const key of keys) {
        const name = isList(node) ? above : key;
        const value = node[key];
        if (typeof value === 'object' && value !== null) {
          below.push({ name, node: value });
        } else if (typeof value === 'string' && whole.indexOf(name) > -1) {
          node[key] = wholeNumber(value);
        } else if (typeof value === 'number' && decimals.indexOf(name) > -1) {
          node[key] = `${value}`;
        }
      }
    }
    layer = below;
  }
  return copy;
}

function wholeNumber(text) {
  if (!util.matches(WHOLE_NUMBER, text)) {
    return text;
  }
  const number = JSON.parse(text);
  return `${number}` === text ? number : text;
}

// The answer with text where the schema has text.
function texts(answer, operation) {
  const counts = operation.counts ?? [];
  const maps = operation.maps ?? [];
  let layer = [{ name: '', node: answer }];
  for (const level of LEVELS) {
    const below = [];
    for (const { name: above, node } of layer) {
      const keys = isList(node) ? node.map((item, index) => index) : Object.keys(node);
      for (const key of keys) {
        const name = isList(node) ? above : key;
        const value = node[key];
        if (typeof value === 'number' && counts.indexOf(name) < 0) {
          node[key] = `${value}`;
        } else if (typeof value === 'object' && value !== null) {
          if (maps.indexOf(name) > -1) {
            node[key] = JSON.stringify(value);
          } else {
            below.push({ name, node: value });
          }
        }
      }
    }
    layer = below;
  }
  return answer;
}
