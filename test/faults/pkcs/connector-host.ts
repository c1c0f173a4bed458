import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { CONNECTOR_MAIN, ConnectorChild } from "../connector-child.ts";

const execute = promisify(execFile);

/** What the connector wants to be: SCEP for the devices' first certificates, and keys made here. */
export const PROFILES = [{ id: "device" }, { id: "pkcs", pfx: { format: "modern" } }];

/** A certificate connector as a process of its own, with files of its own, that a test may kill and start again. */
export class ConnectorHost implements AsyncDisposable {
  readonly folder: string;
  readonly #child: ConnectorChild;

  private constructor(folder: string) {
    this.folder = folder;
    this.#child = new ConnectorChild(folder);
  }

  /** Writes configuration and CA into `folder`; nothing runs yet. `local` is added to the local configuration. */
  static async create(
    folder: string,
    local: Readonly<Record<string, unknown>> = {},
  ): Promise<ConnectorHost> {
    const host = new ConnectorHost(folder);
    await host.#setUp(local);
    return host;
  }

  async #setUp(local: Readonly<Record<string, unknown>>): Promise<void> {
    const { folder } = this;
    mkdirSync(folder, { recursive: true });
    this.write("config.json", {
      stateFolder: "state",
      guardrailsFile: "guardrails.json",
      listen: { address: "127.0.0.1", port: 0 },
      ca: { folder: "ca", passphraseFile: "ca-passphrase" },
      log: { level: "warn" },
      ...local,
    });
    this.write("desired.json", { version: 1, configuration: { profiles: PROFILES } });
    this.write("guardrails.json", {
      commands: { allow: ["certificate.pkcs", "pfx.deliver", "health.report"] },
      "cert-connector": { importedPfxRecipients: "ledger" },
    });
    const algorithm = ["--algorithm", "ec-p256"];
    const root = ["--root-key-out", join(folder, "root")];
    await this.run("ca", "init", "--name", "PKCS", ...algorithm, ...root);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: unknown): void {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(this.path(name), text, { mode: 0o600 });
  }

  get storeFile(): string {
    return this.path("state/store.db");
  }

  /** Runs a subcommand to its end; throws where its exit code is not 0. */
  async run(...words: readonly string[]): Promise<string> {
    const args = [CONNECTOR_MAIN, ...words, "--config", this.path("config.json")];
    return (await execute(process.execPath, args)).stdout;
  }

  /** Starts it and returns its SCEP address once it is ready. */
  async start(): Promise<string> {
    return await this.#child.start();
  }

  /** Asks the running process what its command line would; undefined where nobody answers. */
  async ask(method: string, argument: unknown): Promise<unknown> {
    const { controlSocket } = stateFolderAt(this.path("state"));
    return (await askRunningService(controlSocket, method, argument))?.result;
  }

  /** SIGKILL, in the middle of whatever it does. */
  async kill(): Promise<void> {
    await this.#child.end("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
