// The interfaces of wit/ as a JavaScript author expects them: what is absent is
// `undefined`, what fails is an exception, bodies may be strings. The same file
// serves both engines, QuickJS and StarlingMonkey, and hides where they differ.
// What each function does is said in apisix-filter.d.ts, which is what editors and
// compilers read instead.
// @ts-nocheck

import * as rawChain from "apisix:filter/chain@0.1.0";
import * as rawClock from "apisix:filter/clock@0.1.0";
import * as rawLog from "apisix:filter/log@0.1.0";
import * as rawPlugin from "apisix:filter/plugin@0.1.0";
import * as rawRequest from "apisix:filter/request@0.1.0";
import * as rawResponse from "apisix:filter/response@0.1.0";
import * as rawVariables from "apisix:filter/variables@0.1.0";

// Top-level code runs while the component is built: there is no host to ask.
let running = false;

/** What the host answered instead of doing what was asked. */
export class HostError extends Error {
  constructor(kind, message) {
    super(message);
    this.name = "HostError";
    this.kind = kind;
  }
}

// --- Values that cross over to the host -------------------------------------

// A value of the wrong type would end the instance without a word in QuickJS,
// so each argument is checked here. By the letter in the tables below:
const check = {
  // Text. A lone surrogate has no UTF-8: it becomes U+FFFD.
  t(value, where) {
    if (typeof value === "string") return value.toWellFormed();
    if (["number", "boolean", "bigint"].includes(typeof value)) return String(value);
    throw wrongType(where, "a string", value);
  },
  // Bytes, or text to be sent as UTF-8.
  b(value, where) {
    if (value instanceof Uint8Array) return value;
    if (typeof value === "string") return encodeUtf8(value);
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    throw wrongType(where, "a string or a Uint8Array", value);
  },
  // A list of texts.
  l(value, where) {
    if (Array.isArray(value)) return value.map((item) => check.t(item, where));
    throw wrongType(where, "a list of strings", value);
  },
  // A number of 16 bits.
  n(value, where) {
    if (Number.isInteger(value) && value >= 0 && value <= 65535) return value;
    throw wrongType(where, "a whole number", value);
  },
};

function wrongType(where, wanted, value) {
  const type = value === null ? "null" : Array.isArray(value) ? "a list" : typeof value;
  const shown = typeof value === "number" ? String(value) : type;
  return new TypeError(`${where} needs ${wanted}, not ${shown}`);
}

// QuickJS says null where StarlingMonkey says undefined.
function present(value) {
  if (value === null) return undefined;
  if (Array.isArray(value)) return value.map(present);
  if (typeof value === "object" && value.value === null) return { name: value.name, value: undefined };
  return value;
}

// The functions of one interface. The table has a letter for each argument.
function host(name, raw, table) {
  const made = {};
  for (const key of Object.keys(table)) {
    const ask = raw[key];
    const [first, second] = Array.from(table[key], (letter) => check[letter]);
    const where = key === name ? name : `${name}.${key}`;
    made[key] = (a, b) => {
      if (!running) throw tooEarly(where);
      if (first !== undefined) a = first(a, where);
      if (second !== undefined) b = second(b, where);
      try {
        return present(second !== undefined ? ask(a, b) : first !== undefined ? ask(a) : ask());
      } catch (error) {
        const payload = error?.payload;
        throw payload === undefined ? error : new HostError(payload.tag, payload.val);
      }
    };
  }
  return made;
}

function tooEarly(where) {
  return new Error(
    `${where} was called while the filter was being built, where top-level code runs; ` +
      "call it in configure, onRequest or onResponse",
  );
}

// --- The interfaces ----------------------------------------------------------

export const request = host("request", rawRequest, {
  id: "", method: "", sourceAddress: "",
  path: "", pathBytes: "", setPath: "t", setPathBytes: "b",
  header: "t", headerBytes: "t", headerValues: "t", headerValuesBytes: "t",
  headers: "", headersBytes: "",
  setHeader: "tt", setHeaderBytes: "tb", addHeader: "tt", addHeaderBytes: "tb", removeHeader: "t",
  arg: "t", argBytes: "b", argValues: "t", argValuesBytes: "b", args: "", argsBytes: "",
  setArg: "tt", setArgBytes: "bb", addArg: "tt", addArgBytes: "bb", removeArg: "t", removeArgBytes: "b",
  body: "", setBody: "b",
  setResponseHeader: "tt", setResponseHeaderBytes: "tb",
  addResponseHeader: "tt", addResponseHeaderBytes: "tb",
});
request.bodyText = () => textOf(request.body());

export const response = host("response", rawResponse, {
  id: "", status: "", setStatus: "n",
  header: "t", headerBytes: "t", headerValues: "t", headerValuesBytes: "t",
  headers: "", headersBytes: "",
  setHeader: "tt", setHeaderBytes: "tb", addHeader: "tt", addHeaderBytes: "tb", removeHeader: "t",
  body: "", setBody: "b",
});
response.bodyText = () => textOf(response.body());

export const variables = host("variables", rawVariables, {
  get: "t", getBytes: "t", getMany: "l", getManyBytes: "l",
});

export const chain = host("chain", rawChain, { get: "t", set: "tt", remove: "t" });

export const plugin = host("plugin", rawPlugin, { name: "", configurationBytes: "" });

const wall = host("clock", rawClock, { nowMs: "" });
export const clock = { nowMs: () => Number(wall.nowMs()) };

const lines = host("log", rawLog, { log: "tt", enabled: "t" });
export const log = {
  enabled: lines.enabled,
  trace: (message) => lines.log("trace", message),
  debug: (message) => lines.log("debug", message),
  info: (message) => lines.log("info", message),
  warn: (message) => lines.log("warn", message),
  error: (message) => lines.log("error", message),
};

// --- Declaring a filter ------------------------------------------------------

const NEXT = { tag: "next" };

/** The request goes on. */
export const next = () => NEXT;

/** The client gets this response; nobody else sees the request. */
export function stop({ status, headers = [], body = "" }) {
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw wrongType("stop: status", "a whole number from 200 to 599", status);
  }
  const entries = [];
  const pairs = typeof headers[Symbol.iterator] === "function" ? headers : Object.entries(headers);
  for (const [key, values] of pairs) {
    const name = check.t(key, "stop: a header's name");
    for (const value of Array.isArray(values) ? values : [values]) {
      entries.push({ name, value: check.t(value, `stop: header ${name}`) });
    }
  }
  return { tag: "stop", val: { status, headers: entries, body: check.b(body, "stop: body") } };
}

/** What the module exports, of the functions that make up a filter. */
export function filter({ configure, onRequest, onResponse }) {
  let config;
  const keep = (made) => {
    config = made;
  };
  return {
    configuration: {
      configure: (text) => guarded("configure", () => (configure ? configure(text) : text), keep),
    },
    requestHandler: {
      onRequest: () => guarded("onRequest", () => given("onRequest", onRequest)(config), verdictOf),
    },
    responseHandler: {
      onResponse: () => guarded("onResponse", () => given("onResponse", onResponse)(config), nothing),
    },
  };
}

function nothing() {}

function given(name, handler) {
  if (typeof handler === "function") return handler;
  throw new Error(`this filter has no ${name}: it cannot run in this phase`);
}

function verdictOf(answer) {
  if (answer === undefined) return NEXT;
  if (answer?.tag === "next" || (answer?.tag === "stop" && answer.val instanceof Object)) return answer;
  throw new TypeError("onRequest returned something else than next(), stop({...}) or nothing");
}

// Both engines take a string that is thrown for the error of the interface; to
// QuickJS anything else would be a fault of its own.
function guarded(name, run, finish) {
  running = true;
  seed = undefined;
  try {
    const answer = run();
    if (typeof answer?.then !== "function") return finish(answer);
    // StarlingMonkey waits for promises. QuickJS does not: what comes after the
    // first await would never run.
    if (quickjs) {
      throw new Error(`${name} is asynchronous, which this engine cannot wait for`);
    }
    return answer.then(finish).catch((error) => {
      throw reasonOf(error).toWellFormed();
    });
  } catch (error) {
    throw reasonOf(error).toWellFormed();
  }
}

// The message of an error, with the place unless the author wrote the message
// (a TypeScript project is built from out/, which has the lines of its sources).
function reasonOf(error) {
  if (!(error instanceof Error)) return shown(error);
  if (error.constructor === Error) return String(error.message);
  const kind = error instanceof HostError ? error.kind : error.name;
  const places = String(error.stack).match(/[\w./-]+\.[cm]?[jt]s:\d+/g) ?? [];
  const place = places.find((place) => !/\b(apisix-filter|initializer)\.js/.test(place));
  const where = place === undefined ? "" : ` (${place.replace(/^\/?(out\/)?/, "")})`;
  return `${kind}: ${error.message}${where}`;
}

// --- Text ----------------------------------------------------------------------

// QuickJS has no TextEncoder and no TextDecoder. Its own functions, in C, are
// many times faster than a loop here: each byte as a character and back.
const quickjs = typeof TextDecoder === "undefined";

/** Text as UTF-8. */
export function encodeUtf8(text) {
  if (!quickjs) return new TextEncoder().encode(text);
  return Uint8Array.fromBase64(btoa(unescape(encodeURIComponent(String(text).toWellFormed()))));
}

/** UTF-8 as text; what is not UTF-8 becomes U+FFFD, a byte order mark goes. */
export function decodeUtf8(bytes) {
  if (!quickjs) return new TextDecoder().decode(bytes);
  const characters = atob(bytes.toBase64());
  let text = characters;
  if (/[\x80-\xff]/.test(characters)) {
    try {
      text = decodeURIComponent(escape(characters));
    } catch {
      text = decodeFaulty(bytes);
    }
  }
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

const textOf = (bytes) => (bytes === undefined ? undefined : decodeUtf8(bytes));

// As TextDecoder does it: one U+FFFD for as much as could have begun a character.
function decodeFaulty(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i++];
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      continue;
    }
    let rest = 0;
    if (lead >= 0xc2 && lead <= 0xdf) rest = 1;
    if (lead >= 0xe0 && lead <= 0xef) rest = 2;
    if (lead >= 0xf0 && lead <= 0xf4) rest = 3;
    let point = lead & (0x3f >> rest);
    let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    let whole = rest > 0;
    for (; rest > 0; rest--) {
      if (i >= bytes.length || bytes[i] < low || bytes[i] > high) {
        whole = false;
        break;
      }
      point = (point << 6) | (bytes[i++] & 0x3f);
      low = 0x80;
      high = 0xbf;
    }
    text += whole ? String.fromCodePoint(point) : "\ufffd";
  }
  return text;
}

// --- What JavaScript programs take for granted -------------------------------

// console.* goes to the runner's log.
function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}\n${value.stack}`;
  try {
    return (typeof value === "object" && JSON.stringify(value)) || String(value);
  } catch {
    return String(value);
  }
}

const printer = (level) => (...values) => {
  if (running && rawLog.enabled(level)) rawLog.log(level, values.map(shown).join(" ").toWellFormed());
};

globalThis.console ??= {};
Object.assign(console, {
  trace: printer("trace"), debug: printer("debug"), log: printer("info"),
  info: printer("info"), warn: printer("warn"), error: printer("error"),
});

// Nothing answers it: StarlingMonkey would end the instance without a word.
delete globalThis.fetch;

// QuickJS seeds Math.random when the component is built: without this every
// call would draw the same numbers. Good for sampling, never for secrets.
let seed;
if (quickjs) {
  const mixed = (value) => {
    value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
    value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
    return value ^ (value >>> 16);
  };
  const call = () => {
    for (const raw of [rawRequest, rawResponse]) {
      try {
        return raw.id();
      } catch {
        // Not this phase.
      }
    }
    return 0;
  };
  const draw = () => {
    seed = (seed + 0x9e3779b9) | 0;
    return mixed(seed) >>> 0;
  };
  Math.random = () => {
    seed ??= running ? mixed(clock.nowMs() | 0) ^ mixed(call() + 1) : 0;
    return ((draw() >>> 5) * 67108864 + (draw() >>> 6)) / 9007199254740992;
  };
}
