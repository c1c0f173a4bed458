import { findTool, TOOLS, type ToolName } from "../../../test/tools.ts";

/** The path of a foreign program that a bench cannot do without. */
export function neededTool(name: ToolName): string {
  const path = findTool(name);
  if (path !== undefined) return path;
  const { command, packages } = TOOLS[name];
  throw new Error(
    `${command} is missing: install the Debian packages ${packages.join(", ")}, or as root run \`npm run test:setup\``,
  );
}
