import type { ChildProcess } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { endChild, LAB, type Lab } from "./namespaces.ts";

const UP_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 20;

export interface OpenconnectOptions {
  /** For the script and what it notes; one per client at a time. */
  readonly folder: string;
  /** `https://10.99.1.1:443/` and the like. */
  readonly url: string;
  readonly caFile: string;
  /** More words for the command line, e.g. `--no-dtls`. */
  readonly words?: readonly string[];
  /** Written to standard input, line by line: what the forms ask for, with `--passwd-on-stdin`. */
  readonly input?: string;
  /** The client's TUN device. */
  readonly device?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** A script in place of our small one, e.g. Debian's vpnc-script. */
  readonly script?: string;
}

/** A stock openconnect in the client's namespace. */
export interface OpenconnectClient extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly device: string;
  /** All it has printed. */
  output(): string;
  /** Waits for a text in its output. */
  until(text: string | RegExp): Promise<void>;
  /** SIGINT: the user's disconnect. */
  disconnect(): Promise<void>;
}

/** Starts the client and waits until its tunnel carries routes. Throws with its output where it ends or takes too long. */
export async function connectOpenconnect(
  lab: Lab,
  options: OpenconnectOptions,
): Promise<OpenconnectClient> {
  const client = startOpenconnect(lab, options);
  const mark = `tunnel ${client.device} is up`;
  try {
    await client.until(mark);
    return client;
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts the client and returns at once. */
export function startOpenconnect(lab: Lab, options: OpenconnectOptions): OpenconnectClient {
  const device = options.device ?? "vpn0";
  const script = options.script ?? writeScript(options.folder);
  const words = [
    "--cafile",
    options.caFile,
    "-i",
    device,
    "-s",
    script,
    "--non-inter",
    "--timestamp",
  ];
  const all = ["openconnect", ...words, ...(options.words ?? []), options.url];
  const process = lab.start("client", all, options.environment);
  let output = "";
  process.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  process.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  process.stdin?.on("error", () => {});
  process.stdin?.end(options.input ?? "");
  return {
    process,
    device,
    output: () => output,
    async until(text) {
      const from = performance.now();
      const isThere = () => (typeof text === "string" ? output.includes(text) : text.test(output));
      while (!isThere()) {
        if (process.exitCode !== null)
          throw new Error(`openconnect ended with ${process.exitCode}:\n${output}`);
        if (performance.now() - from > UP_TIMEOUT_MS)
          throw new Error(`openconnect never said ${text}:\n${output}`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    },
    disconnect: () => endChild(process, "SIGINT"),
    [Symbol.asyncDispose]: () => endChild(process, "SIGINT"),
  };
}

/**
 * The least a client's script can do: addresses, MTU and the routes to the internal networks. Of several tunnels each has
 * routes of its own metric, for those who ask for it by name.
 */
function writeScript(folder: string): string {
  const file = join(folder, "client-script.sh");
  const { network, ipv6Network } = LAB.internal;
  const text = `#!/bin/sh
case "$reason" in
connect)
  metric="1\${TUNDEV##*[!0-9]}"
  ip link set dev "$TUNDEV" up mtu "\${INTERNAL_IP4_MTU:-1400}"
  [ -n "$INTERNAL_IP4_ADDRESS" ] && ip addr add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
  [ -n "$INTERNAL_IP4_ADDRESS" ] && ip route replace ${network} dev "$TUNDEV" metric "$metric"
  if [ -n "$INTERNAL_IP6_ADDRESS" ]; then
    ip -6 addr add "\${INTERNAL_IP6_ADDRESS%%/*}/128" dev "$TUNDEV" nodad
    ip -6 route replace ${ipv6Network} dev "$TUNDEV" metric "$metric"
  fi
  echo "tunnel $TUNDEV is up: $INTERNAL_IP4_ADDRESS $INTERNAL_IP6_ADDRESS mtu $INTERNAL_IP4_MTU" ;;
*) echo "script: $reason" ;;
esac
`;
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}
