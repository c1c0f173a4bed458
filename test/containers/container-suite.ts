import "./without-ryuk.ts";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeGatewayCertificate } from "@isthmus/suite/process/gateway-certificate";
import { GenericContainer, type StartedTestContainer, Wait } from "testcontainers";
import { findTool } from "../tools.ts";
import { LockedDownContainer, type Place } from "./locked-down-container.ts";
import type { Outcome, Part } from "./player.ts";

const ROOT = join(import.meta.dirname, "../..");
const BASE_IMAGE = "node:24-bookworm-slim";
const STATE_FOLDER = "/var/lib/isthmus";
const CONFIG_WORDS = ["--config", "/etc/isthmus/config.json"];
const SITE_PORT = 8090;
const USER_ID = 1000;
const START_TIMEOUT_MS = 60_000;

type ServiceName = "control-plane" | "cert-connector" | "tunnel-gateway";

interface RunningService {
  readonly name: ServiceName;
  readonly container: StartedTestContainer;
}

/** The suite in containers on a network without a way out. */
export interface ContainerSuite extends AsyncDisposable {
  readonly services: readonly RunningService[];
  /** Lets an administrator configure the connectors, and a device enrol and fetch a page. */
  play(): Promise<Outcome>;
}

/** Builds the images, sets everything up as docs/operations.md says, and starts it. */
export async function startContainerSuite(): Promise<ContainerSuite> {
  const suite = new Builder();
  try {
    return await suite.start();
  } catch (error) {
    await suite.remove();
    throw error;
  }
}

class Builder {
  readonly #prefix = `isthmus-test-${randomBytes(4).toString("hex")}`;
  readonly #folder = mkdtempSync(join(tmpdir(), "isthmus-containers-"));
  readonly #containers: StartedTestContainer[] = [];
  readonly #volumes: string[] = [];

  async start(): Promise<ContainerSuite> {
    chmodSync(this.#folder, 0o755);
    docker("network", "create", "--internal", this.#prefix);
    const controlPlane = await this.#startControlPlane();
    const certConnector = await this.#startCertConnector(controlPlane);
    const gateway = await this.#startGateway(controlPlane, certConnector.container);
    await this.#startSite();
    const part: Part = {
      controlPlane: {
        host: this.#host("control-plane"),
        authority: await read(controlPlane, `${STATE_FOLDER}/ca.pem`),
      },
      password: (await read(controlPlane, `${STATE_FOLDER}/initial-admin-password`)).trim(),
      certConnector: { host: this.#host("cert-connector"), id: certConnector.id },
      gateway: { host: this.#host("tunnel-gateway"), id: gateway.id, authority: gateway.authority },
      site: { host: this.#host("site"), port: SITE_PORT },
    };
    return {
      services: [
        { name: "control-plane", container: controlPlane },
        { name: "cert-connector", container: certConnector.container },
        { name: "tunnel-gateway", container: gateway.container },
      ],
      play: () => this.#play(part),
      [Symbol.asyncDispose]: () => this.remove(),
    };
  }

  async remove(): Promise<void> {
    for (const container of this.#containers.reverse()) await container.stop();
    for (const volume of this.#volumes) docker("volume", "rm", "--force", volume);
    docker("network", "rm", this.#prefix);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #startControlPlane(): Promise<StartedTestContainer> {
    const host = this.#host("control-plane");
    await build("control-plane");
    this.#write("control-plane", "config.json", {
      stateFolder: STATE_FOLDER,
      listen: { address: "0.0.0.0" },
      publicUrl: `https://${host}:8080`,
      tls: { names: [host, "localhost"] },
    });
    return this.#run("control-plane");
  }

  async #startCertConnector(controlPlane: StartedTestContainer) {
    await build("cert-connector");
    this.#write("cert-connector", "guardrails.json", {
      commands: { allow: ["health.report", "certificate.revoke"] },
    });
    this.#write("cert-connector", "config.json", {
      ...connectorConfiguration(),
      ca: {
        folder: `${STATE_FOLDER}/ca`,
        passphraseFile: `${STATE_FOLDER}/ca-passphrase`,
      },
    });
    await this.#once("cert-connector", [
      ...["ca", "init", ...CONFIG_WORDS, "--name", "Container test", "--algorithm", "ec-p256"],
      ...["--root-key-out", `${STATE_FOLDER}/root-key.pem`],
    ]);
    const id = await this.#enrol("cert-connector", controlPlane);
    return { id, container: await this.#run("cert-connector") };
  }

  async #startGateway(controlPlane: StartedTestContainer, certConnector: StartedTestContainer) {
    await build("tunnel-gateway");
    const root = await read(certConnector, `${STATE_FOLDER}/ca/root.pem`);
    const issuing = await read(certConnector, `${STATE_FOLDER}/ca/issuing.pem`);
    const host = this.#host("tunnel-gateway");
    const tls = await makeGatewayCertificate([{ type: "dns", value: host }], Date.now());
    this.#write("tunnel-gateway", "gateway.pem", tls.certificate);
    this.#write("tunnel-gateway", "gateway.key.pem", tls.key, 0o600);
    this.#write("tunnel-gateway", "device-authorities.pem", `${root}${issuing}`);
    this.#write("tunnel-gateway", "guardrails.json", {
      commands: { allow: ["health.report", "devices.update", "revocation.refresh"] },
    });
    const list = `http://${this.#host("cert-connector")}:8081/crl/${await issuerKeyId(certConnector)}.crl`;
    this.#write("tunnel-gateway", "config.json", {
      ...connectorConfiguration(),
      tls: { certificateFile: "gateway.pem", keyFile: "gateway.key.pem" },
      trustAnchors: { devices: { file: "device-authorities.pem", crl: { url: list } } },
    });
    const id = await this.#enrol("tunnel-gateway", controlPlane);
    return { id, authority: tls.authority, container: await this.#run("tunnel-gateway") };
  }

  async #startSite(): Promise<void> {
    const site = await this.#tool("site")
      .withCommand(["node", "/isthmus/test/containers/site.ts", String(SITE_PORT)])
      .withWaitStrategy(Wait.forLogMessage("the site is open"))
      .start();
    this.#containers.push(site);
  }

  async #play(part: Part): Promise<Outcome> {
    const player = await this.#tool("player").withCommand(["sleep", "infinity"]).start();
    this.#containers.push(player);
    const words = ["node", "/isthmus/test/containers/player.ts", JSON.stringify(part)];
    const { exitCode, output, stdout } = await player.exec(words);
    if (exitCode !== 0) throw new Error(`the player failed:\n${output}`);
    return JSON.parse(stdout);
  }

  /** A container with this repository inside, for what is not a service. */
  #tool(name: string): GenericContainer {
    return new GenericContainer(BASE_IMAGE)
      .withName(this.#host(name))
      .withNetworkMode(this.#prefix)
      .withBindMounts([{ source: ROOT, target: "/isthmus", mode: "ro" }]);
  }

  async #run(service: ServiceName): Promise<StartedTestContainer> {
    const container = await new LockedDownContainer(imageOf(service), this.#place(service))
      .withName(this.#host(service))
      .withWaitStrategy(Wait.forHealthCheck())
      .withStartupTimeout(START_TIMEOUT_MS)
      .start();
    this.#containers.push(container);
    return container;
  }

  /** Runs one command of a service in a container of its own, to its end. */
  async #once(service: ServiceName, words: string[]): Promise<void> {
    const container = new LockedDownContainer(imageOf(service), this.#place(service))
      .withCommand(words)
      .withWaitStrategy(Wait.forOneShotStartup())
      .withStartupTimeout(START_TIMEOUT_MS);
    await (await container.start()).stop();
  }

  /** Makes a token at the control plane and enrols the service with it; returns its id. */
  async #enrol(service: ServiceName, controlPlane: StartedTestContainer): Promise<string> {
    const main = "/isthmus/control-plane/src/main.ts";
    const words = ["token", "create", ...CONFIG_WORDS, "--service", service, "--json"];
    const { exitCode, stdout, output } = await controlPlane.exec(["node", main, ...words]);
    if (exitCode !== 0) throw new Error(`token create failed: ${output}`);
    const { token } = JSON.parse(stdout);
    await this.#once(service, ["enrol", ...CONFIG_WORDS, "--name", service, "--token", token]);
    const identity = ["cat", `${STATE_FOLDER}/identity.json`];
    const printed = docker(
      "run",
      "--rm",
      "-v",
      `${this.#place(service).volume}:${STATE_FOLDER}`,
      BASE_IMAGE,
      ...identity,
    );
    return JSON.parse(printed).connectorId;
  }

  #place(service: ServiceName): Place {
    const volume = `${this.#prefix}-${service}`;
    if (!this.#volumes.includes(volume)) this.#volumes.push(volume);
    return { network: this.#prefix, volume, configuration: join(this.#folder, service) };
  }

  #host(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  #write(service: ServiceName, name: string, content: unknown, mode = 0o644): void {
    const folder = join(this.#folder, service);
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    const file = join(folder, name);
    const text = typeof content === "string" ? content : JSON.stringify(content, null, 2);
    writeFileSync(file, text, { mode });
    // A secret belongs to the user that reads it; the guardrails must not.
    if (mode === 0o600 && process.getuid?.() === 0) chownSync(file, USER_ID, USER_ID);
  }
}

function connectorConfiguration() {
  return { stateFolder: STATE_FOLDER, guardrailsFile: "guardrails.json", strict: true };
}

function imageOf(service: ServiceName): string {
  return `isthmus-test/${service}`;
}

async function build(service: ServiceName): Promise<void> {
  await GenericContainer.fromDockerfile(ROOT, `deploy/${service}/Dockerfile`).build(
    imageOf(service),
    { deleteOnExit: false },
  );
}

async function issuerKeyId(certConnector: StartedTestContainer): Promise<string> {
  const main = "/isthmus/cert-connector/src/main.ts";
  const words = ["node", main, "ca", "status", ...CONFIG_WORDS, "--json"];
  return JSON.parse((await certConnector.exec(words)).stdout).issuing.keyId;
}

async function read(container: StartedTestContainer, file: string): Promise<string> {
  const { exitCode, stdout, output } = await container.exec(["cat", file]);
  if (exitCode !== 0) throw new Error(`${file} cannot be read: ${output}`);
  return stdout;
}

function docker(...words: string[]): string {
  return execFileSync(findTool("docker") ?? "docker", words, { encoding: "utf8", timeout: 60_000 });
}
