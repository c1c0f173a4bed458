import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";

/**
 * Handshakes under way at once. When 10,000 connectors come back together, a node that begins every handshake at once
 * finishes none before the clients give up; with a few at a time each takes milliseconds and the rest wait their turn.
 */
const PLACES = 64;
/** More waiting connections than this are closed at once; the connectors' back-off brings them again. */
const MAX_WAITING = 20_000;
/** A client that does not finish its handshake in this time gives its place to the next. */
const HANDSHAKE_MS = 10_000;

/**
 * Bounds the TLS handshakes that a server has under way. A connection takes a place once its client has spoken; those that
 * wait go in by turns of their addresses, and one address has half of the places at most, so that nobody keeps the others
 * out by beginning handshakes and not ending them.
 */
export class HandshakeGate implements Disposable {
  readonly #places: number;
  /** By address; the address whose turn is next stands first. */
  readonly #waiting = new Map<string, Set<Socket>>();
  #waitingCount = 0;
  /** By remote address and port, which name one connection for as long as it is open. */
  readonly #underWay = new Map<string, () => void>();
  readonly #underWayOf = new Map<string, number>();
  #begin: (socket: Socket) => void = () => undefined;

  constructor(places = PLACES) {
    this.#places = places;
  }

  /** Puts the gate between the server's listener and its handshakes. To be called once, before the first connection. */
  guard(server: Server): void {
    const begin = server.listeners("connection") as ((socket: Socket) => void)[];
    server.removeAllListeners("connection");
    this.#begin = (socket) => {
      for (const listener of begin) listener.call(server, socket);
    };
    server.on("connection", (socket: Socket) => this.#arrive(socket));
    const leave = (socket: TLSSocket) => this.#underWay.get(nameOf(socket))?.();
    server.on("secureConnection", leave);
    server.on("tlsClientError", (_error, socket) => leave(socket));
  }

  /** Connections whose clients have spoken and have no place yet. */
  get waiting(): number {
    return this.#waitingCount;
  }

  #arrive(socket: Socket): void {
    // Until the handshake begins nobody else hears of its end.
    socket.on("error", ignore);
    const silent = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    silent.unref();
    socket.once("close", () => clearTimeout(silent));
    socket.once("readable", () => {
      clearTimeout(silent);
      this.#queue(socket);
    });
  }

  #queue(socket: Socket): void {
    if (this.#waitingCount >= MAX_WAITING) {
      socket.destroy();
      return;
    }
    const address = addressOf(socket);
    const queue = this.#waiting.get(address) ?? new Set();
    this.#waiting.set(address, queue.add(socket));
    this.#waitingCount += 1;
    socket.once("close", () => this.#forget(socket, address));
    this.#admit();
  }

  #forget(socket: Socket, address: string): void {
    const queue = this.#waiting.get(address);
    if (queue?.delete(socket) !== true) return;
    this.#waitingCount -= 1;
    if (queue.size === 0) this.#waiting.delete(address);
  }

  #admit(): void {
    while (this.#underWay.size < this.#places) {
      const next = this.#next();
      if (next === undefined) return;
      const [address, queue, socket] = next;
      this.#forget(socket, address);
      // Its address comes last now.
      if (this.#waiting.delete(address)) this.#waiting.set(address, queue);
      this.#enter(socket, address);
    }
  }

  #next(): [string, Set<Socket>, Socket] | undefined {
    const most = Math.max(1, Math.floor(this.#places / 2));
    for (const [address, queue] of this.#waiting) {
      const [socket] = queue;
      const isFull = (this.#underWayOf.get(address) ?? 0) >= most;
      if (socket !== undefined && !isFull) return [address, queue, socket];
    }
    return undefined;
  }

  #enter(socket: Socket, address: string): void {
    const name = nameOf(socket);
    const leave = () => {
      clearTimeout(timer);
      socket.off("close", leave);
      if (this.#underWay.get(name) !== leave) return;
      this.#underWay.delete(name);
      this.#count(address, -1);
      this.#admit();
    };
    const timer = setTimeout(() => {
      socket.destroy();
      leave();
    }, HANDSHAKE_MS);
    timer.unref();
    this.#underWay.set(name, leave);
    this.#count(address, 1);
    socket.once("close", leave);
    socket.off("error", ignore);
    this.#begin(socket);
  }

  #count(address: string, by: 1 | -1): void {
    const count = (this.#underWayOf.get(address) ?? 0) + by;
    if (count === 0) this.#underWayOf.delete(address);
    else this.#underWayOf.set(address, count);
  }

  /** Closes what still waits. */
  [Symbol.dispose](): void {
    for (const queue of this.#waiting.values()) {
      for (const socket of queue) socket.destroy();
    }
  }
}

function addressOf({ remoteAddress }: Socket): string {
  return remoteAddress ?? "";
}

function nameOf(socket: Socket): string {
  return `${addressOf(socket)} ${socket.remotePort}`;
}

function ignore(): void {}
