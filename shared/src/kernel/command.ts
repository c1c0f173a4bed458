import type { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { ConfigurationError, ConnectorError, RefusalError } from "../errors.ts";
import { helpText } from "./command-help.ts";
import { completionScript, SHELLS } from "./completion.ts";

/** Exit codes of every command line of the suite. */
export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export interface CliOption {
  readonly type: "string" | "boolean";
  readonly summary: string;
  /** Shown in help in place of the value, e.g. `PATH`. */
  readonly valueName?: string;
  readonly isRequired?: boolean;
  readonly isRepeatable?: boolean;
  readonly default?: string;
  /** The only values allowed. */
  readonly values?: readonly string[];
}

export interface CliPositional {
  readonly name: string;
  readonly summary: string;
  readonly isOptional?: boolean;
}

/** A command that does something. */
export interface CliLeaf {
  readonly name: string;
  readonly summary: string;
  readonly options?: Readonly<Record<string, CliOption>>;
  readonly positionals?: readonly CliPositional[];
  run(call: CliCall): Promise<CliAnswer | undefined>;
}

/** A command that only holds others, e.g. `audit` for `audit verify`. */
export interface CliGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly CliCommand[];
}

export type CliCommand = CliLeaf | CliGroup;

/** What a command says: `text` for a person, `value` with `--json`. `exitCode` 1 where what was asked for failed. */
export interface CliAnswer {
  readonly text: string;
  readonly value: unknown;
  readonly exitCode?: typeof EXIT_OK | typeof EXIT_FAILED;
}

/** One call of a command, its arguments checked against what the command declares. */
export interface CliCall {
  readonly isJson: boolean;
  readonly positionals: readonly string[];
  /** A string option, or undefined where it was not given and has no default. */
  text(option: string): string | undefined;
  /** A string option that is declared required. */
  required(option: string): string;
  flag(option: string): boolean;
  /** All values of a repeatable option. */
  list(option: string): readonly string[];
  /** Tells a person about progress, on stderr, so that stdout stays clean for `--json`. */
  note(line: string): void;
}

export interface CommandLine {
  readonly name: string;
  readonly summary: string;
  readonly version: string;
  readonly commands: readonly CliCommand[];
}

export interface CommandStreams {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** Wrong arguments: the fault of who typed them, exit code 2. */
export class UsageError extends ConnectorError {
  constructor(message: string) {
    super("usage", message);
  }
}

const GLOBAL_OPTIONS: Readonly<Record<string, CliOption>> = {
  json: { type: "boolean", summary: "answer in JSON, errors too" },
  help: { type: "boolean", summary: "show this help" },
};

/**
 * Runs one command line: finds the subcommand, checks its arguments, prints its answer. `arguments_` is what follows
 * the program's name. Never throws; an error is one sentence with its code on stderr and, with `--json`, an object on stdout.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage.
 */
export async function runCommandLine(
  line: CommandLine,
  arguments_: readonly string[],
  streams: CommandStreams = process,
): Promise<number> {
  const isJson = arguments_.includes("--json");
  try {
    return await dispatch(line, arguments_, streams);
  } catch (error) {
    if (isJson) streams.stdout.write(`${JSON.stringify({ error: errorValue(error) })}\n`);
    const isNamed = error instanceof UsageError && error.message.startsWith(line.name);
    streams.stderr.write(`${isNamed ? "" : `${line.name}: `}${errorText(error)}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

async function dispatch(
  line: CommandLine,
  arguments_: readonly string[],
  streams: CommandStreams,
): Promise<number> {
  const root: CliGroup = { ...line, commands: [...line.commands, completionCommand(line)] };
  const { path, command, rest } = findCommand(root, arguments_);
  if (rest.includes("--version") && command === root) {
    streams.stdout.write(`${line.version}\n`);
    return EXIT_OK;
  }
  if (rest.includes("--help") || rest.includes("-h") || rest[0] === "help") {
    streams.stdout.write(helpText(path, command, GLOBAL_OPTIONS));
    return EXIT_OK;
  }
  if ("commands" in command) throw missingCommand(path, command, rest);
  const call = parseCall(path, command, rest, streams);
  const answer = await command.run(call);
  if (answer === undefined) return EXIT_OK;
  const output = call.isJson ? JSON.stringify(answer.value) : answer.text;
  if (output !== "") streams.stdout.write(output.endsWith("\n") ? output : `${output}\n`);
  return answer.exitCode ?? EXIT_OK;
}

interface Found {
  readonly path: string;
  readonly command: CliCommand;
  readonly rest: readonly string[];
}

/** Follows the words that name subcommands; global flags may stand between them. */
function findCommand(root: CliGroup, arguments_: readonly string[]): Found {
  let command: CliCommand = root;
  let path = root.name;
  const rest = [...arguments_];
  for (let at = 0; at < rest.length && "commands" in command; ) {
    const word: string = rest[at] ?? "";
    const next: CliCommand | undefined = command.commands.find(({ name }) => name === word);
    if (next !== undefined) {
      command = next;
      path = `${path} ${word}`;
      rest.splice(at, 1);
    } else if (isGlobalFlag(word)) at++;
    else break;
  }
  return { path, command, rest };
}

function missingCommand(path: string, group: CliGroup, rest: readonly string[]): UsageError {
  const names = group.commands.map(({ name }) => name).join(", ");
  const first = rest.find((word) => !isGlobalFlag(word));
  return new UsageError(`${path} ${saidOf(first)}; there are: ${names}`);
}

/** An option's value is not taken for a command: nothing here knows yet which options have one. */
function saidOf(first: string | undefined): string {
  if (first === undefined) return "needs a command";
  if (first.startsWith("-")) return `needs a command before ${first.split("=", 1)[0]}`;
  return `has no command ${JSON.stringify(first)}`;
}

function isGlobalFlag(word: string): boolean {
  return word === "--json" || word === "--help" || word === "-h";
}

function parseCall(
  path: string,
  leaf: CliLeaf,
  rest: readonly string[],
  streams: CommandStreams,
): CliCall {
  const options = { ...leaf.options, ...GLOBAL_OPTIONS };
  const { values, positionals } = parse(path, options, rest);
  checkOptions(path, options, values);
  checkPositionals(path, leaf.positionals ?? [], positionals);
  const text = (option: string) => {
    const value = values[option];
    return typeof value === "string" ? value : undefined;
  };
  return {
    isJson: values["json"] === true,
    positionals,
    text,
    required(option) {
      const value = text(option);
      if (value === undefined) throw new UsageError(`${path} needs --${option}`);
      return value;
    },
    flag: (option) => values[option] === true,
    list: (option) => [values[option] ?? []].flat().map(String),
    note: (message) => void streams.stderr.write(`${message}\n`),
  };
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

function parse(
  path: string,
  options: Readonly<Record<string, CliOption>>,
  rest: readonly string[],
) {
  const described = Object.entries(options).map(([name, { type, isRepeatable, ...option }]) => [
    name,
    {
      type,
      multiple: isRepeatable ?? false,
      ...(option.default === undefined ? {} : { default: option.default }),
    },
  ]);
  try {
    return parseArgs({
      args: [...rest],
      options: Object.fromEntries(described),
      allowPositionals: true,
    }) as { values: Values; positionals: string[] };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Node goes on with advice on arguments that begin with a dash; what there is helps more.
    const [fault = "", advice] = error.message.split(". To specify a positional");
    const known = Object.keys(options).map((name) => `--${name}`);
    const rest = advice === undefined ? "" : `; there are: ${known.join(", ")}`;
    throw new UsageError(`${path}: ${fault}${rest}`);
  }
}

function checkOptions(
  path: string,
  options: Readonly<Record<string, CliOption>>,
  values: Values,
): void {
  for (const [name, { isRequired, values: allowed }] of Object.entries(options)) {
    const given = [values[name] ?? []].flat();
    if (isRequired && given.length === 0) throw new UsageError(`${path} needs --${name}`);
    const wrong = given.find((value) => allowed !== undefined && !allowed.includes(String(value)));
    if (wrong !== undefined) {
      throw new UsageError(`--${name} is ${String(wrong)}, expected ${allowed?.join(" or ")}`);
    }
  }
}

function checkPositionals(
  path: string,
  declared: readonly CliPositional[],
  given: readonly string[],
): void {
  const missing = declared.find(({ isOptional }, at) => !isOptional && given.length <= at);
  if (missing !== undefined) throw new UsageError(`${path} needs <${missing.name}>`);
  const extra = given[declared.length];
  if (extra !== undefined) throw new UsageError(`${path} does not take ${JSON.stringify(extra)}`);
}

function completionCommand(line: CommandLine): CliLeaf {
  return {
    name: "completion",
    summary: `print a completion script for ${SHELLS.join(", ")}`,
    positionals: [{ name: "shell", summary: SHELLS.join(", ") }],
    run: async ({ positionals: [shell = ""] }) => {
      const known = SHELLS.find((name) => name === shell);
      if (known === undefined) {
        throw new UsageError(`no completion for ${JSON.stringify(shell)}: ${SHELLS.join(", ")}`);
      }
      const text = completionScript(line, known, Object.keys(GLOBAL_OPTIONS));
      return { text, value: { shell, script: text } };
    },
  };
}

function errorText(error: unknown): string {
  if (error instanceof UsageError) return `${error.message} (see --help)`;
  if (error instanceof ConfigurationError) return error.message;
  if (error instanceof ConnectorError) return `${error.message} [${error.code}]`;
  return `internal error: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
}

function errorValue(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof ConnectorError)) return { code: "internal", message: errorText(error) };
  const { code, message, isRetryable } = error;
  if (error instanceof ConfigurationError) return { code, message, faults: error.faults };
  if (error instanceof RefusalError) return { code, message, rule: error.rule };
  return { code, message, isRetryable };
}
