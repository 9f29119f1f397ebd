// A filter of requests and responses; what it does is said in README.md.
//
// This file is evaluated once, when the component is built. Every call starts
// from there, as if it were the first: nothing that one call leaves behind
// reaches another.

import { filter, log, request, response, stop } from "./apisix-filter.js";

interface Config {
  header: string;
  value: string;
  deny?: string;
}

export const { configuration, requestHandler, responseHandler } = filter<Config>({
  // Takes the text that the route gives this plugin. An exception here is the
  // reason why it cannot be used; what is returned goes to the handlers.
  configure(text) {
    let config: unknown;
    try {
      config = JSON.parse(text);
    } catch (error) {
      throw new Error(`the configuration is not JSON: ${(error as Error).message}`);
    }
    if (config === null || typeof config !== "object" || Array.isArray(config)) {
      throw new Error("the configuration is not a JSON object");
    }
    const { header, value, deny } = config as Record<string, unknown>;
    if (typeof header !== "string") throw new Error("header is missing or no text");
    if (typeof value !== "string") throw new Error("value is missing or no text");
    return typeof deny === "string" ? { header, value, deny } : { header, value };
  },

  onRequest({ header, value, deny }) {
    const path = request.path();

    if (deny && path.startsWith(deny)) {
      return stop({
        status: 403,
        headers: { "content-type": "text/plain" },
        body: `${path} is not for you\n`,
      });
    }

    request.setHeader(header, value);

    // `?lang` has no value, `?lang=` an empty one.
    const lang = request.arg("lang");
    if (lang?.value !== undefined) {
      request.setArg("lang", lang.value.replace(/[A-Z]/g, (letter) => letter.toLowerCase()));
    }

    log.info(`passed ${path}`);
    // Nothing returned: the request goes on.
  },

  onResponse({ value }) {
    response.setHeader("x-filtered", value);
  },
});
