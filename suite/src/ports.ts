import { createServer } from "node:net";
import { ConnectorError } from "@isthmus/shared/errors";
import { freePort } from "@isthmus/shared/testing/free-port";

/** The ports that people reach, with how each is chosen: by flag, by environment variable, else the default. */
export const PORTS = {
  controlPlane: {
    of: "the control plane",
    default: 8080,
    flag: "control-plane-port",
    variable: "ISTHMUS_CONTROL_PLANE_PORT",
  },
  scep: {
    of: "SCEP, CRL and OCSP",
    default: 8081,
    flag: "scep-port",
    variable: "ISTHMUS_SCEP_PORT",
  },
  tunnel: { of: "the tunnel", default: 8443, flag: "tunnel-port", variable: "ISTHMUS_TUNNEL_PORT" },
  site: {
    of: "the internal web site",
    default: 8090,
    flag: "site-port",
    variable: "ISTHMUS_SITE_PORT",
  },
  configurationManager: {
    of: "the simulated Configuration Manager site",
    default: 8444,
    flag: "configmgr-port",
    variable: "ISTHMUS_CONFIGMGR_PORT",
  },
} as const;

export type PortName = keyof typeof PORTS;
export type Ports = Readonly<Record<PortName, number>>;

export const PORT_NAMES = Object.keys(PORTS) as PortName[];

/** The ports asked for, and the default ones otherwise. */
export function withDefaultPorts(asked: Partial<Ports>): Ports {
  return Object.fromEntries(
    PORT_NAMES.map((name) => [name, asked[name] ?? PORTS[name].default]),
  ) as Ports;
}

/** Throws `port-taken`, naming every port of ours that another program has and what to do about each. */
export async function requireFreePorts(ports: Ports): Promise<void> {
  const faults: string[] = [];
  for (const name of PORT_NAMES) {
    const failure = await failureToListen(ports[name]);
    if (failure !== undefined) faults.push(sentence(name, ports[name], failure));
  }
  if (faults.length > 0) throw new ConnectorError("port-taken", faults.join("\n"));
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(): Promise<Ports> {
  const found = new Set<number>();
  while (found.size < PORT_NAMES.length) found.add(await freePort());
  const ports = [...found];
  return Object.fromEntries(PORT_NAMES.map((name, index) => [name, ports[index] ?? 0])) as Ports;
}

function sentence(name: PortName, port: number, code: string): string {
  const { of, flag, variable } = PORTS[name];
  const why = code === "EADDRINUSE" ? "is taken by another program" : `cannot be used (${code})`;
  const other = port <= 64_535 ? port + 1_000 : port - 1_000;
  return (
    `Port ${port} for ${of} ${why}: free it, ` +
    `or choose another with \`npm start -- --${flag} ${other}\` or ${variable}=${other}.`
  );
}

async function failureToListen(port: number): Promise<string | undefined> {
  try {
    const server = await listen(port);
    await new Promise((done) => server.close(done));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function listen(port: number) {
  return new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
