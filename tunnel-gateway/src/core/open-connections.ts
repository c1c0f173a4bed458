import type { Destination } from "./destination.ts";
import type { PeerCertificate } from "./identity.ts";
import type { Refusal } from "./refusal.ts";

/** One relayed connection, as far as deciding about it goes. */
export interface OpenConnection {
  readonly id: string;
  readonly deviceId: string;
  readonly userPrincipalName: string | undefined;
  readonly certificate: PeerCertificate;
  readonly destination: Destination;
  /** The policy rule that allowed it. */
  readonly rule: string;
  readonly openedAt: number;
  /** Ends it now, both ways, without a clean end that could pass for the end of the data. */
  cut(refusal: Refusal): void;
}

/** The open connections, found by device and by certificate. */
export class OpenConnections<Connection extends OpenConnection = OpenConnection> {
  readonly #all = new Map<string, Connection>();
  readonly #byDevice = new Map<string, Set<Connection>>();
  readonly #byCertificate = new Map<string, Set<Connection>>();

  get size(): number {
    return this.#all.size;
  }

  add(connection: Connection): void {
    this.#all.set(connection.id, connection);
    insert(this.#byDevice, connection.deviceId, connection);
    insert(this.#byCertificate, connection.certificate.key, connection);
  }

  remove(connection: Connection): void {
    this.#all.delete(connection.id);
    erase(this.#byDevice, connection.deviceId, connection);
    erase(this.#byCertificate, connection.certificate.key, connection);
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

  /** Keys of the certificates under which connections are open. */
  certificates(): PeerCertificate[] {
    return [...this.#byCertificate.values()].flatMap((connections) => {
      const [first] = connections;
      return first ? [first.certificate] : [];
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
