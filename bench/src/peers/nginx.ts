import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { type Foreign, isListening, startForeign } from "../process/foreign.ts";
import { neededTool } from "./tool.ts";

/** Debian's packages keep dynamic modules here; the stream module is one. */
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

/** nginx as a TLS-terminating TCP proxy that demands client certificates: the relay's peer. */
export interface NginxPeer extends AsyncDisposable {
  readonly port: number;
  readonly process: Foreign;
}

export interface NginxOptions {
  /** An empty folder for its configuration and run files. */
  readonly folder: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The CA of the client certificates. */
  readonly clientCaFile: string;
  readonly upstreamPort: number;
}

/** Starts it on a free port, with one worker per core as its packages configure it. */
export async function startNginx(options: NginxOptions): Promise<NginxPeer> {
  const port = await freePort();
  mkdirSync(options.folder, { recursive: true });
  const file = join(options.folder, "nginx.conf");
  writeFileSync(file, configuration(options, port));
  const nginx = startForeign(neededTool("nginx"), [
    "-p",
    options.folder,
    "-c",
    file,
    "-e",
    "stderr",
  ]);
  await nginx.until("listener", () => isListening(port));
  return { port, process: nginx, [Symbol.asyncDispose]: () => nginx[Symbol.asyncDispose]() };
}

/** Session tickets off and TLS 1.3 alone, as the gateway has it; all else as nginx comes. */
function configuration(options: NginxOptions, port: number): string {
  return `load_module ${STREAM_MODULE};
daemon off;
error_log stderr warn;
pid ${options.folder}/nginx.pid;
worker_processes auto;
events { worker_connections 8192; }
stream {
  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_protocols TLSv1.3;
    ssl_certificate ${options.certificateFile};
    ssl_certificate_key ${options.keyFile};
    ssl_client_certificate ${options.clientCaFile};
    ssl_verify_client on;
    ssl_session_tickets off;
    proxy_pass 127.0.0.1:${options.upstreamPort};
  }
}
`;
}
