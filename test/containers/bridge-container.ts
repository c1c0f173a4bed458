import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { findTool } from "../tools.ts";

const execute = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
const IMAGE = "isthmus-test/comgmt-bridge";
const USER_ID = 1_000;
const BUILD_TIMEOUT_MS = 600_000;
const COMMAND_TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 16_777_216;

/** What a command in a container came to. */
export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface BridgeFiles {
  readonly siteUrl: string;
  readonly siteCaPem: string;
  readonly keytabFile: string;
  readonly krb5ConfigFile: string;
  readonly principal: string;
}

/**
 * The bridge's image as deploy/compose.yaml runs it, except for the network: it is this machine's, on whose loopback addresses
 * the domain and the site listen.
 */
export class BridgeContainer implements AsyncDisposable {
  /** A folder of this machine that is `/etc/isthmus`, read-only. */
  readonly folder = mkdtempSync(join(tmpdir(), "isthmus-bridge-"));
  readonly #name = `isthmus-bridge-${randomBytes(4).toString("hex")}`;
  #isRunning = false;

  static async build(): Promise<void> {
    const file = join(ROOT, "deploy/comgmt-bridge/Dockerfile");
    await docker(["build", "--quiet", "--file", file, "--tag", IMAGE, ROOT], BUILD_TIMEOUT_MS);
  }

  constructor(files: BridgeFiles) {
    chmodSync(this.folder, 0o755);
    const kerberos = { principal: files.principal, keytabFile: "isthmus.keytab" };
    this.#write("config.json", {
      ...{ stateFolder: "/var/lib/isthmus", guardrailsFile: "guardrails.json", strict: true },
      standalone: { desiredConfigurationFile: "desired.json" },
      site: { url: files.siteUrl, siteCode: "CM1", caFile: "sms-issuing.pem", kerberos },
    });
    this.#write("guardrails.json", { commands: { allow: ["health.report"] } });
    this.#write("desired.json", { version: 1, configuration: { sites: [{ source: "CM1" }] } });
    writeFileSync(join(this.folder, "sms-issuing.pem"), files.siteCaPem);
    copyFileSync(files.krb5ConfigFile, join(this.folder, "krb5.conf"));
    copyFileSync(files.keytabFile, this.keytab);
    chownSync(this.keytab, USER_ID, USER_ID);
    chmodSync(this.keytab, 0o600);
  }

  get keytab(): string {
    return join(this.folder, "isthmus.keytab");
  }

  /** `check --json` in a container of its own; `words` are for the engine. */
  async check(words: readonly string[] = []): Promise<Ended> {
    const of = ["check", "--config", "/etc/isthmus/config.json", "--json"];
    try {
      const run = ["run", "--rm", ...this.#locked(), ...words, IMAGE, ...of];
      return { exitCode: 0, ...(await docker(run, COMMAND_TIMEOUT_MS)) };
    } catch (error) {
      const { code, stdout = "", stderr = "" } = error as Partial<Ended> & { code?: unknown };
      if (typeof code !== "number") throw error;
      return { exitCode: code, stdout, stderr };
    }
  }

  /** Starts the service; it is removed with this object. */
  async start(): Promise<void> {
    this.#isRunning = true;
    const run = ["run", "--detach", "--name", this.#name, ...this.#locked(), IMAGE];
    await docker(run, COMMAND_TIMEOUT_MS);
  }

  /** What a program in the running container prints. */
  async inspect(...words: string[]): Promise<string> {
    return (await docker(["exec", this.#name, ...words], COMMAND_TIMEOUT_MS)).stdout;
  }

  async logs(): Promise<string> {
    return (await docker(["logs", this.#name], COMMAND_TIMEOUT_MS)).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isRunning)
      await docker(["rm", "--force", "--volumes", this.#name], COMMAND_TIMEOUT_MS);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #locked(): string[] {
    return [
      ...["--network", "host", "--read-only", "--tmpfs", "/tmp:size=16m", "--cap-drop", "ALL"],
      ...["--security-opt", "no-new-privileges:true", "-v", `${this.folder}:/etc/isthmus:ro`],
    ];
  }

  #write(name: string, content: object): void {
    writeFileSync(join(this.folder, name), JSON.stringify(content));
  }
}

function docker(words: readonly string[], timeout: number) {
  const options = { encoding: "utf8", timeout, maxBuffer: MAX_OUTPUT_BYTES } as const;
  return execute(findTool("docker") ?? "docker", words, options);
}
