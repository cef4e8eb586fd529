// What resolvers use of AppSync's module @aws-appsync/utils.

/** Set before each run: the time, and ids that were not given out yet. Then the filter that the run sets. */
export const host = { now: 0, ids: [], filter: null };

export const extensions = {
  setSubscriptionFilter(filter) {
    host.filter = filter;
  },
};

export const util = {
  error(message, errorType, data, errorInfo) {
    throw { ofResolver: { message, errorType: errorType ?? null, data: data ?? null, errorInfo: errorInfo ?? null } };
  },
  autoId() {
    return host.ids.pop();
  },
  matches(pattern, text) {
    return new RegExp(pattern).test(text);
  },
  urlEncode(text) {
    const encoded = encodeURIComponent(text).replace(/%20/g, '+');
    return encoded.replace(/[!'()~]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
  },
  transform: {
    toSubscriptionFilter(conditions) {
      const filters = Object.entries(conditions).flatMap(([fieldName, tests]) =>
        Object.entries(tests).map(([operator, value]) => ({ fieldName, operator, value })),
      );
      return { filterGroup: [{ filters }] };
    },
  },
  time: {
    nowEpochMilliSeconds() {
      return host.now;
    },
  },
};
