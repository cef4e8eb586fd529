// Runs a handler of the resolver on a context, JSON in and JSON out. It is the script's last module.
import { host } from '@aws-appsync/utils';
import * as resolver from 'resolver';

globalThis.run = (handler, input) => {
  const { context, now, ids } = JSON.parse(input);
  host.now = now;
  host.ids = ids;
  host.filter = null;
  try {
    const value = resolver[handler](context) ?? null;
    return JSON.stringify({ value, filter: host.filter });
  } catch (thrown) {
    if (thrown?.ofResolver) {
      return JSON.stringify({ error: thrown.ofResolver });
    }
    throw thrown;
  }
};
