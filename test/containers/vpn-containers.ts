import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeGatewayCertificate } from "@isthmus/suite/process/gateway-certificate";
import {
  deviceUri,
  issueTo,
  makeDeviceAuthority,
} from "@isthmus/tunnel-gateway/testing/test-certificates";
import { findTool } from "../tools.ts";

const ROOT = join(import.meta.dirname, "../..");
const BASE_IMAGE = "node:24-bookworm-slim";
const GATEWAY_IMAGE = "isthmus-test/tunnel-gateway";
const HOST_SETUP_IMAGE = "isthmus-test/tunnel-gateway-host-setup";
const MAIN = "/isthmus/tunnel-gateway/src/main.ts";
const CONFIG = ["--config", "/etc/isthmus/config.json"];
const USER_ID = 1_000;
const PORT = 8_443;
const SITE_PORT = 8_090;
const NAME = "vpn.example";
const READY_WITHIN_MS = 30_000;

/** Of the image's user: all that host-setup and then the wait for the namespace's end need. */
const HOLDER_COMMAND = `node ${MAIN} host-setup ${CONFIG.join(" ")} && exec setpriv --reuid ${USER_ID} --regid ${USER_ID} --clear-groups sleep infinity`;

/** A gateway with a VPN in containers, as deploy/compose.yaml runs it, and a site that only it is to reach. */
export interface VpnContainers extends Disposable {
  readonly gatewayAddress: string;
  readonly siteAddress: string;
  readonly folder: string;
  /** What a client needs, as files. */
  readonly client: {
    readonly authority: string;
    readonly certificate: string;
    readonly key: string;
  };
  /** Runs one of the gateway's commands in its container; what `--json` prints. */
  command(...words: string[]): unknown;
  /** What a program in the gateway's container prints. */
  inspect(...words: string[]): string;
}

/** Builds both images and starts them one after the other in one network namespace. */
export async function startVpnContainers(): Promise<VpnContainers> {
  const containers = new Builder();
  try {
    return await containers.start();
  } catch (error) {
    containers.remove();
    throw error;
  }
}

class Builder {
  readonly #prefix = `isthmus-vpn-${randomBytes(4).toString("hex")}`;
  readonly #folder = mkdtempSync(join(tmpdir(), "isthmus-vpn-"));
  readonly #containers: string[] = [];

  async start(): Promise<VpnContainers> {
    build("tunnel-gateway/Dockerfile", GATEWAY_IMAGE, ROOT);
    const at = join(ROOT, "deploy/tunnel-gateway");
    build("tunnel-gateway/host-setup.Dockerfile", HOST_SETUP_IMAGE, at);
    chmodSync(this.#folder, 0o755);
    docker("network", "create", "--internal", this.#prefix);
    this.#run(
      "site",
      ["-v", `${ROOT}:/isthmus:ro`, "--network", this.#prefix],
      [BASE_IMAGE, ...["node", "/isthmus/test/containers/site.ts", String(SITE_PORT)]],
    );
    const siteAddress = this.#addressOf("site");
    const client = await this.#configure(siteAddress);
    this.#runHolder();
    const gatewayAddress = this.#addressOf("network");
    this.#runGateway();
    return {
      gatewayAddress,
      siteAddress,
      folder: this.#folder,
      client,
      command: (...words) => JSON.parse(this.#exec("node", MAIN, ...words, ...CONFIG, "--json")),
      inspect: (...words) => this.#exec(...words),
      [Symbol.dispose]: () => this.remove(),
    };
  }

  remove(): void {
    for (const name of this.#containers.reverse()) docker("rm", "--force", "--volumes", name);
    docker("network", "rm", "--force", this.#prefix);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Holds the network namespace with the tunnels: host-setup as root, then nothing more. */
  #runHolder(): void {
    const rights = ["NET_ADMIN", "SETUID", "SETGID"].flatMap((one) => ["--cap-add", one]);
    const words = [
      ...["--network", this.#prefix, "--cap-drop", "ALL", ...rights, "--device", "/dev/net/tun"],
      ...["--sysctl", "net.ipv4.ip_forward=1", "--security-opt", "no-new-privileges:true"],
      ...["--read-only", "-v", `${this.#folder}:/etc/isthmus:ro`, "--entrypoint", "sh"],
    ];
    const name = this.#run("network", words, [HOST_SETUP_IMAGE, "-c", HOLDER_COMMAND]);
    waitFor("host-setup", name, () =>
      docker("exec", name, "cat", "/proc/1/cmdline").startsWith("sleep"),
    );
  }

  #runGateway(): void {
    const words = [
      ...["--network", `container:${this.#prefix}-network`, "--device", "/dev/net/tun"],
      ...["--read-only", "--tmpfs", "/tmp:size=16m", "--cap-drop", "ALL"],
      ...["--security-opt", "no-new-privileges:true", "-v", `${this.#folder}:/etc/isthmus:ro`],
    ];
    const name = this.#run("gateway", words, [GATEWAY_IMAGE]);
    waitFor("the gateway", name, () => {
      docker("exec", name, "node", "/isthmus/deploy/health-check.mjs");
      return true;
    });
  }

  async #configure(siteAddress: string): Promise<VpnContainers["client"]> {
    const devices = await makeDeviceAuthority();
    const laptop = await issueTo(devices, [deviceUri("laptop-1")]);
    const tls = await makeGatewayCertificate([{ type: "dns", value: NAME }], Date.now());
    this.#write("device-authorities.pem", devices.pem);
    this.#write("gateway.pem", tls.certificate);
    const key = this.#write("gateway.key.pem", tls.key, 0o600);
    if (process.getuid?.() === 0) chownSync(key, USER_ID, USER_ID);
    this.#write("guardrails.json", JSON.stringify({ commands: { allow: ["health.report"] } }));
    this.#write("config.json", JSON.stringify(localConfiguration()));
    this.#write("desired.json", JSON.stringify(desiredConfiguration(siteAddress)));
    return {
      authority: this.#write("authority.pem", tls.authority),
      certificate: this.#write("laptop.pem", laptop.certificate),
      key: this.#write("laptop.key", laptop.key, 0o600),
    };
  }

  #run(name: string, words: string[], image: string[]): string {
    const full = `${this.#prefix}-${name}`;
    this.#containers.push(full);
    docker("run", "--detach", "--name", full, ...words, ...image);
    return full;
  }

  #exec(...words: string[]): string {
    return docker("exec", `${this.#prefix}-gateway`, ...words);
  }

  #addressOf(name: string): string {
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    return docker("inspect", "--format", format, `${this.#prefix}-${name}`).trim();
  }

  #write(name: string, text: string, mode = 0o644): string {
    const file = join(this.#folder, name);
    writeFileSync(file, text, { mode });
    return file;
  }
}

function localConfiguration() {
  return {
    stateFolder: "/var/lib/isthmus",
    standalone: { desiredConfigurationFile: "desired.json" },
    guardrailsFile: "guardrails.json",
    strict: true,
    listen: { port: PORT },
    tls: { certificateFile: "gateway.pem", keyFile: "gateway.key.pem" },
    trustAnchors: { devices: { file: "device-authorities.pem", mayAssert: ["deviceId"] } },
    vpn: { network: "10.97.0.0/24", tunnels: { count: 1 } },
  };
}

function desiredConfiguration(siteAddress: string) {
  const destinations = [{ cidr: `${siteAddress}/32`, ports: [SITE_PORT] }];
  const rules = [{ name: "site", action: "allow", destinations }];
  const list = [{ deviceId: "laptop-1", groups: ["staff"], compliance: "compliant" }];
  const group = {
    name: "staff",
    authentication: [["certificate"]],
    routesInclude: [`${siteAddress}/32`],
  };
  return {
    version: 1,
    configuration: {
      devices: { source: "list", list },
      policies: [{ name: "staff", groups: ["staff"], rules }],
      vpn: { groups: [group] },
    },
  };
}

/** The site's page, asked for on this machine. */
export function fetchPage(siteAddress: string): string {
  const url = `http://${siteAddress}:${SITE_PORT}/`;
  return execFileSync("curl", ["-fsS", "--max-time", "20", url], { encoding: "utf8" });
}

/** Words for openconnect to reach the gateway by the name in its certificate. */
export function clientWords({ gatewayAddress, client }: VpnContainers): string[] {
  const { authority, certificate, key } = client;
  const papers = ["--cafile", authority, "--certificate", certificate, "--sslkey", key];
  return [...papers, "--resolve", `${NAME}:${gatewayAddress}`, `https://${NAME}:${PORT}/`];
}

function build(file: string, image: string, context: string): void {
  const from = ["--build-arg", `GATEWAY=${GATEWAY_IMAGE}`];
  const words = ["build", "--quiet", "--file", join(ROOT, "deploy", file), "--tag", image];
  const isDerived = image !== GATEWAY_IMAGE;
  docker(...words, ...(isDerived ? from : []), context);
}

function waitFor(what: string, container: string, isThere: () => boolean): void {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadline) {
    try {
      if (isThere()) return;
    } catch {
      if (docker("inspect", "--format", "{{.State.Running}}", container).trim() !== "true") break;
    }
    spawnSync("sleep", ["0.2"]);
  }
  const { stdout, stderr } = spawnSync("docker", ["logs", container], { encoding: "utf8" });
  throw new Error(`${what} is not ready:\n${stdout}${stderr}`);
}

function docker(...words: string[]): string {
  const options = { encoding: "utf8", timeout: 300_000, stdio: "pipe" } as const;
  return execFileSync(findTool("docker") ?? "docker", words, options);
}
