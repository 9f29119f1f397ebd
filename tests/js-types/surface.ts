// Compiles only as long as apisix-filter.d.ts offers all that wit.d.ts does,
// with parameters and results that fit. Never run.

import type * as rawChain from "apisix:filter/chain@0.1.0";
import type * as rawPlugin from "apisix:filter/plugin@0.1.0";
import type * as rawRequest from "apisix:filter/request@0.1.0";
import type * as rawResponse from "apisix:filter/response@0.1.0";
import type * as rawTypes from "apisix:filter/types@0.1.0";
import type * as rawVariables from "apisix:filter/variables@0.1.0";
import type * as rawLog from "apisix:filter/log@0.1.0";
import type { HostError } from "./apisix-filter.js";
import { chain, filter, log, next, plugin, request, response, stop, variables } from "./apisix-filter.js";

/** The names of the functions of `Raw` that `Ours` lacks or has otherwise. */
type Differs<Raw, Ours> = {
  [Name in keyof Raw]: Name extends keyof Ours
    ? Raw[Name] extends (...parameters: infer Parameters) => infer Result
      ? Ours[Name] extends (...parameters: Parameters) => Result
        ? never
        : Name
      : never
    : Name;
}[keyof Raw];

declare function none<Name extends never>(): Name;

none<Differs<typeof rawRequest, typeof request>>();
none<Differs<typeof rawResponse, typeof response>>();
none<Differs<typeof rawVariables, typeof variables>>();
none<Differs<typeof rawChain, typeof chain>>();
none<Differs<typeof rawPlugin, typeof plugin>>();
none<Exclude<rawLog.Level, keyof typeof log>>();
none<Exclude<rawTypes.Error["tag"], HostError["kind"]>>();
none<Exclude<HostError["kind"], rawTypes.Error["tag"]>>();

// How a filter may be written.
filter({ onRequest: () => next() });
filter({ onRequest: () => stop({ status: 403, headers: { a: "1", b: ["2", 3] }, body: new Uint8Array(1) }) });
filter({ onRequest: () => stop({ status: 403, headers: [["a", "1"]], body: "text" }) });
filter({ onRequest: () => stop({ status: 403, headers: new Map([["a", "1"]]) }) });
filter({ configure: (text) => text.length, onRequest: (length) => request.setHeader("x-length", length) });
filter({ onResponse: (text) => response.setHeader("x-text", text) });

// @ts-expect-error: QuickJS does not wait.
filter({ async onRequest() {} });
// @ts-expect-error
filter({ async onResponse() {} });
// @ts-expect-error: a response is made by stop().
filter({ onRequest: () => ({ status: 403 }) });
// @ts-expect-error
stop({ headers: {} });
// @ts-expect-error
request.setHeader("x-none", undefined);
// @ts-expect-error
request.setHeader("x-lang", request.header("lang"));
// @ts-expect-error
variables.getMany("one");
