import type { TestContext } from "vitest";
import { findTool, TOOLS, type ToolName } from "./tools.ts";

/**
 * The path of a foreign program a test plays against. Where it is missing the test is skipped loudly by the tool's name;
 * with CI=true a missing tool is a failure, so that no interop test is lost unseen.
 */
export function peer(name: ToolName, context: TestContext): string {
  const path = findTool(name);
  if (path !== undefined) return path;
  return missing(`${TOOLS[name].command} (Debian package ${TOOLS[name].packages[0]})`, context);
}

/** Skips the test because `what` is not there, or fails it with CI=true. */
export function missing(what: string, context: TestContext): never {
  return unfit(`${what} is missing; as root on Debian \`npm run test:setup\` installs it`, context);
}

/** Skips the test because of what no program mends, or fails it with CI=true. */
export function unfit(sentence: string, context: TestContext): never {
  if (process.env["CI"] === "true") throw new Error(`With CI=true nothing is skipped: ${sentence}`);
  process.stderr.write(`SKIPPED ${context.task.name}: ${sentence}\n`);
  return context.skip(sentence);
}

/** Skips the test of an ordinary account's run, or fails it with CI=true. */
export function needsRoot(context: TestContext): void {
  if (process.getuid?.() !== 0) unfit("it needs root", context);
}
