import type { Destination } from "./destination.ts";
import type { PeerCertificate } from "./identity.ts";
import type { Refusal } from "./refusal.ts";

/** Something that a device or user has open through the gateway, as far as deciding about it goes. */
export type OpenConnection = OpenRelay | OpenSession;

interface Open {
  readonly id: string;
  readonly userPrincipalName: string | undefined;
  readonly openedAt: number;
  /** Ends it now, both ways, without a clean end that could pass for the end of the data. */
  cut(refusal: Refusal): void;
}

/** One relayed connection. */
export interface OpenRelay extends Open {
  readonly kind: "relay";
  readonly deviceId: string;
  readonly certificate: PeerCertificate;
  readonly destination: Destination;
  /** The policy rule that allowed it. */
  readonly rule: string;
}

/** One session of the VPN: its packets are judged one by one, it is judged by who holds it. */
export interface OpenSession extends Open {
  readonly kind: "session";
  /** Undefined for a user whose device does not count. */
  readonly deviceId: string | undefined;
  readonly certificate: PeerCertificate | undefined;
  /** The VPN's group that it was opened in, and the groups that the authenticators vouched for. */
  readonly group: string;
  readonly userGroups: readonly string[];
  /** It was judged again and goes on; what its packets may do may be something else now. */
  refresh(): void;
}

/** What is open, found by device and by certificate. */
export class OpenConnections<Connection extends OpenConnection = OpenConnection> {
  readonly #all = new Map<string, Connection>();
  readonly #byDevice = new Map<string, Set<Connection>>();
  readonly #byCertificate = new Map<string, Set<Connection>>();

  get size(): number {
    return this.#all.size;
  }

  add(connection: Connection): void {
    this.#all.set(connection.id, connection);
    const { deviceId, certificate } = connection;
    if (deviceId !== undefined) insert(this.#byDevice, deviceId, connection);
    if (certificate) insert(this.#byCertificate, certificate.key, connection);
  }

  remove(connection: Connection): void {
    this.#all.delete(connection.id);
    const { deviceId, certificate } = connection;
    if (deviceId !== undefined) erase(this.#byDevice, deviceId, connection);
    if (certificate) erase(this.#byCertificate, certificate.key, connection);
  }

  /** A copy, so that the caller may cut what it walks over. */
  all(): Connection[] {
    return [...this.#all.values()];
  }

  ofDevice(deviceId: string): Connection[] {
    return [...(this.#byDevice.get(deviceId) ?? [])];
  }

  /** Connections under one certificate, by `PeerCertificate.key`. */
  ofCertificate(key: string): Connection[] {
    return [...(this.#byCertificate.get(key) ?? [])];
  }

  /** The certificates under which connections are open. */
  certificates(): PeerCertificate[] {
    return [...this.#byCertificate.values()].flatMap((connections) => {
      const [first] = connections;
      return first?.certificate ? [first.certificate] : [];
    });
  }
}

function insert<T>(index: Map<string, Set<T>>, key: string, value: T): void {
  const values = index.get(key);
  if (values) values.add(value);
  else index.set(key, new Set([value]));
}

function erase<T>(index: Map<string, Set<T>>, key: string, value: T): void {
  const values = index.get(key);
  values?.delete(value);
  if (values?.size === 0) index.delete(key);
}
