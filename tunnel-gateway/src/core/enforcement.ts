import type { AccessControl } from "./access.ts";
import type { DeviceDirectory } from "./device.ts";
import type { OpenConnection, OpenConnections } from "./open-connections.ts";
import type { Refusal } from "./refusal.ts";

/** A connection that was cut, and why. */
export interface Cut {
  readonly connection: OpenConnection;
  readonly refusal: Refusal;
}

/** What is open, of one kind or of several. */
export type Open = Pick<OpenConnections, "all" | "ofDevice" | "ofCertificate">;

/** Ends open connections that the present rules, states and revocations no longer allow. */
export class Enforcement {
  readonly #access: AccessControl;
  readonly #connections: Open;
  readonly #onCut: (cuts: readonly Cut[]) => void;

  constructor(options: {
    readonly access: AccessControl;
    readonly connections: Open;
    /** Called once for all connections of one act. */
    readonly onCut: (cuts: readonly Cut[]) => void;
  }) {
    this.#access = options.access;
    this.#connections = options.connections;
    this.#onCut = options.onCut;
  }

  /** After rules, trust anchors, surroundings or the age of device states changed. */
  all(): number {
    return this.#enforce(this.#connections.all());
  }

  /** From time to time, for what time alone changes: cheap enough for every second and many connections. */
  expired(now: number): number {
    const all = this.#connections.all();
    return this.#enforce(
      all.filter(({ certificate }) => certificate && certificate.notAfter < now),
    );
  }

  /** After the states of these devices changed. */
  devices(deviceIds: Iterable<string>): number {
    return this.#enforce([...deviceIds].flatMap((id) => this.#connections.ofDevice(id)));
  }

  /** After these certificates were revoked; `PeerCertificate.key`. */
  certificates(keys: Iterable<string>): number {
    return this.#enforce([...keys].flatMap((key) => this.#connections.ofCertificate(key)));
  }

  /** Ends every connection of a device, whatever the rules say. */
  cutDevice(deviceId: string, refusal: Refusal): number {
    const connections = this.#connections.ofDevice(deviceId);
    return this.#cut(connections.map((connection) => ({ connection, refusal })));
  }

  /** How many open connections of the touched devices would end under other device states. */
  previewDevices(devices: DeviceDirectory, touched: readonly string[] | "all"): number {
    const connections =
      touched === "all"
        ? this.#connections.all()
        : touched.flatMap((deviceId) => this.#connections.ofDevice(deviceId));
    return count(connections, (connection) => this.#access.rejudge(connection, devices));
  }

  /** How many open connections would end under other rules and device states. */
  previewRules(access: AccessControl, devices: DeviceDirectory): number {
    return count(this.#connections.all(), (connection) => access.rejudge(connection, devices));
  }

  #enforce(connections: readonly OpenConnection[]): number {
    return this.#cut(
      connections.flatMap((connection) => {
        const refusal = this.#access.rejudge(connection);
        if (!refusal && connection.kind === "session") connection.refresh();
        return refusal ? [{ connection, refusal }] : [];
      }),
    );
  }

  #cut(cuts: readonly Cut[]): number {
    if (cuts.length === 0) return 0;
    for (const { connection, refusal } of cuts) connection.cut(refusal);
    this.#onCut(cuts);
    return cuts.length;
  }
}

function count(
  connections: readonly OpenConnection[],
  judge: (connection: OpenConnection) => Refusal | undefined,
): number {
  return connections.filter((connection) => judge(connection) !== undefined).length;
}

/** Two kinds as one. */
export function bothOf(one: Open, other: Open): Open {
  return {
    all: () => [...one.all(), ...other.all()],
    ofDevice: (deviceId) => [...one.ofDevice(deviceId), ...other.ofDevice(deviceId)],
    ofCertificate: (key) => [...one.ofCertificate(key), ...other.ofCertificate(key)],
  };
}
