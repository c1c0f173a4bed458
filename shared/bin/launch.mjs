import { setFlagsFromString } from "node:v8";

/**
 * Starts a program's `src/main.ts`, or says what is missing. Plain JavaScript, because a Node that does not strip types
 * cannot even read the file in which the program would complain.
 *
 * @param {string} program its folder, e.g. `cert-connector`
 */
export async function launch(program) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= 24) {
    // Freeing it, V8 13 may end a process whose threads strip types at the same moment (nodejs/node#64500).
    setFlagsFromString("--no-wasm-code-gc");
    await import(new URL(`../../${program}/src/main.ts`, import.meta.url).href);
    return;
  }
  process.stderr.write(
    `${program}: this is Node ${process.versions.node}, Node 24 or later is needed. ` +
      `After \`npm ci\`, \`npx --no ${program}\` runs on the Node that came with it.\n`,
  );
  process.exitCode = 1;
}
