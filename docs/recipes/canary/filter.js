// Sends a part of the clients to a new version, and the same ones each time: a
// cookie remembers the side, a header tells the upstream or the gateway.

import { filter, log, request } from "./apisix-filter.js";

export const { configuration, requestHandler, responseHandler } = filter({
  configure(text) {
    const { percent, cookie = "side", header = "x-side", maxAge = 86400 } = JSON.parse(text);
    if (!(typeof percent === "number" && percent >= 0 && percent <= 100)) {
      throw new Error("`percent` is no number from 0 to 100");
    }
    if (!Number.isInteger(maxAge) || maxAge < 0) throw new Error("`maxAge` is no number of seconds");
    // As RFC 6265 has it; the value is one of two words.
    if (!/^[A-Za-z0-9_-]+$/.test(cookie)) throw new Error("`cookie` is no name of a cookie");
    return { percent, cookie, header, maxAge };
  },

  onRequest({ percent, cookie, header, maxAge }) {
    let side = cookieOf(cookie);
    if (side !== "new" && side !== "old") {
      side = Math.random() * 100 < percent ? "new" : "old";
      const attributes = `Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax`;
      request.addResponseHeader("set-cookie", `${cookie}=${side}; ${attributes}`);
      log.debug(`a client is on the ${side} side from now on`);
    }
    // Set in any case, so that no client's own header passes.
    request.setHeader(header, side);
  },
});

function cookieOf(name) {
  for (const line of request.headerValues("cookie")) {
    for (const pair of line.split(";")) {
      const [key, value] = pair.split("=", 2);
      if (key.trim() === name) return value?.trim();
    }
  }
  return undefined;
}
