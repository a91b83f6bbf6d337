// Code out of the documentation, to be run as it stands there.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const docs = join(dirname(fileURLToPath(import.meta.url)), "../../docs");

// The block that begins with ```js <name>.
export function codeOf(page, name) {
  const [, after] = readFileSync(join(docs, page), "utf8").split(`\`\`\`js ${name}\n`);
  if (after === undefined) throw new Error(`docs/${page} has no block "js ${name}"`);
  return after.split("\n```\n")[0];
}

export const imported = (code) => import(`data:text/javascript,${encodeURIComponent(code)}`);
