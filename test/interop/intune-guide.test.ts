import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { issued, ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { peer } from "../peers.ts";
import { IntuneSimulator } from "../simulators/intune/intune-simulator.ts";
import { requestFor } from "./intune/tenant-fixture.ts";

const GUIDE = resolve("docs/cert-connector/intune.md");
const MAIN = resolve("cert-connector/src/main.ts");
const PROFILE = { subject: "CN=ada@contoso.example", subjectAltNames: [] };
const execute = promisify(execFile);

test("every command of the Intune guide runs, with the files of the guide", async (context) => {
  for (const name of ["openssl", "curl"] as const) peer(name, context);
  await using site = await Site.open();
  for (const command of site.commands) {
    await site.run(command);
  }
  expect(site.said("check")).toMatch(/intune-contoso.*token and services are there/);
  expect(site.said("GetCACaps")).toContain("POSTPKIOperation");
  expect(site.said("trace")).toMatch(/notification accepted/);
  expect(site.said("notifications list")).toContain("nothing waits");
  expect(site.said("notifications retry")).toContain("0 notifications are sent now");
  expect(site.said("openssl crl")).toContain("verify OK");
  expect(site.simulator.violations).toEqual([]);
});

/** A folder with the guide's files, a simulated tenant, and what its commands said. */
class Site implements AsyncDisposable {
  readonly simulator: IntuneSimulator;
  readonly commands: readonly string[];
  readonly #folder: ReturnType<typeof temporaryFolder>;
  readonly #answers = new Map<string, string>();
  #child: ChildProcess | undefined;
  #values: Readonly<Record<string, string>> = {};

  private constructor(
    folder: ReturnType<typeof temporaryFolder>,
    simulator: IntuneSimulator,
    commands: readonly string[],
  ) {
    this.#folder = folder;
    this.simulator = simulator;
    this.commands = commands;
  }

  /** The guide's files as they are, but for where the cloud is and on which port devices come. */
  static async open(): Promise<Site> {
    const guide = readFileSync(GUIDE, "utf8");
    const folder = temporaryFolder();
    const [config, desired, guardrails] = blocksOf(guide, "json").map((text) => JSON.parse(text));
    const { tenantId, clientId } = config.tenants.contoso;
    const secret = "value~of.the-secret";
    const simulator = await IntuneSimulator.start({ tenantId, clientId, secret });
    const write = (name: string, text: string) =>
      writeFileSync(join(folder.path, name), text, { mode: 0o600 });
    simulator.writeCa(join(folder.path, "cloud-ca.pem"));
    config.listen = { address: "127.0.0.1", port: 0 };
    Object.assign(config.tenants.contoso, { hosts: simulator.hosts, caFile: "cloud-ca.pem" });
    write("config.json", JSON.stringify(config));
    write("desired.json", JSON.stringify(desired));
    write("guardrails.json", JSON.stringify(guardrails));
    write("client-secret", `${secret}\n`);
    return new Site(folder, simulator, blocksOf(guide, "sh").flatMap(commandsOf));
  }

  /** What the last command with these words printed. */
  said(words: string): string {
    const [, answer] = [...this.#answers].find(([command]) => command.includes(words)) ?? [];
    return answer ?? "";
  }

  async run(command: string): Promise<void> {
    if (command.startsWith("cert-connector run ")) return await this.#start(command);
    if (command.includes("TRANSACTION")) await this.#enrol();
    const line = Object.entries(this.#values).reduce(
      (text, [name, value]) => text.replaceAll(name, value),
      command.replace(/^cert-connector /, `"${process.execPath}" "${MAIN}" `),
    );
    const { stdout, stderr } = await execute("sh", ["-c", line], { cwd: this.#folder.path });
    this.#answers.set(command, stdout + stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await ended;
    }
    await this.simulator[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }

  async #start(command: string): Promise<void> {
    const [, ...words] = command.split(" ");
    const { path } = this.#folder;
    const child = spawn(process.execPath, [MAIN, ...words], { cwd: path, stdio: "ignore" });
    this.#child = child;
    const { scepUrl } = await until(() => runFileOf(path), "a running connector", 30_000);
    this.#values = { "http://localhost:8081": scepUrl };
  }

  /** The first device. */
  async #enrol(): Promise<void> {
    const device = new ScepDevice(`${this.#values["http://localhost:8081"]}/scep/wifi`);
    const password = this.simulator.requests.assign(PROFILE);
    const { certificationRequest, signer } = await requestFor(PROFILE, password);
    const transaction = await device.begin(
      { messageType: "PKCSReq", certificationRequest },
      signer,
    );
    const { authorityKeyIdentifier } = issued(await device.send(transaction));
    const ISSUER = authorityKeyIdentifier?.toString("hex") ?? "";
    this.#values = { ...this.#values, TRANSACTION: transaction.transactionId, ISSUER };
  }
}

function runFileOf(folder: string): { readonly scepUrl: string } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, "state", "run.json"), "utf8"));
  } catch {
    return undefined;
  }
}

/** The content of each fenced block of this language. */
function blocksOf(markdown: string, language: string): string[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , content = ""]) => content);
}

function commandsOf(block: string): string[] {
  return block
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line !== "");
}
