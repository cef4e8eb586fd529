// Runs a handler of the resolver on a context, JSON in and JSON out. It is the script's last module.
import { host } from '@aws-appsync/utils';
import * as resolver from 'resolver';

globalThis.run = (handler, input) => {
  const { context, now, ids } = JSON.parse(input);
  host.now = now;
  host.ids = ids;
  try {
    return JSON.stringify({ value: resolver[handler](context) ?? null });
  } catch (thrown) {
    if (thrown?.ofResolver) {
      return JSON.stringify({ error: thrown.ofResolver });
    }
    throw thrown;
  }
};
