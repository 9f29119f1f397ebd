// Lets requests in that bring a known API key, and tells the upstream whose it
// is.

import { filter, request, stop } from "./apisix-filter.js";

export const { configuration, requestHandler, responseHandler } = filter({
  configure(text) {
    const { header = "x-api-key", keys } = JSON.parse(text);
    if (typeof header !== "string") throw new Error("`header` is no text");
    const consumers = Object.entries(keys ?? {});
    if (consumers.length === 0) throw new Error("`keys` names nobody");
    for (const [name, key] of consumers) {
      if (typeof key !== "string" || key.length < 16) {
        throw new Error(`the key of ${name} has less than 16 characters`);
      }
    }
    return { header, consumers };
  },

  onRequest({ header, consumers }) {
    // A header that is there twice is no key.
    const sent = request.headerValues(header);
    const known = sent.length === 1 ? consumerOf(sent[0], consumers) : undefined;
    if (known === undefined) {
      return stop({
        status: 401,
        headers: { "www-authenticate": "ApiKey", "content-type": "text/plain" },
        body: "a valid API key is needed\n",
      });
    }
    // The key is for the gateway alone. What the client said of itself in
    // x-consumer is replaced.
    request.removeHeader(header);
    request.setHeader("x-consumer", known);
  },
});

// Looks at every key, also after one that fits: how long it takes says nothing
// about which of them was nearly right.
function consumerOf(sent, consumers) {
  let found;
  for (const [name, key] of consumers) {
    if (isSame(sent, key)) found = name;
  }
  return found;
}

// Takes as long as `sent` is, wherever it differs.
function isSame(sent, key) {
  let difference = sent.length ^ key.length;
  for (let i = 0; i < sent.length; i++) {
    difference |= sent.charCodeAt(i) ^ key.charCodeAt(i % key.length);
  }
  return difference === 0;
}
