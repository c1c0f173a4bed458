import type { InventoryRecord } from "@isthmus/shared/link/inventory-messages";
import type { CommandWait } from "@isthmus/shared/link/messages";
import type { ActionEntry, SiteCounts } from "@isthmus/shared/link/site-messages";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { recordGuid } from "../core/record-guid.ts";
import type { SiteActionRequest } from "../core/site-action-records.ts";
import { batchPayload } from "./batch-payload.ts";
import { recordsOf, told } from "./inventory-fixture.ts";
import { StoreInMemory } from "./store-in-memory.ts";

/** For tests: a store in memory with a site CM1 of a few devices, read by one of two bridges. */

export const SCRIPT = {
  guid: "AAAAAAAA-0000-4000-8000-000000000001",
  version: "2",
  sha256: "ab".repeat(32),
};
export const APPLICATION_GUID = "bbbbbbbb-0000-4000-8000-000000000002";
export const COLLECTION = "CM100014";
export const DEVICES = ["16777220", "16777221", "16777222"];

const MINUTE_MS = 60_000;

/** Devices, an approved script, an application and a collection of the site. */
export function siteRecords(): InventoryRecord[] {
  const script = {
    identity: { ScriptName: "Clean up", ScriptVersion: SCRIPT.version, Author: "CORP\\ada" },
    stable: {
      ScriptHash: SCRIPT.sha256.toUpperCase(),
      ApprovalState: 3,
      Approver: "CORP\\grace",
    },
    content: {
      parameters: [
        { name: "Days", type: "System.Int32", isRequired: true, minimum: 1, maximum: 90 },
        { name: "Name", type: "System.String", isRequired: false, values: ["a = b", "c"] },
      ],
    },
  };
  const application = {
    LocalizedDisplayName: "Editor",
    CI_UniqueID: `ScopeId_1/Application_${APPLICATION_GUID}/1`,
  };
  return [
    ...DEVICES.map((key, at) =>
      told(key, at + 1, { identity: { Name: `PC${at}` }, stable: { Client: 1 } }),
    ),
    told(SCRIPT.guid, 10, script, { kind: "script" }),
    told("17", 11, { stable: application }, { kind: "application" }),
    told(COLLECTION, 12, { identity: { Name: "All" } }, { kind: "collection" }),
  ];
}

export class ActionFixture implements Disposable {
  readonly clock = new FakeClock();
  readonly store = new StoreInMemory(this.clock.now());
  #made = 0;

  async bridge(id: string): Promise<FixtureBridge> {
    const act = { actor: "admin", now: this.clock.now() };
    const service = "comgmt-bridge" as const;
    await this.store.run("createEnrolmentToken", {
      ...act,
      secretHash: id,
      service,
      displayName: id,
      expiresAt: act.now + MINUTE_MS,
    });
    await this.store.run("claimEnrolmentToken", {
      secretHash: id,
      service,
      displayName: id,
      publicKeyX: id,
      newConnectorId: id,
      now: act.now,
    });
    const bridge = new FixtureBridge(this, id);
    await bridge.connect();
    return bridge;
  }

  /** A bridge that holds the lease and has told of the site. */
  async readingBridge(id = "bridge-1"): Promise<FixtureBridge> {
    const bridge = await this.bridge(id);
    await bridge.append("inventory", recordsOf(await bridge.lease(), ...siteRecords()));
    return bridge;
  }

  /** Asks for a notification of the first device, or for what `changes` say. */
  request(changes: Partial<SiteActionRequest> = {}) {
    this.#made += 1;
    const now = this.clock.now();
    return this.store.run("requestSiteAction", {
      id: `action-${this.#made}`,
      commandId: `command-${this.#made}`,
      target: { source: "CM1", resourceIds: [Number(DEVICES[0])] },
      kind: "site.notify",
      action: "refreshMachinePolicy",
      details: {},
      payload: { notification: "refreshMachinePolicy" },
      expiresAt: now + 60 * MINUTE_MS,
      requestHash: "hash",
      actor: "admin",
      now,
      ...changes,
    });
  }

  /** Signs and hands out what waits for a bridge. */
  async deliver(bridge: FixtureBridge): Promise<string[]> {
    for (const { id } of await this.store.run("takeUnsignedCommands", { limit: 100 })) {
      await this.store.run("storeCommandSignature", { id, jws: "jws" });
    }
    return await bridge.take();
  }

  maintain() {
    return this.store.run("maintainSiteActions", { now: this.clock.now() });
  }

  async all(sql: string, ...values: string[]) {
    return this.store.transaction.all(sql, ...values);
  }

  async action(id: string) {
    const [row] = await this.all("SELECT * FROM site_action WHERE id = ?", id);
    return row ?? {};
  }

  devices(id: string) {
    return this.all("SELECT * FROM device_action WHERE action_id = ? ORDER BY key", id);
  }

  /** The id in the API of a device by its ResourceID. */
  async managedDeviceId(key: string): Promise<string> {
    const [row] = await this.all(
      "SELECT id FROM inventory_record WHERE kind = 'device' AND key = ?",
      key,
    );
    return recordGuid(Number(row?.["id"]));
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
  }
}

export class FixtureBridge {
  readonly id: string;
  readonly #fixture: ActionFixture;
  readonly #seqs: Record<string, number> = {};
  #sessionNo = 0;
  #taken = 0;

  constructor(fixture: ActionFixture, id: string) {
    this.#fixture = fixture;
    this.id = id;
  }

  async connect(): Promise<void> {
    const { admission } = await this.#fixture.store.run("acceptConnector", {
      connectorId: this.id,
      bootId: "boot",
      epoch: 0,
      lastSeq: this.#seqs,
      commandSeq: 0,
      configurationVersion: 0,
      clockOffsetMs: 0,
      now: this.#fixture.clock.now(),
    });
    this.#sessionNo = admission?.sessionNo ?? 0;
  }

  /** Holds the lease of CM1; answers its number. */
  async lease(isGivenUp = false): Promise<number> {
    const answer = await this.#fixture.store.run("renewLease", {
      connectorId: this.id,
      sessionNo: this.#sessionNo,
      source: "CM1",
      sourceType: "configmgr",
      lease: 0,
      isGivenUp,
      now: this.#fixture.clock.now(),
    });
    return answer?.lease ?? 0;
  }

  async take(): Promise<string[]> {
    const taken = await this.#fixture.store.run("takeDeliveries", {
      connectorId: this.id,
      sessionNo: this.#sessionNo,
      afterSeq: this.#taken,
      limit: 100,
      now: this.#fixture.clock.now(),
    });
    this.#taken = taken.at(-1)?.seq ?? this.#taken;
    return taken.map(({ id }) => id);
  }

  /** What the bridge says of a command that has no end yet. */
  reports(id: string, state: "accepted" | "running", waitsFor?: CommandWait) {
    const key = { connectorId: this.id, sessionNo: this.#sessionNo };
    const now = this.#fixture.clock.now();
    return this.#fixture.store.run("noteCommandProgress", { ...key, id, state, waitsFor, now });
  }

  append(stream: string, ...entries: readonly unknown[]) {
    const firstSeq = (this.#seqs[stream] ?? 0) + 1;
    this.#seqs[stream] = firstSeq + entries.length - 1;
    return this.#fixture.store.run("ingestBatch", {
      connectorId: this.id,
      sessionNo: this.#sessionNo,
      stream,
      firstSeq,
      entryCount: entries.length,
      isAfterPruned: false,
      ...batchPayload(entries.map((entry) => JSON.stringify(entry))),
      now: this.#fixture.clock.now(),
    });
  }

  /** How a command ended. */
  ended(id: string, result: unknown, more: object = {}) {
    const endedAt = this.#fixture.clock.now();
    return this.append("commands", { id, state: "succeeded", endedAt, result, ...more });
  }

  progress(
    commandId: string,
    devices: Extract<ActionEntry, { type: "progress" }>["devices"],
    counts?: SiteCounts,
  ) {
    const at = this.#fixture.clock.now();
    const entry = { type: "progress", source: "CM1", commandId, at, devices, counts };
    return this.append("actions", entry);
  }

  rows(commandId: string, key: string, rows: readonly object[], isTruncated = false) {
    const at = this.#fixture.clock.now();
    const entry = { type: "rows", source: "CM1", commandId, at, key, rows, isTruncated };
    return this.append("actions", entry);
  }
}
