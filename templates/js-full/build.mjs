// Makes a component of filter.js and the engine StarlingMonkey; `build` calls it.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

// The engine finds files but no packages: where package.json names some, they
// are put into one file with the filter first.
async function source() {
  const { dependencies = {} } = JSON.parse(await readFile("package.json", "utf8"));
  if (Object.keys(dependencies).length === 0) return "filter.js";
  const { rolldown } = await import("rolldown");
  const bundle = await rolldown({ input: "filter.js", external: /^apisix:/, platform: "browser" });
  await bundle.write({ file: "out/filter.js", format: "esm" });
  await bundle.close();
  return "out/filter.js";
}

try {
  const { component } = await componentize({
    sourcePath: await source(),
    witPath: "wit",
    worldName: "filter",
    // A filter answers no connections and opens none. The others must stay:
    // without `clocks` and `random` the engine would go on with the time and the
    // numbers of this build, silently; by `stdio` its last words reach the log.
    disableFeatures: ["http", "fetch-event"],
  });
  await mkdir("dist", { recursive: true });
  // In one step: a runner may be reading the folder.
  await writeFile("dist/my-filter.wasm.part", component);
  await rename("dist/my-filter.wasm.part", "dist/my-filter.wasm");
} catch (error) {
  const noise = /^\s*\d+: +0x|^Failed to initialize component|promises were rejected|never handled/;
  const lines = String(error.message).split("\n").filter((line) => !noise.test(line));
  console.error(lines.join("\n").trim());
  process.exit(1);
}
