import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ConfigurationError } from "@isthmus/shared/errors";
import { PORT_NAMES, PORTS, type PortName, type Ports } from "./ports.ts";

export const USAGE = `Isthmus on one machine.

  npm start -- [options]      the control plane, the three connectors and an internal web site, until Ctrl-C
  npm run tour -- [options]   the whole story on free ports in a temporary folder; exit code 0 only if every step passes

options of start:
  --state-folder FOLDER       where everything is kept (.isthmus, or ISTHMUS_STATE_FOLDER)
${PORT_NAMES.map(portLine).join("\n")}
options of both:
  --json                      one JSON object a line instead of text
  --help                      this text
`;

export interface StartOptions {
  readonly kind: "start";
  readonly stateFolder: string;
  readonly ports: Ports;
  readonly isJson: boolean;
}

export interface TourOptions {
  readonly kind: "tour";
  readonly isJson: boolean;
  /** Leaves the temporary folder with its logs in place. */
  readonly isKept: boolean;
}

export type Options = StartOptions | TourOptions | { readonly kind: "help" };

/** Reads the command line and the environment. Throws one ConfigurationError that names every fault. */
export function readOptions(
  words: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Options {
  const parsed = parse(words);
  const [command = "start", ...rest] = parsed.positionals;
  const faults: string[] = rest.map((word) => `${word}: not expected`);
  if (parsed.values["help"] === true) return { kind: "help" };
  const isJson = parsed.values["json"] === true;
  if (command === "tour") {
    throwIfAny(faults);
    return { kind: "tour", isJson, isKept: parsed.values["keep"] === true };
  }
  if (command !== "start") faults.push(`${command}: expected start or tour`);
  const ports = Object.fromEntries(
    PORT_NAMES.map((name) => [name, readPort(name, parsed.values, environment, faults)]),
  ) as Ports;
  reportRepeated(ports, faults);
  throwIfAny(faults);
  const folder = parsed.values["state-folder"] ?? environment["ISTHMUS_STATE_FOLDER"];
  return { kind: "start", isJson, ports, stateFolder: resolve(String(folder ?? ".isthmus")) };
}

type Values = Readonly<Record<string, string | boolean | undefined>>;

function parse(words: readonly string[]): { values: Values; positionals: string[] } {
  const portFlags = PORT_NAMES.map((name) => [PORTS[name].flag, { type: "string" }] as const);
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(portFlags),
        "state-folder": { type: "string" },
        json: { type: "boolean" },
        keep: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }) as { values: Values; positionals: string[] };
  } catch (error) {
    throw new ConfigurationError("command line", [(error as Error).message]);
  }
}

function readPort(
  name: PortName,
  values: Values,
  environment: Readonly<Record<string, string | undefined>>,
  faults: string[],
): number {
  const { flag, variable, default: ordinary } = PORTS[name];
  const [source, text] =
    values[flag] !== undefined
      ? [`--${flag}`, String(values[flag])]
      : [variable, environment[variable] ?? String(ordinary)];
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  faults.push(`${source}: expected a port from 1 to 65535, got "${text}"`);
  return 0;
}

function reportRepeated(ports: Ports, faults: string[]): void {
  for (const [index, name] of PORT_NAMES.entries()) {
    const twin = PORT_NAMES.slice(0, index).find((other) => ports[other] === ports[name]);
    if (twin === undefined || ports[name] === 0) continue;
    faults.push(`--${PORTS[name].flag}: ${ports[name]} is already the port of ${PORTS[twin].of}`);
  }
}

function throwIfAny(faults: readonly string[]): void {
  if (faults.length > 0) throw new ConfigurationError("command line", faults);
}

function portLine(name: PortName): string {
  const { flag, of, default: ordinary, variable } = PORTS[name];
  return `  ${`--${flag} N`.padEnd(26)}  ${of} (${ordinary}, or ${variable})`;
}
