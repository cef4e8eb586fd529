// What resolvers use of AppSync's module @aws-appsync/utils.

/** Set before each run: the time, and ids that were not given out yet. */
export const host = { now: 0, ids: [] };

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
  time: {
    nowEpochMilliSeconds() {
      return host.now;
    },
  },
};
