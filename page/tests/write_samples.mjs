// Write a page for each sample: node tests/write_samples.mjs DIRECTORY [TEMPLATE]
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runnerImport } from "vite";

const [directory, template = "../test_framework/envmatrix/report/page/page.html"] = process.argv.slice(2);
const { module } = await runnerImport("./tests/sample.ts");
mkdirSync(directory, { recursive: true });
for (const [name, shape] of Object.entries(module.SHAPES)) {
  writeFileSync(join(directory, `${name}.html`), module.filled(readFileSync(template, "utf8"), module.sample(shape)));
}
