import type { CliCommand, CliGroup, CliLeaf, CliOption } from "./command.ts";

/** The `--help` page of one command; `path` is how it was called, e.g. `cert-connector audit verify`. */
export function helpText(
  path: string,
  command: CliCommand,
  globalOptions: Readonly<Record<string, CliOption>>,
): string {
  const parts =
    "commands" in command ? groupHelp(path, command) : leafHelp(path, command, command.options);
  const globals = table("Everywhere:", optionRows(globalOptions));
  return `${[command.summary, ...parts, globals].filter((part) => part !== "").join("\n\n")}\n`;
}

function groupHelp(path: string, group: CliGroup): string[] {
  const rows = group.commands.map(({ name, summary }): [string, string] => [name, summary]);
  return [
    `Usage: ${path} <command>`,
    table("Commands:", rows),
    `${path} <command> --help says more.`,
  ];
}

function leafHelp(
  path: string,
  { positionals = [] }: CliLeaf,
  options: Readonly<Record<string, CliOption>> = {},
): string[] {
  const words = positionals.map(({ name, isOptional }) => (isOptional ? `[${name}]` : `<${name}>`));
  const needed = Object.entries(options)
    .filter(([, { isRequired }]) => isRequired)
    .map(([name, option]) => optionSyntax(name, option));
  const hasMore = Object.values(options).some(({ isRequired }) => !isRequired);
  const usage = ["Usage:", path, ...needed, ...(hasMore ? ["[options]"] : []), ...words].join(" ");
  const named = positionals.map(({ name, summary }): [string, string] => [name, summary]);
  return [usage, table("Arguments:", named), table("Options:", optionRows(options))];
}

function optionRows(options: Readonly<Record<string, CliOption>>): [string, string][] {
  return Object.entries(options).map(([name, option]) => {
    const notes = [
      option.isRequired ? "required" : "",
      option.isRepeatable ? "repeatable" : "",
      option.values === undefined ? "" : `one of ${option.values.join(", ")}`,
      option.default === undefined ? "" : `default ${option.default}`,
    ].filter((note) => note !== "");
    const suffix = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
    return [optionSyntax(name, option), option.summary + suffix];
  });
}

function optionSyntax(name: string, { type, valueName = "VALUE" }: CliOption): string {
  return type === "boolean" ? `--${name}` : `--${name} ${valueName}`;
}

function table(title: string, rows: readonly (readonly [string, string])[]): string {
  if (rows.length === 0) return "";
  const width = Math.max(...rows.map(([left]) => left.length));
  return [title, ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)].join("\n");
}
