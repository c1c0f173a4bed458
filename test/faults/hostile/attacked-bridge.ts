import { createPrivateKey } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES, type SignedCommand } from "@isthmus/shared/link/messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts } from "@isthmus/suite/ports";
import { DEMO_SITE } from "@isthmus/suite/process/configuration-manager";
import { requestJson } from "@isthmus/suite/process/https-json";
import { setUp } from "@isthmus/suite/set-up";
import { Suite } from "@isthmus/suite/suite";
import type { Execution } from "../../simulators/configmgr/operations.ts";
import { storedScriptSha256 } from "../../simulators/configmgr/scripts.ts";

/** A script with a parameter that the local file may allow values for, and one that it need not know of. */
export const GREETING = {
  guid: "7C0B8D52-1B0B-4C8A-8F5A-7E2F1D3C4B5A",
  name: "Greet",
  text: "param([string]$Name,[string]$Other)\r\nWrite-Output $Name\r\n",
  author: "CORP\\author",
  isApproved: true,
  parameters: [{ name: "Name" }, { name: "Other" }],
} as const;
export const GREETING_SHA256 = storedScriptSha256(GREETING.text);

export type Asked = readonly [kind: string, payload: object];
export type ForgedCommand = Omit<SignedCommand, "approvals">;
type Approvals = (command: ForgedCommand) => Promise<readonly string[]>;

export interface Ended {
  readonly state: string;
  /** Of a refusal, or of a failure. */
  readonly code: string | undefined;
  readonly rule: string | undefined;
}

const ENDS = "('succeeded', 'failed', 'refused', 'expired', 'unknown')";

/**
 * A bridge at a simulated site, and a control plane in the hands of an attacker who signs what he likes with the real tenant key and puts it into the queue
 * behind his own program's back.
 */
export class AttackedBridge implements AsyncDisposable {
  readonly suite: Suite;
  readonly #folder: ReturnType<typeof temporaryFolder>;
  #bridgeId = "";
  #count = 0;

  private constructor(folder: ReturnType<typeof temporaryFolder>, suite: Suite) {
    this.#folder = folder;
    this.suite = suite;
  }

  static async open(): Promise<AttackedBridge> {
    const folder = temporaryFolder();
    const suite = new Suite({
      layout: layoutOf(join(folder.path, "suite")),
      ports: await freePorts(),
      configurationManager: { scripts: [DEMO_SITE.script, GREETING] },
    });
    const bridge = new AttackedBridge(folder, suite);
    await suite.openSite();
    bridge.#bridgeId = (await setUp(suite)).connectors["comgmt-bridge"] ?? "";
    return bridge;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.suite[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }

  get id(): string {
    return this.#bridgeId;
  }

  connector(): Promise<{
    readonly configurationVersion: number;
    readonly configurationVersionApplied: number;
    readonly configurationError: string | null;
  }> {
    return this.suite.graph().then((graph) => graph.get(`/connectors/${this.#bridgeId}`));
  }

  /** What the site is asked past everything. */
  async ask<Result>(name: string, ...given: readonly unknown[]): Promise<Result> {
    const site = await this.suite.openConfigurationManager();
    return (await site.ask(name, ...given)) as Result;
  }

  /** What devices did, of a kind. */
  async executions(kind: Execution["kind"]): Promise<readonly Execution[]> {
    const all = await this.ask<readonly Execution[]>("executions");
    return all.filter((each) => each.kind === kind);
  }

  /** The same, once there are so many. */
  async executionsWithin(count: number, kind: Execution["kind"]): Promise<readonly Execution[]> {
    await until(
      async () => (await this.executions(kind)).length >= count,
      `${count} ${kind}`,
      30_000,
    );
    return await this.executions(kind);
  }

  /** Paths of everything that was ever asked of the site but reading. */
  async posts(): Promise<readonly string[]> {
    const requests =
      await this.ask<readonly { readonly method: string; readonly path: string }[]>("requests");
    return requests.filter(({ method }) => method === "POST").map(({ path }) => path);
  }

  async siteRows(path: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { authority, tokenFile } = this.suite.layout.configurationManager;
    const { configurationManager: port } = this.suite.ports;
    const { body } = await requestJson({
      ...{ method: "GET", authority: readFileSync(authority, "utf8") },
      url: new URL(`https://localhost:${port}/AdminService_TokenAuth/${path}`),
      headers: { authorization: `Bearer ${readFileSync(tokenFile, "utf8")}` },
    });
    return (body as { value: Readonly<Record<string, unknown>>[] }).value;
  }

  /** Edits the file of the bridge's host that the control plane cannot reach. */
  // biome-ignore lint/suspicious/noExplicitAny: a file of many shapes, edited in place
  async tighten(edit: (guardrails: any) => void): Promise<void> {
    await this.edit(this.suite.layout.of("comgmt-bridge").guardrailsFile, edit, 0o444);
  }

  // biome-ignore lint/suspicious/noExplicitAny: a file of many shapes, edited in place
  async edit(file: string, change: (content: any) => void, mode = 0o600): Promise<void> {
    const content = JSON.parse(readFileSync(file, "utf8"));
    change(content);
    await this.suite.halt("comgmt-bridge");
    chmodSync(file, 0o600);
    writeFileSync(file, JSON.stringify(content));
    chmodSync(file, mode);
    await this.suite.launch("comgmt-bridge");
  }

  /** Signs commands, has them delivered, and waits for their ends. */
  async send(asked: readonly Asked[], approvals: readonly Approvals[] = []): Promise<Ended[]> {
    await this.suite.halt("control-plane");
    const ids: string[] = [];
    for (const [index, each] of asked.entries()) {
      ids.push(await this.#plant(each, approvals[index]));
    }
    await this.suite.launch("control-plane");
    return await until(() => this.#endsOf(ids), "the ends of the commands", 60_000);
  }

  /** Signs a configuration that the control plane's own API would refuse, has it delivered, and waits until it is refused. */
  async isRefused(configuration: object): Promise<void> {
    const version = await this.#desire(configuration);
    await until(
      async () => {
        const state = await this.connector();
        if (state.configurationVersionApplied >= version) throw new Error("it was applied");
        return JSON.parse(state.configurationError ?? "{}").version === version;
      },
      "the refusal reported",
      60_000,
    );
  }

  async #desire(configuration: object): Promise<number> {
    const { id } = this;
    // Started anew the bridge is back at once; otherwise it waits the longer the more often it lost its link.
    await this.suite.halt("comgmt-bridge");
    await this.suite.halt("control-plane");
    const last = this.#database((of) =>
      of
        .prepare("SELECT max(version) AS version FROM desired_configuration WHERE connector_id = ?")
        .get(id),
    );
    const version = Number(last?.["version"]) + 1;
    const service = "comgmt-bridge";
    const signed = { aud: id, version, service, issuedAt: Date.now(), configuration };
    const jws = await signJws(signed, JWS_TYPES.configuration, this.tenantKey());
    this.#database((of) =>
      of
        .prepare(
          "INSERT INTO desired_configuration (connector_id, version, body, jws, created_at) VALUES (?, ?, ?, ?, ?)",
        )
        .run(id, version, JSON.stringify(configuration), jws, Date.now()),
    );
    await this.suite.launch("control-plane");
    await this.suite.launch("comgmt-bridge");
    return version;
  }

  tenantKey() {
    return createPrivateKey(this.suite.read("control-plane", "signer/tenant-key.pem"));
  }

  #database<Result>(act: (database: DatabaseSync) => Result): Result {
    const file = join(this.suite.layout.of("control-plane").stateFolder, "store.db");
    using opened = new DatabaseSync(file, { timeout: 10_000 });
    return act(opened);
  }

  async #plant([kind, payload]: Asked, approvals: Approvals | undefined): Promise<string> {
    this.#count += 1;
    const id = `hostile-${this.#count}`;
    const at = Date.now();
    const expiresAt = at + 3_600_000;
    const seq = this.#database((of) => {
      const row = of.prepare("SELECT command_seq AS seq FROM connector WHERE id = ?").get(this.id);
      return Number(row?.["seq"]) + 1;
    });
    const command: ForgedCommand = {
      ...{ id, kind, seq, aud: this.id, actor: "admin", payload },
      ...{ issuedAt: at, notBefore: at - 1_000, expiresAt, supersedes: [] },
    };
    const signed = { ...command, approvals: (await approvals?.(command)) ?? [] };
    const jws = await signJws(signed, JWS_TYPES.command, this.tenantKey());
    this.#database((of) => {
      of.prepare(
        `INSERT INTO command (id, connector_id, seq, kind, body, jws, state, actor, created_at, not_before, expires_at, state_at)
         VALUES (?, ?, ?, ?, ?, ?, 'queued', 'admin', ?, ?, ?, ?)`,
      ).run(
        ...[id, this.id, seq, kind, JSON.stringify(payload), jws, at, at - 1_000, expiresAt, at],
      );
      of.prepare("UPDATE connector SET command_seq = ? WHERE id = ?").run(seq, this.id);
    });
    return id;
  }

  /** Undefined until all of them have ended. */
  #endsOf(ids: readonly string[]): Ended[] | undefined {
    const rows = this.#database((of) =>
      of
        .prepare(
          `SELECT c.state, c.error FROM json_each(?) i JOIN command c ON c.id = i.value AND c.state IN ${ENDS} ORDER BY i.key`,
        )
        .all(JSON.stringify(ids)),
    );
    if (rows.length < ids.length) return undefined;
    return rows.map(({ state, error }) => {
      const { code, rule } = JSON.parse(String(error ?? "{}")) ?? {};
      return { state: String(state), code, rule };
    });
  }
}

const { firstResourceId, siteCode } = DEMO_SITE;

/** Devices by their places in the fleet. */
export const devices = (...numbers: readonly number[]) => ({
  ...{ kind: "devices", resourceIds: numbers.map((number) => firstResourceId + number) },
});
const source = siteCode;
export const notify = (target: object, notification = "refreshMachinePolicy"): Asked => [
  "site.notify",
  { source, target, notification },
];
export const query = (text: string, target: object = devices(1)): Asked => [
  "site.query",
  { source, target, query: text },
];
export const script = (more: object): Asked => [
  "site.script",
  {
    ...{ source, target: devices(1), scriptGuid: GREETING.guid, version: "1" },
    ...{ sha256: GREETING_SHA256, ...more },
  },
];
export const application = (applicationId: string, action: string, target = devices(1)): Asked => [
  "site.application",
  { source, target, applicationId, action },
];
export const recoveryKey = (number: number): Asked => [
  "site.recovery-key",
  { source, resourceId: firstResourceId + number },
];
export const properties = (number: number, change: object): Asked => [
  "site.custom-properties",
  { source, resourceId: firstResourceId + number, ...change },
];
