import type { RecordKind } from "@isthmus/shared/link/inventory-messages";
import { ConnectorFixture } from "../main/connector-fixture.ts";
import type { ApiClient, ControlPlaneFixture } from "../main/control-plane-fixture.ts";
import { recordsOf, told } from "./inventory-fixture.ts";

/** For tests: a site that a bridge tells of, record by record. */

/** A time that all records of tests begin at. */
export const TOLD_AT = Date.parse("2026-03-01T08:00:00Z");

type Facets = Readonly<Record<string, unknown>>;

export class ToldSite implements AsyncDisposable {
  readonly name: string;
  readonly #bridge: ConnectorFixture;
  readonly #lease: number;
  #revision: number;

  private constructor(name: string, bridge: ConnectorFixture, lease: number, revision: number) {
    this.name = name;
    this.#bridge = bridge;
    this.#lease = lease;
    this.#revision = revision;
  }

  static async start(
    plane: ControlPlaneFixture,
    admin: ApiClient,
    name = "CM1",
    type: "configmgr" | "agents" | "active-directory" = "configmgr",
  ): Promise<ToldSite> {
    const bridge = await ConnectorFixture.enrol(plane, admin, "comgmt-bridge");
    await bridge.connect();
    const { lease, revision } = await bridge.lease(name, type);
    return new ToldSite(name, bridge, lease, revision);
  }

  /** Tells of records; `at` is when the bridge read them. */
  tell(kind: RecordKind, records: Readonly<Record<string, Facets>>, at = TOLD_AT): Promise<void> {
    const all = Object.entries(records).map(([key, facets]) => {
      this.#revision += 1;
      return told(key, this.#revision, facets, { kind, at });
    });
    return this.#bridge.inventory({ ...recordsOf(this.#lease, ...all), source: this.name });
  }

  /** A line among the events of the source. */
  event(event: string, message: string): Promise<void> {
    const entry = { type: "event", source: this.name, lease: this.#lease } as const;
    return this.#bridge.inventory({ ...entry, at: TOLD_AT, event, message });
  }

  remove(kind: RecordKind, ...keys: string[]): Promise<void> {
    this.#revision += 1;
    return this.#bridge.inventory({
      ...{ type: "deleted", source: this.name, lease: this.#lease, kind, keys },
      ...{ at: TOLD_AT, revision: this.#revision, evidence: { how: "tombstone", scans: [] } },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bridge[Symbol.asyncDispose]();
  }
}

/** Facets of a co-managed client, as the bridge reads them from SMS_R_System and the tables beside it. */
export function clientFacets(
  name: string,
  more: { identity?: Facets; stable?: Facets } = {},
): Facets {
  return {
    identity: {
      Name: name,
      SMSUniqueIdentifier: `GUID:${name}`,
      SerialNumber: `SN-${name}`,
      AADDeviceID: null,
      ...more.identity,
    },
    stable: {
      Client: 1,
      ClientVersion: "5.00.9141.1011",
      OperatingSystemNameandVersion: "Microsoft Windows NT Workstation 10.0",
      BuildExt: "10.0.22631.3007",
      Manufacturer: "Contoso",
      Model: "Laptop 5",
      AADPrimaryUserID: `${name.toLowerCase()}@corp.test`,
      MDMEnrolled: 1,
      ComgmtPolicyPresent: 1,
      CoManagementFlags: 8193 | 8 | 16,
      ...more.stable,
    },
  };
}
