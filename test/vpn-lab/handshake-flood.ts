import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { endChild, LAB, type Lab } from "./namespaces.ts";

const PROGRAM = fileURLToPath(new URL("./handshake-flood-process.ts", import.meta.url));
/** Of IPv6 each stranger has a network of its own: a gateway takes a /64 for one. */
const IPV6_NETWORKS = "fd99:f::/32";

/** What the process is told. */
export interface Flood {
  readonly addresses: readonly string[];
  readonly gateways: { readonly ipv4: string; readonly ipv6: string };
  readonly port: number;
  readonly perSecond: number;
  /** Names of sessions, hex, as clients send them in clear. */
  readonly appIds: readonly string[];
}

export interface Begun {
  readonly sent: number;
  readonly seconds: number;
}

export interface RunningFlood extends AsyncDisposable {
  /** Begins no more, and goes on holding what is open. */
  stop(): Promise<Begun>;
}

/** Gives the client's machine addresses of strangers, half of them of either family, and the gateway the way to them. */
export async function strangers(lab: Lab, count: number): Promise<readonly string[]> {
  const addresses: string[] = [];
  await lab.ip("gateway", `-6 route replace ${IPV6_NETWORKS} dev outside`);
  for (let index = 0; index < count / 2; index += 1) {
    const ipv4 = LAB.client.ipv4.replace(/\d+$/, `${100 + index}`);
    const ipv6 = `fd99:f:${(index + 1).toString(16)}::2`;
    await lab.ip("client", `addr replace ${ipv4}/24 dev outside`);
    await lab.ip("client", `addr replace ${ipv6}/64 dev outside nodad`);
    addresses.push(ipv4, ipv6);
  }
  return addresses;
}

export function startFlood(lab: Lab, flood: Flood): RunningFlood {
  const child = lab.start("client", [process.execPath, PROGRAM, JSON.stringify(flood)]);
  let complaints = "";
  child.stderr?.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
  return {
    async stop() {
      if (child.exitCode !== null) throw new Error(`the flood has ended:\n${complaints}`);
      const answer = once(child.stdout ?? child, "data") as Promise<[Buffer]>;
      child.stdin?.write("stop\n");
      const [printed] = await answer;
      return JSON.parse(printed.toString());
    },
    [Symbol.asyncDispose]: () => endChild(child),
  };
}
