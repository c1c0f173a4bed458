import type { Refusal, Sighting } from "../core/link-records.ts";

/** A connection as the registry sees it. */
export interface RegisteredConnection {
  /** Whether the other side answers within a few seconds. */
  isAlive(): Promise<boolean>;
  wake(): void;
  /** Looks at its deadlines. */
  tick(nowMs: number): void;
  close(): void;
  /** Says why, and closes. */
  refuse(refusal: Refusal): void;
  readonly sighting: Sighting | undefined;
}

/** Every connection there is, and which of them speaks for a connector. */
export class SessionRegistry {
  readonly #connections = new Set<RegisteredConnection>();
  readonly #byConnector = new Map<string, RegisteredConnection>();
  readonly #admitting = new Set<string>();
  #greeting = 0;

  /** Connections that have not said who they are, or are being admitted. */
  get greetingCount(): number {
    return this.#greeting;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get sessionCount(): number {
    return this.#byConnector.size;
  }

  add(connection: RegisteredConnection): void {
    this.#connections.add(connection);
    this.#greeting += 1;
  }

  /** Marks the begin of an admission; false while another of the same connector is under way. */
  beginAdmission(connectorId: string): boolean {
    if (this.#admitting.has(connectorId)) return false;
    this.#admitting.add(connectorId);
    return true;
  }

  endAdmission(connectorId: string): void {
    this.#admitting.delete(connectorId);
  }

  sessionOf(connectorId: string): RegisteredConnection | undefined {
    return this.#byConnector.get(connectorId);
  }

  open(connectorId: string, connection: RegisteredConnection): void {
    if (!this.#connections.has(connection)) return;
    this.#greeting -= 1;
    this.#byConnector.set(connectorId, connection);
  }

  /** Forgets a connection; `connectorId` where it had been opened. */
  remove(connection: RegisteredConnection, connectorId: string | undefined): void {
    if (!this.#connections.delete(connection)) return;
    if (connectorId === undefined) this.#greeting -= 1;
    else if (this.#byConnector.get(connectorId) === connection) {
      this.#byConnector.delete(connectorId);
    }
  }

  tick(nowMs: number): void {
    for (const connection of this.#connections) connection.tick(nowMs);
  }

  sightings(): Sighting[] {
    const all = [...this.#byConnector.values()].map((connection) => connection.sighting);
    return all.filter((sighting) => sighting !== undefined);
  }

  closeAll(): void {
    for (const connection of this.#connections) connection.close();
  }
}
