// What a filter sees of the gateway, for editors and for type checks.
//
// A filter is built once and then meets every call as if it were the first: what
// a call leaves in variables, no other call reads. Everything is an ordinary
// function that returns at once or, where the gateway has to be asked, when it
// has answered; there is nothing to await. Functions throw a `HostError` when
// the host does not do what was asked. Where HTTP allows bytes that are no
// UTF-8, text shows them as U+FFFD; the twin in `...Bytes` shows them as they are.

/** Text for the gateway; a number or a boolean is written as JavaScript does. */
type Text = string | number | boolean | bigint;

/** Bytes for the gateway; a string is sent as UTF-8. */
type Bytes = Uint8Array | string;

/** One header line. A header that was sent twice is two entries. */
export interface HeaderEntry {
  /** In lower case in requests, in the upstream's case in responses. */
  name: string;
  /** Without the white space around it. */
  value: string;
}

/** `HeaderEntry` without a change of any byte. */
export interface HeaderEntryBytes {
  name: Uint8Array;
  value: Uint8Array;
}

/** One query argument, decoded. `?a=1&a=2` is two entries. */
export interface ArgEntry {
  /** Never empty. */
  name: string;
  /** `undefined` for `?a`, empty for `?a=`. */
  value: string | undefined;
}

/** `ArgEntry` without a change of any byte. */
export interface ArgEntryBytes {
  name: Uint8Array;
  value: Uint8Array | undefined;
}

/**
 * Why the host did not do what was asked. Whatever was asked for, nothing was
 * changed. An error that leaves a handler fails the call: the client gets 503,
 * unless the operator chose otherwise.
 */
export class HostError extends Error {
  /**
   * - `unsupported`: this runner or this phase does not offer the function.
   * - `wrong-phase`: there is nothing to act on, as for a function of `request`
   *   in `onResponse`, or one of either in `configure`.
   * - `invalid`: an argument cannot be sent as HTTP or to the gateway.
   * - `limit`: a limit of the runner was reached.
   * - `gateway`: the gateway did not answer, or wrongly. The call fails even if
   *   this error is caught.
   * - `denied`: the operator did not grant it to this filter.
   * - `other`: anything that later runners may say.
   */
  readonly kind: "unsupported" | "wrong-phase" | "invalid" | "limit" | "gateway" | "denied" | "other";
}

/**
 * The request, as the filters before this one left it; in `onRequest` only.
 * Edits take effect when `onRequest` lets the request go on; `stop` discards them.
 */
export const request: {
  /** The gateway's number of this call, unique among those in flight; 0 is one. */
  id(): number;

  /** The method in upper case, such as `GET`. */
  method(): string;

  /** The client's address, `127.0.0.1` or `2001:db8::1`; empty if unknown. */
  sourceAddress(): string;

  /** The path, decoded and without the query, such as `/a b`. */
  path(): string;
  /** `path` as bytes. */
  pathBytes(): Uint8Array;

  /**
   * Replaces the path and keeps the query. Give it decoded; it must start with
   * `/` and hold no NUL, else `invalid`.
   */
  setPath(path: string): void;
  /** `setPath` in bytes. */
  setPathBytes(path: Bytes): void;

  /**
   * The first value of a header; the name matches in any case. `undefined` when
   * there is none. The gateway sends at most 100 headers.
   */
  header(name: string): string | undefined;
  /** `header` as bytes. */
  headerBytes(name: string): Uint8Array | undefined;

  /** Every value of a header, in order; empty when there is none. */
  headerValues(name: string): string[];
  /** `headerValues` as bytes. */
  headerValuesBytes(name: string): Uint8Array[];

  /** All headers. The order of different names means nothing. */
  headers(): HeaderEntry[];
  /** `headers` as bytes. */
  headersBytes(): HeaderEntryBytes[];

  /**
   * Replaces every value of a header by this one. `invalid` for a name that is
   * no HTTP token, for CR, LF or NUL in the value, and for headers that belong
   * to the connection or say where the message ends (connection,
   * content-length, keep-alive, proxy-connection, te, trailer,
   * transfer-encoding, upgrade). An empty value arrives as no header at all.
   */
  setHeader(name: string, value: Text): void;
  /** `setHeader` in bytes. */
  setHeaderBytes(name: string, value: Bytes): void;

  /**
   * Adds a header that is not there yet. One that is there is `invalid`: the
   * gateway cannot add a second value. Set a joined value instead.
   */
  addHeader(name: string, value: Text): void;
  /** `addHeader` in bytes. */
  addHeaderBytes(name: string, value: Bytes): void;

  /** Removes every value of a header, if there is any. Not of `host`: `invalid`. */
  removeHeader(name: string): void;

  /**
   * The first entry of a query argument; the name matches exactly. `undefined`
   * when there is none; `arg("a")?.value` is `undefined` for `?a` as well.
   */
  arg(name: string): ArgEntry | undefined;
  /** `arg` in bytes. */
  argBytes(name: Bytes): ArgEntryBytes | undefined;

  /** Every value of a query argument, in order; `undefined` for each `?a`. */
  argValues(name: string): (string | undefined)[];
  /** `argValues` in bytes. */
  argValuesBytes(name: Bytes): (Uint8Array | undefined)[];

  /** All query arguments. The order of different names means nothing. */
  args(): ArgEntry[];
  /** `args` in bytes. */
  argsBytes(): ArgEntryBytes[];

  /**
   * Replaces every value of a query argument by this one. An empty value arrives
   * as `name=`; `?name` cannot be written. An empty name is `invalid`.
   */
  setArg(name: string, value: Text): void;
  /** `setArg` in bytes. */
  setArgBytes(name: Bytes, value: Bytes): void;

  /** Adds a value; `invalid` beside a value-less one, which could not be kept. */
  addArg(name: string, value: Text): void;
  /** `addArg` in bytes. */
  addArgBytes(name: Bytes, value: Bytes): void;

  /** Removes every value of a query argument, if there is any. */
  removeArg(name: string): void;
  /** `removeArg` in bytes. */
  removeArgBytes(name: Bytes): void;

  /**
   * The whole body; `undefined` when there is none. Waits until the client has
   * sent it all. One over 16 MiB cannot be had: `limit` or `gateway`.
   */
  body(): Uint8Array | undefined;

  /** `body` as text: `JSON.parse(request.bodyText() ?? "null")`. */
  bodyText(): string | undefined;

  /** Replaces the body (APISIX 3.6 and later). An empty one is `invalid`. */
  setBody(body: Bytes): void;

  /**
   * Sets a header of the response to this request, while the request goes on
   * (APISIX 2.13 and later). A `stop` does not carry it. `invalid` for what the
   * gateway keeps to itself here: connection, content-length, transfer-encoding,
   * location, server, www-authenticate, content-encoding, content-type,
   * content-location, content-language.
   */
  setResponseHeader(name: string, value: Text): void;
  /** `setResponseHeader` in bytes. */
  setResponseHeaderBytes(name: string, value: Bytes): void;

  /** The same, and keeps the values that filters of this call set before. */
  addResponseHeader(name: string, value: Text): void;
  /** `addResponseHeader` in bytes. */
  addResponseHeaderBytes(name: string, value: Bytes): void;
};

/**
 * The upstream's response, as the filters before this one left it; in
 * `onResponse` only (APISIX 2.14.1 and later). What nobody changes arrives as
 * the upstream sent it.
 */
export const response: {
  /** The gateway's number of this call; see `request.id`. */
  id(): number;

  /** The status code, 100 to 999. */
  status(): number;

  /** Replaces the status code: 200 to 599, else `invalid`. */
  setStatus(status: number): void;

  /** The first value of a header; the name matches in any case. */
  header(name: string): string | undefined;
  /** `header` as bytes. */
  headerBytes(name: string): Uint8Array | undefined;

  /** Every value of a header, in order; empty when there is none. */
  headerValues(name: string): string[];
  /** `headerValues` as bytes. */
  headerValuesBytes(name: string): Uint8Array[];

  /** All headers, in the order and case received. */
  headers(): HeaderEntry[];
  /** `headers` as bytes. */
  headersBytes(): HeaderEntryBytes[];

  /** Replaces every value of a header by this one; `invalid` as in a request. */
  setHeader(name: string, value: Text): void;
  /** `setHeader` in bytes. */
  setHeaderBytes(name: string, value: Bytes): void;

  /** Adds a value and keeps those that are there. */
  addHeader(name: string, value: Text): void;
  /** `addHeader` in bytes. */
  addHeaderBytes(name: string, value: Bytes): void;

  /** Removes every value of a header, if there is any. */
  removeHeader(name: string): void;

  /**
   * The whole body; `undefined` when there is none (APISIX 3.0 and later). One
   * over 16 MiB cannot be had.
   */
  body(): Uint8Array | undefined;

  /** `body` as text. */
  bodyText(): string | undefined;

  /**
   * Replaces the body. Content-Length, Content-Encoding, Content-Range and
   * digests go with the old one: set Content-Encoding after it, not before. An
   * empty body is `invalid`.
   */
  setBody(body: Bytes): void;
};

/**
 * Variables of the gateway: nginx's (`remote_port`, `cookie_name`) and APISIX's
 * own (`route_id`, `consumer_name`). Each is asked for once per call. In both
 * handlers, not in `configure`.
 */
export const variables: {
  /** The value; `undefined` when the gateway does not know the variable. */
  get(name: string): string | undefined;
  /** `get` as bytes. */
  getBytes(name: string): Uint8Array | undefined;

  /** Several in one exchange, in the order asked for: faster than one by one. */
  getMany(names: readonly string[]): (string | undefined)[];
  /** `getMany` as bytes. */
  getManyBytes(names: readonly string[]): (Uint8Array | undefined)[];
};

/**
 * Values for the filters after this one in the same call. The request and the
 * response phase are two calls and share none.
 */
export const chain: {
  /** The value under a key, `undefined` when no filter of this call set it. */
  get(key: string): string | undefined;

  /** Sets a value; 64 KiB for all keys and values of one call, else `limit`. */
  set(key: string, value: Text): void;

  /** Removes a value, if there is one. */
  remove(key: string): void;
};

/**
 * The runner's log, under the name of the plugin. Line feeds are escaped, more
 * than 8 KiB is cut. `console.log` and its like arrive here as well.
 */
export const log: {
  /** Whether a line would be written: ask before an expensive message. */
  enabled(level: "trace" | "debug" | "info" | "warn" | "error"): boolean;
  /** Every step, for the author. */
  trace(message: Text): void;
  /** What helps to find a fault. */
  debug(message: Text): void;
  /** What an operator may want to know. */
  info(message: Text): void;
  /** What an operator should look at. */
  warn(message: Text): void;
  /** What went wrong. */
  error(message: Text): void;
};

/** What this filter is called and how it was configured; in every phase. */
export const plugin: {
  /** The plugin's name in the gateway's configuration. */
  name(): string;

  /** The configuration exactly as the gateway sent it. */
  configurationBytes(): Uint8Array;
};

/** The time of day; in every phase. */
export const clock: {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
};

/** What is to become of a request: made by `next` and `stop`. */
export type Verdict = { readonly tag: "next" } | { readonly tag: "stop"; readonly val: object };

/** The request goes on, to the next filter and then the upstream. */
export function next(): Verdict;

/** A response from the filter itself. */
export interface StopResponse {
  /** 200 to 599. */
  status: number;
  /** As an object, `{"set-cookie": ["a=1", "b=2"]}`, or as a list of pairs. */
  headers?: Record<string, Text | readonly Text[]> | Iterable<readonly [string, Text | readonly Text[]]>;
  /** nginx shows its own page where it is empty and the status 300 or more. */
  body?: Bytes;
}

/** The client gets this response; no later filter and no upstream sees the request. */
export function stop(response: StopResponse): Verdict;

/**
 * The functions that make up a filter. None needs to be `async`; on QuickJS none
 * can be, on StarlingMonkey each may.
 */
export interface Filter<Config> {
  /**
   * Takes the configuration text of a route, by convention JSON, before the
   * handler of every call. What it returns is handed to the handlers. What it
   * throws is why the text cannot be used: every call with it fails, and the log
   * says this message. The runner may call it once for many calls: what must
   * differ from call to call, such as a time, belongs into a handler. Left out,
   * the handlers get the text.
   */
  configure?(text: string): Config;

  /**
   * Looks at a request and may change it. Returns `stop(...)`, or `next()` or
   * nothing. What it throws is logged and fails the call.
   */
  onRequest?(config: Config): Verdict | void;

  /**
   * Looks at a response and may change it. What it throws is logged, and the
   * response is withheld.
   */
  onResponse?(config: Config): void | undefined;
}

/**
 * Declares a filter. The module must export what this returns:
 *
 * ```js
 * export const { configuration, requestHandler, responseHandler } = filter({
 *   onRequest() {
 *     request.setHeader("x-seen", "yes");
 *   },
 * });
 * ```
 */
export function filter<Config = string>(filter: Filter<Config>): {
  readonly configuration: { configure(text: string): void };
  readonly requestHandler: { onRequest(): Verdict };
  readonly responseHandler: { onResponse(): void };
};

/** Text as UTF-8. For engines without TextEncoder. */
export function encodeUtf8(text: string): Uint8Array;

/** UTF-8 as text: what is no UTF-8 becomes U+FFFD, a byte order mark goes. */
export function decodeUtf8(bytes: Uint8Array): string;

declare global {
  /** Writes to the runner's log; `log` is `info`. Objects are shown as JSON. */
  interface Console {
    trace(...values: unknown[]): void;
    debug(...values: unknown[]): void;
    log(...values: unknown[]): void;
    info(...values: unknown[]): void;
    warn(...values: unknown[]): void;
    error(...values: unknown[]): void;
  }
  var console: Console;
}
