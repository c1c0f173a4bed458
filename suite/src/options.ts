import { resolve } from "node:path";
import { type CliCall, type CliOption, UsageError } from "@isthmus/shared/kernel/command";
import { PORT_NAMES, PORTS, type PortName, type Ports, withDefaultPorts } from "./ports.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What `npm start` can be told. */
export const START_OPTIONS: Readonly<Record<string, CliOption>> = {
  "state-folder": {
    type: "string",
    valueName: "FOLDER",
    summary: "where everything is kept (.isthmus, or ISTHMUS_STATE_FOLDER)",
  },
  ...Object.fromEntries(PORT_NAMES.map(portOption)),
};

export interface StartOptions {
  /** Absolute. */
  readonly stateFolder: string;
  /** Only those that were asked for. */
  readonly ports: Partial<Ports>;
}

/** A flag wins over the environment. Throws one UsageError that names every fault. */
export function readStartOptions(
  call: Pick<CliCall, "text">,
  environment: Environment,
): StartOptions {
  const faults: string[] = [];
  const ports: Partial<Record<PortName, number>> = {};
  for (const name of PORT_NAMES) {
    const port = readPort(name, call, environment, faults);
    if (port !== undefined) ports[name] = port;
  }
  reportRepeated(withDefaultPorts(ports), faults);
  if (faults.length > 0) throw new UsageError(faults.join("\n  "));
  const folder = call.text("state-folder") ?? environment["ISTHMUS_STATE_FOLDER"] ?? ".isthmus";
  return { ports, stateFolder: resolve(folder) };
}

function portOption(name: PortName): [string, CliOption] {
  const { flag, of, default: ordinary, variable } = PORTS[name];
  const summary = `port of ${of} (${ordinary}, or ${variable})`;
  return [flag, { type: "string", valueName: "N", summary }];
}

function readPort(
  name: PortName,
  call: Pick<CliCall, "text">,
  environment: Environment,
  faults: string[],
): number | undefined {
  const { flag, variable } = PORTS[name];
  const flagged = call.text(flag);
  const text = flagged ?? environment[variable];
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  const source = flagged === undefined ? variable : `--${flag}`;
  faults.push(`${source}: expected a port from 1 to 65535, got "${text}"`);
  return undefined;
}

function reportRepeated(ports: Ports, faults: string[]): void {
  for (const [index, name] of PORT_NAMES.entries()) {
    const twin = PORT_NAMES.slice(0, index).find((other) => ports[other] === ports[name]);
    if (twin === undefined) continue;
    faults.push(`--${PORTS[name].flag}: ${ports[name]} is already the port of ${PORTS[twin].of}`);
  }
}
