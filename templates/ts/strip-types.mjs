// Copies the sources of this project into a folder, without their types: each
// type becomes as many spaces, so every line and column stays what it was, and
// every file keeps its name, so imports stay as they are. `build` calls it.

import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import swc from "@swc/wasm-typescript";

const [, , target] = process.argv;
const notSources = new Set(["node_modules", "dist", "wit", target]);

await rm(target, { recursive: true, force: true });
for (const entry of await readdir(".", { withFileTypes: true })) {
  if (entry.name.startsWith(".") || notSources.has(entry.name)) continue;
  const files = entry.isDirectory()
    ? (await readdir(entry.name, { recursive: true })).map((file) => join(entry.name, file))
    : [entry.name];
  for (const file of files) {
    await mkdir(dirname(join(target, file)), { recursive: true });
    if (file.endsWith(".ts") && !file.endsWith(".d.ts")) {
      const source = await readFile(file, "utf8");
      const { code } = await swc.transform(source, { mode: "strip-only", filename: file });
      await writeFile(join(target, file), code);
    } else if (/\.m?js$/.test(file)) {
      await cp(file, join(target, file));
    }
  }
}
