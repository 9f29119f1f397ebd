// surface.mjs DECLARATIONS WRAPPER: holds the tables of apisix-filter.js against
// the generated declarations. Every function must be there, with the letters of
// its parameters; a wrong letter would end an instance without a word.

import { readFileSync } from "node:fs";

const [, , declarations, wrapper] = process.argv;
const letters = { "": "", string: "t", Level: "t", Uint8Array: "b", "Array<string>": "l", number: "n" };

const wanted = new Map();
const modules = /^declare module 'apisix:filter\/([\w-]+)@[\d.]+' \{\n(.*?)^\}/gms;
for (const [, name, body] of readFileSync(declarations, "utf8").matchAll(modules)) {
  for (const [, key, parameters] of body.matchAll(/^ {2}export function (\w+)\((.*?)\):/gm)) {
    const types = parameters.split(", ").map((parameter) => parameter.split(": ")[1] ?? "");
    wanted.set(`${name}.${key}`, types.map((type) => letters[type] ?? `?${type}?`).join(""));
  }
}
// What an author imports past the wrapper is not in a table, nor what a filter
// exports.
const past = ["http.", "key-value.", "random.", "secrets."];
for (const key of wanted.keys()) if (past.some((name) => key.startsWith(name))) wanted.delete(key);
wanted.delete("configuration.configure");
wanted.delete("request-handler.onRequest");
wanted.delete("response-handler.onResponse");

const found = new Map();
const tables = /\bhost\("(\w+)", raw\w+, \{(.*?)\}\)/gs;
for (const [, name, table] of readFileSync(wrapper, "utf8").matchAll(tables)) {
  for (const [, key, given] of table.matchAll(/(\w+): "(\w*)"/g)) found.set(`${name}.${key}`, given);
}

const faults = [];
for (const [key, given] of wanted) {
  if (found.get(key) === given) continue;
  faults.push(`${key}: "${found.get(key) ?? "missing"}" in the wrapper, "${given}" in wit/`);
}
for (const key of found.keys()) if (!wanted.has(key)) faults.push(`${key} is not in wit/`);
if (wanted.size === 0 || faults.length > 0) {
  console.error(faults.join("\n") || `no function was found in ${declarations}`);
  process.exit(1);
}
