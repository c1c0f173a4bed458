import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const DOCUMENTS = globSync(["*.md", "docs/**/*.md", "bench/*.md"]);

test.each(DOCUMENTS)("%s links to files that exist", (document) => {
  const text = readFileSync(document, "utf8");
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = ""]) => target);
  const missing = links.filter((target) => globSync(join(dirname(document), target)).length === 0);
  expect(missing).toEqual([]);
});

test.each(DOCUMENTS)("%s links to headings that exist", (document) => {
  const text = readFileSync(document, "utf8");
  const links = [...text.matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)];
  const missing = links.filter(([, target = "", anchor = ""]) => {
    const file = target === "" ? document : join(dirname(document), target);
    return !anchorsOf(file).includes(anchor);
  });
  expect(missing.map(([link]) => link)).toEqual([]);
});

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test.each(DOCUMENTS)("%s names TypeScript files that exist", (document) => {
  const text = readFileSync(document, "utf8");
  const names = [...text.matchAll(/`([\w*][\w./*-]*\.ts)`/g)].map(([, name = ""]) => name);
  const missing = names.filter((name) => !exists(name));
  expect(missing).toEqual([]);
});

/** A name is a path from the root, or the end of one where the text is about one service. */
function exists(name: string): boolean {
  return [name, `{*,*/src}/${name}`, `*/src/*/${name}`].some(
    (pattern) => globSync(pattern, { exclude: ["node_modules"] }).length > 0,
  );
}
