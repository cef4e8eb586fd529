// What the fields are resolved with that tell apps of changes, on AppSync (APPSYNC_JS) and in the local cloud: a mutation
// of ours answers what it is given, and a subscription is told only what is about the caller's own profile.
import { extensions, util } from '@aws-appsync/utils';

/** What the mutation is given. */
export function request(ctx) {
  return { payload: ctx.args.input ?? null };
}

/** The mutation's answer, or what a subscription is told of. */
export function response(ctx) {
  if (ctx.info.parentTypeName === 'Mutation') {
    return ctx.result;
  }
  const profile = ctx.identity.claims[profileClaim(ctx.env.CLAIMS)];
  if (profile === undefined || profile === null) {
    const detail = 'This needs a token of an app user (claim profile_id)';
    const type = 'urn:moneta:problem:denied';
    util.error(detail, 'denied', null, { type, title: 'Forbidden', status: 403, code: 'denied', detail });
  }
  extensions.setSubscriptionFilter(util.transform.toSubscriptionFilter({ profile_id: { eq: `${profile}` } }));
  return null;
}

// `names` says what claims are called, as OURS=THEIRS with commas between.
function profileClaim(names) {
  let claim = 'profile_id';
  for (const pair of names.split(',')) {
    const [ours, theirs] = pair.split('=');
    if (ours === 'profile_id') {
      claim = theirs;
    }
  }
  return claim;
}
