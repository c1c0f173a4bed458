import { execFileSync } from "node:child_process";
import { createPrivateKey, type KeyObject } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONNECTOR_MAIN, ConnectorChild } from "../connector-child.ts";

/** A certificate connector as a process of its own, standalone, that a test may kill and start again. */
export class ConnectorProcess implements AsyncDisposable {
  readonly #folder: string;
  readonly #child: ConnectorChild;

  /** Writes configuration and CA into `folder`; nothing runs yet. `of` adds to the files. */
  constructor(
    folder: string,
    of: {
      readonly local?: Readonly<Record<string, unknown>>;
      readonly profile?: Readonly<Record<string, unknown>>;
      readonly limits?: Readonly<Record<string, unknown>>;
      /** Has the authority and the challenge key of this one: a replica of it. */
      readonly like?: ConnectorProcess;
    } = {},
  ) {
    this.#folder = folder;
    this.#child = new ConnectorChild(folder);
    mkdirSync(folder, { recursive: true });
    const write = (name: string, value: unknown) =>
      writeFileSync(join(folder, name), JSON.stringify(value), { mode: 0o600 });
    write("config.json", {
      stateFolder: "state",
      standalone: { desiredConfigurationFile: "desired.json" },
      guardrailsFile: "guardrails.json",
      listen: { address: "127.0.0.1", port: 0 },
      ca: { folder: "ca", passphraseFile: "ca-passphrase" },
      log: { level: "warn" },
      ...of.local,
    });
    write("desired.json", {
      version: 1,
      configuration: { profiles: [{ id: "device", ...of.profile }] },
    });
    write("guardrails.json", {
      commands: {
        allow: [],
        limits: {
          "certificate-issuance": { max: 1_000_000, perMinutes: 60 },
          ...of.limits,
        },
      },
    });
    if (of.like !== undefined) {
      this.#becomeLike(of.like.#folder);
      return;
    }
    const algorithm = ["--algorithm", "ec-p256"];
    this.run("ca", "init", "--name", "Kill", ...algorithm, "--root-key-out", join(folder, "root"));
    this.run("challenge", "--profile", "device", "--device", "first");
  }

  #becomeLike(folder: string): void {
    mkdirSync(join(this.#folder, "state"), { mode: 0o700 });
    for (const name of ["ca", "ca-passphrase", join("state", "challenge-key.pem")]) {
      cpSync(join(folder, name), join(this.#folder, name), { recursive: true });
    }
  }

  get storeFile(): string {
    return join(this.#folder, "state", "store.db");
  }

  /** The key that the connector takes challenges by. */
  get challengeKey(): KeyObject {
    return createPrivateKey(readFileSync(join(this.#folder, "state", "challenge-key.pem")));
  }

  /** Runs a subcommand to its end; throws where its exit code is not 0. */
  run(...words: string[]): string {
    const args = [CONNECTOR_MAIN, ...words, "--config", join(this.#folder, "config.json")];
    return execFileSync(process.execPath, args, { encoding: "utf8" });
  }

  /** Starts it and returns its SCEP address once it is ready. */
  async start(): Promise<string> {
    return await this.#child.start();
  }

  /** SIGKILL, in the middle of whatever it does. */
  async kill(): Promise<void> {
    await this.#child.end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#child.end("SIGTERM");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
