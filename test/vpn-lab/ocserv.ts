import type { ChildProcess } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild, LAB, type Lab } from "./namespaces.ts";
import { serving } from "./serving.ts";

export interface OcservOptions {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The CA of the client certificates. */
  readonly clientCaFile: string;
  readonly port: number;
  /** ocserv's address pool. */
  readonly network: string;
}

/** ocserv in the gateway's namespace, as its own sample configuration has it where speed is concerned. */
export interface OcservPeer extends AsyncDisposable {
  readonly process: ChildProcess;
  output(): string;
}

/** Starts it and waits until its port answers. */
export async function startOcserv(lab: Lab, options: OcservOptions): Promise<OcservPeer> {
  // Its workers run as nobody and have to come to the socket.
  const folder = mkdtempSync(join(tmpdir(), "ocserv-"));
  chmodSync(folder, 0o755);
  const file = join(folder, "ocserv.conf");
  writeFileSync(file, configuration(options, folder));
  const process = lab.start("gateway", ["ocserv", "--foreground", "--config", file]);
  const isReady = async () => (await lab.listeners("gateway", options.port)) > 0;
  const { output } = await serving("ocserv", process, isReady);
  return {
    process,
    output,
    async [Symbol.asyncDispose]() {
      await endChild(process);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configuration(options: OcservOptions, folder: string): string {
  return `auth = "certificate"
ca-cert = ${options.clientCaFile}
cert-user-oid = 2.5.4.3
tcp-port = ${options.port}
udp-port = ${options.port}
run-as-user = nobody
run-as-group = nogroup
socket-file = ${join(folder, "socket")}
pid-file = ${join(folder, "pid")}
server-cert = ${options.certificateFile}
server-key = ${options.keyFile}
isolate-workers = true
max-clients = 4096
max-same-clients = 0
rate-limit-ms = 0
keepalive = 300
dpd = 90
mobile-dpd = 1800
try-mtu-discovery = false
tls-priorities = "NORMAL:%SERVER_PRECEDENCE:-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1"
auth-timeout = 240
min-reauth-time = 0
max-ban-score = 0
cookie-timeout = 300
deny-roaming = false
rekey-time = 172800
rekey-method = ssl
use-occtl = false
device = vpns
predictable-ips = true
ipv4-network = ${options.network}
route = ${LAB.internal.network}
ping-leases = false
cisco-client-compat = true
dtls-legacy = true
log-level = 1
`;
}
