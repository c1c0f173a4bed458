import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "@isthmus/shared/testing/free-port";
import {
  type ConfigurationManager,
  startConfigurationManager,
} from "@isthmus/suite/process/configuration-manager";
import { enrolConnector } from "@isthmus/suite/process/enrol-connector";
import type { GraphClient } from "@isthmus/suite/process/graph-client";
import {
  type MeasuredControlPlane,
  signIn,
  startControlPlane,
} from "../link/measured-control-plane.ts";
import {
  entryOf,
  prepareService,
  type RunningService,
  type ServiceOptions,
  startService,
} from "../process/service.ts";

export const SITE = "CM1";
/** The inventory classes that are read of each device. */
export const CLASSES = [
  "SMS_G_System_OPERATING_SYSTEM",
  "SMS_G_System_COMPUTER_SYSTEM",
  "SMS_G_System_PC_BIOS",
  "SMS_G_System_LOGICAL_DISK",
  "SMS_G_System_ADD_REMOVE_PROGRAMS_64",
];
const TOKEN = "bench-token";
const LOOK_MS = 500;
/** A program list of this length makes a record of about 4 KB. */
const PROGRAMS_PER_DEVICE = 4;

export interface SyncOptions {
  readonly folder: string;
  readonly devices: number;
  readonly classes: readonly string[];
  readonly hotSeconds: number;
  readonly truthMinutes: number;
  /** Whether the software updates of each device are read, too; they are by default. */
  readonly hasUpdates?: boolean;
  /** Whether states of applications are read; not unless given, so that measurements stay comparable. */
  readonly hasApplicationStates?: boolean;
  /** Further options of the simulated site. */
  readonly given?: Readonly<Record<string, unknown>>;
  /** Of the bridge: `site.limits`. */
  readonly limits?: Readonly<Record<string, unknown>>;
}

type Want = (more: Readonly<Record<string, unknown>>) => Promise<void>;

/** A simulated site in a process of its own, a control plane, and a bridge between them that is set up and not started. */
export class SyncedSite implements AsyncDisposable {
  readonly site: ConfigurationManager;
  readonly node: MeasuredControlPlane;
  /** What the control plane wants of the bridge beside what the options say, from now on. */
  readonly want: Want;
  readonly #bridgeOptions: ServiceOptions;
  #bridge: RunningService | undefined;

  private constructor(
    site: ConfigurationManager,
    node: MeasuredControlPlane,
    bridgeOptions: ServiceOptions,
    want: Want,
  ) {
    this.site = site;
    this.node = node;
    this.want = want;
    this.#bridgeOptions = bridgeOptions;
  }

  static async prepare(options: SyncOptions): Promise<SyncedSite> {
    const { folder, devices } = options;
    const [cloudFolder, bridgeFolder] = [join(folder, "cloud"), join(folder, "bridge")];
    for (const each of [cloudFolder, bridgeFolder]) mkdirSync(each, { recursive: true });
    const port = await freePort();
    const fleet = {
      devices,
      users: 1_000,
      programsPerDevice: PROGRAMS_PER_DEVICE,
      onlineShare: 0.9,
    };
    const site = await startConfigurationManager({
      ...{ port, token: TOKEN, caFile: join(bridgeFolder, "site-ca.pem") },
      given: { ...fleet, ...options.given },
    });
    const node = await startControlPlane(cloudFolder, await freePort());
    const bridgeOptions = bridgeOptionsOf(bridgeFolder, port, options.limits);
    writeBridgeFiles(bridgeFolder, options.classes);
    const want = await enrol(bridgeOptions, await signIn(cloudFolder, node), options);
    return new SyncedSite(site, node, bridgeOptions, want);
  }

  async startBridge(): Promise<RunningService> {
    this.#bridge = await startService(this.#bridgeOptions);
    return this.#bridge;
  }

  /** Asks the control plane's store, past the control plane. */
  ask<Row>(sql: string, ...parameters: (string | number)[]): Row[] {
    using store = new DatabaseSync(this.node.databaseFile, { readOnly: true });
    return store.prepare(sql).all(...parameters) as Row[];
  }

  /** Devices that are there. */
  devices(): number {
    const [row] = this.ask<{ count: number }>(
      "SELECT count(*) AS count FROM inventory_record WHERE kind = 'device' AND deleted_at IS NULL",
    );
    return row?.count ?? 0;
  }

  /** How many complete readings of the devices the bridge has told of. */
  scansOfDevices(): number {
    const [row] = this.ask<{ count: number }>(
      "SELECT count(*) AS count FROM inventory_event WHERE side = 'bridge' AND event = 'scan.ended' AND kind = 'device'",
    );
    return row?.count ?? 0;
  }

  /** Devices as the control plane has them, each as one JSON text. */
  records(count: number): string[] {
    const facets = this.ask<{ record_id: number; facet: string; value: string }>(
      `SELECT f.record_id, f.facet, f.value FROM inventory_facet f WHERE f.record_id IN
         (SELECT id FROM inventory_record WHERE kind = 'device' AND deleted_at IS NULL ORDER BY id LIMIT ?)`,
      count,
    );
    const byRecord = Map.groupBy(facets, (row) => row.record_id);
    return [...byRecord.values()].map(
      (rows) => `{${rows.map(({ facet, value }) => `"${facet}":${value}`).join(",")}}`,
    );
  }

  async until(what: string, isSo: () => boolean, limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    while (!isSo()) {
      if (performance.now() > end) throw new Error(`${what}: not within ${limitMs / 1_000} s`);
      await delay(LOOK_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge?.[Symbol.asyncDispose]();
    await this.node.service[Symbol.asyncDispose]();
    await this.site[Symbol.asyncDispose]();
  }
}

function writeBridgeFiles(folder: string, classes: readonly string[]): void {
  writeFileSync(join(folder, "token"), TOKEN, { mode: 0o600 });
  const guardrails = {
    commands: { allow: ["health.report"] },
    "comgmt-bridge": { inventory: { classes } },
  };
  writeFileSync(join(folder, "guardrails.json"), JSON.stringify(guardrails), { mode: 0o444 });
}

function bridgeOptionsOf(
  folder: string,
  port: number,
  limits: Readonly<Record<string, unknown>> = {},
): ServiceOptions {
  const file = (name: string) => join(folder, name);
  return {
    name: "comgmt-bridge",
    folder,
    configuration: {
      guardrailsFile: file("guardrails.json"),
      health: { address: "127.0.0.1", port: 0 },
      log: { level: "warn" },
      site: {
        ...{ url: `https://localhost:${port}`, siteCode: SITE, limits },
        ...{ tokenFile: file("token"), caFile: file("site-ca.pem") },
      },
    },
  };
}

/** Enrols the bridge, and has the control plane name the site to it. */
async function enrol(
  bridge: ServiceOptions,
  graph: GraphClient,
  {
    classes,
    hotSeconds,
    truthMinutes,
    hasUpdates = true,
    hasApplicationStates = false,
  }: SyncOptions,
): Promise<Want> {
  const { configurationFile: configFile } = prepareService(bridge);
  const service = "comgmt-bridge";
  const connectorId = await enrolConnector(graph, {
    ...{ service, name: "bridge", entry: entryOf(service), configFile },
  });
  const site = {
    ...{ source: SITE, inventoryClasses: classes, updateCompliance: hasUpdates },
    ...{ applicationStates: hasApplicationStates, hotSeconds, truthMinutes },
  };
  const want: Want = async (more) => {
    await graph.put(`/connectors/${connectorId}/desiredConfiguration`, {
      configuration: { sites: [{ ...site, ...more }] },
    });
  };
  await want({});
  return want;
}
