// Lets each client address send so many requests in a window of time, counted
// over all calls in the store that the operator grants.
//
// The configuration is two numbers, `REQUESTS SECONDS`: `100 60`.

import * as store from "apisix:filter/key-value@0.1.0";
import { filter, log, request, stop } from "./apisix-filter.js";

export const { configuration, requestHandler, responseHandler } = filter({
  configure(text) {
    const [, requests, seconds] = /^(\d+) +(\d+)$/.exec(text.trim()) ?? [];
    if (!(seconds > 0)) throw new Error("write REQUESTS SECONDS, such as 100 60");
    return { requests: Number(requests), windowMs: 1000 * seconds };
  },

  onRequest({ requests, windowMs }) {
    let counted;
    try {
      // The first request of a client begins its window.
      counted = store.increment(`requests of ${request.sourceAddress()}`, 1, windowMs);
    } catch (error) {
      if (error.payload === undefined) throw error;
      // Rather too many requests than none because the store is full.
      log.warn(error.payload.val);
      return;
    }
    if (counted > requests) {
      return stop({
        status: 429,
        headers: { "content-type": "text/plain" },
        body: "too many requests\n",
      });
    }
    request.setResponseHeader("x-requests-left", String(requests - counted));
  },
});
