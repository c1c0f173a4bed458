import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { AccessControl } from "../core/access.ts";
import type { Destination } from "../core/destination.ts";
import type { Device } from "../core/device.ts";
import type { PeerCertificate } from "../core/identity.ts";
import { type IpAddress, parseAddress } from "../core/ip-address.ts";
import type { OpenConnections } from "../core/open-connections.ts";
import type { PeerCertificates } from "../core/peer-certificates.ts";
import type {
  RelayEnd,
  RelayedConnection,
  RelayLimits,
  RelayObserver,
  Resolver,
  RevocationAsker,
} from "../core/ports.ts";
import type { Refusal } from "../core/refusal.ts";
import type { Authority } from "../protocol/authority.ts";
import type { ConnectRequest } from "./connect-front.ts";
import { ReadBuffers } from "./read-buffers.ts";
import { responseTo, responseToFailure } from "./refusal-response.ts";
import { Relay } from "./relay.ts";
import { connectTarget, type TargetConnection } from "./target-connection.ts";

export interface RelayServiceOptions {
  readonly access: AccessControl;
  readonly connections: OpenConnections<RelayedConnection>;
  readonly resolver: Resolver;
  readonly revocation: RevocationAsker;
  readonly observer: RelayObserver;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Both may change while requests are under way. */
  readonly peers: () => PeerCertificates;
  readonly limits: () => RelayLimits;
}

/** A refusal on its way out of the steps below; never leaves this file. */
class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.code);
    this.refusal = refusal;
  }
}

/** What is known of a request so far, for the log of its refusal. */
interface Progress {
  certificate?: PeerCertificate;
  device?: Device;
}

const SWEEP_MS = 1_000;

/**
 * Serves CONNECT requests: who asks, may they, where to, may they go there; then connects and relays. Every step that
 * waits is followed by a judgement of what may have changed meanwhile.
 */
export class RelayService implements Disposable {
  readonly #options: RelayServiceOptions;
  readonly #buffers = new ReadBuffers();
  readonly #relays = new Map<string, Relay>();
  /** Connections open or being opened, by device, for the limits. */
  readonly #slots = new Map<string, number>();
  readonly #sweeper: NodeJS.Timeout;
  #slotCount = 0;

  constructor(options: RelayServiceOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeper);
  }

  /** Serves one request to its end; never throws. */
  async serve(request: ConnectRequest): Promise<void> {
    const progress: Progress = {};
    const gone = new AbortController();
    const { socket } = request;
    socket.once("close", () => gone.abort());
    try {
      await this.#open(request, progress, gone.signal);
    } catch (error) {
      this.#refuse(request, progress, error);
    }
  }

  async #open(request: ConnectRequest, progress: Progress, signal: AbortSignal): Promise<void> {
    const { socket, authority } = request;
    const startedAt = this.#options.clock.now();
    const certificate = this.#identify(request);
    progress.certificate = certificate;
    const { access } = this.#options;
    if (access.needsAnswer(certificate)) await this.#options.revocation.ask(certificate);
    const { device, refusal } = access.admit(certificate);
    if (refusal) throw new Refused(refusal);
    progress.device = device;
    request.accept();
    if (signal.aborted) throw clientGone();
    const release = this.#takeSlot(device.deviceId);
    socket.once("close", release);
    const addresses = await this.#allowedAddresses(device, authority, signal);
    const { port } = authority;
    const { connectMs: timeoutMs } = this.#options.limits();
    const dial = { addresses, port, timeoutMs, buffers: this.#buffers, signal };
    const { target, address } = await connectTarget(dial);
    try {
      if (signal.aborted) throw clientGone();
      const destination = { name: nameOf(authority), address, port };
      this.#start({ request, certificate, device, destination, target, startedAt });
    } catch (error) {
      target.socket.destroy();
      throw error;
    }
  }

  #identify(request: ConnectRequest): PeerCertificate {
    if (!request.certificate) throw clientGone();
    const { certificate, refusal } = this.#options.peers().read(request.certificate);
    if (refusal) throw new Refused(refusal);
    return certificate;
  }

  /** The addresses of a target that may be connected to; one forbidden among them spoils all: that is how rebinding looks. */
  async #allowedAddresses(
    device: Device,
    authority: Authority,
    signal: AbortSignal,
  ): Promise<readonly IpAddress[]> {
    const { access } = this.#options;
    const name = nameOf(authority);
    if (name !== undefined) {
      const refusal = access.judgeName(device, name, authority.port);
      if (refusal) throw new Refused(refusal);
    }
    const addresses = await this.#addressesOf(authority, signal);
    const verdicts = addresses.map((address) => ({
      address,
      ...access.judgeDestination(device, { name, address, port: authority.port }),
    }));
    const forbidden = verdicts.find(({ refusal }) => refusal?.code === "egress-forbidden");
    const allowed = verdicts.filter(({ refusal }) => refusal === undefined);
    const refusal = forbidden?.refusal ?? (allowed.length === 0 ? verdicts[0]?.refusal : undefined);
    if (refusal) throw new Refused(refusal);
    return allowed.map(({ address }) => address);
  }

  async #addressesOf(authority: Authority, signal: AbortSignal): Promise<readonly IpAddress[]> {
    const literal = parseAddress(authority.host);
    if (literal) return [literal];
    const timeout = AbortSignal.timeout(this.#options.limits().connectMs);
    return this.#options.resolver.resolve(authority.host, AbortSignal.any([signal, timeout]));
  }

  #start(of: {
    readonly request: ConnectRequest;
    readonly certificate: PeerCertificate;
    readonly device: Device;
    readonly destination: Destination;
    readonly target: TargetConnection;
    readonly startedAt: number;
  }): void {
    const { request, certificate, device, destination, target, startedAt } = of;
    const { socket, head } = request;
    const { access, connections, observer, clock } = this.#options;
    const { rule, refusal } = access.judgeDestination(device, destination);
    if (refusal) throw new Refused(refusal);
    const id = this.#options.newId();
    let cutBy: Refusal | undefined;
    const connection: RelayedConnection = {
      kind: "relay",
      id,
      deviceId: device.deviceId,
      userPrincipalName: device.userPrincipalName ?? certificate.identity.userPrincipalName,
      certificate,
      destination,
      rule,
      openedAt: clock.now(),
      cut: (reason) => {
        cutBy ??= reason;
        relay.cut();
      },
      get bytesUp() {
        return relay.bytesUp;
      },
      get bytesDown() {
        return relay.bytesDown;
      },
    };
    const changed = access.rejudge(connection);
    if (changed) throw new Refused(changed);
    request.establish();
    const onEnd = (end: RelayEnd) => {
      this.#relays.delete(id);
      connections.remove(connection);
      observer.closed(connection, end, cutBy);
    };
    const relay = new Relay({
      device: socket,
      resetDevice: request.reset,
      wasDeviceCut: request.wasCut,
      target,
      head,
      now: performance.now(),
      onEnd,
    });
    this.#relays.set(id, relay);
    connections.add(connection);
    observer.opened(connection, clock.now() - startedAt);
  }

  #takeSlot(deviceId: string): () => void {
    const { connections, connectionsPerDevice } = this.#options.limits();
    const ofDevice = this.#slots.get(deviceId) ?? 0;
    if (this.#slotCount >= connections) throw new Refused(limited("connections", connections));
    if (ofDevice >= connectionsPerDevice) {
      throw new Refused(limited("connectionsPerDevice", connectionsPerDevice));
    }
    this.#slotCount += 1;
    this.#slots.set(deviceId, ofDevice + 1);
    return () => {
      this.#slotCount -= 1;
      const left = (this.#slots.get(deviceId) ?? 1) - 1;
      if (left === 0) this.#slots.delete(deviceId);
      else this.#slots.set(deviceId, left);
    };
  }

  #refuse(request: ConnectRequest, progress: Progress, error: unknown): void {
    const { authority } = request;
    const refusal = error instanceof Refused ? error.refusal : undefined;
    const code = refusal?.code ?? codeOf(error);
    this.#options.observer.refused({
      code,
      rule: refusal?.rule,
      deviceId: progress.device?.deviceId ?? progress.certificate?.identity.deviceId,
      userPrincipalName: progress.certificate?.identity.userPrincipalName,
      destination: `${authority.host}:${authority.port}`,
      ...(code === "internal" ? { cause: error } : {}),
    });
    const message = error instanceof Error ? error.message : "";
    request.refuse(refusal ? responseTo(refusal) : responseToFailure(code, message));
  }

  #sweep(): void {
    const { idleMs, halfClosedIdleMs } = this.#options.limits();
    const now = performance.now();
    for (const relay of this.#relays.values()) relay.sweep(now, idleMs, halfClosedIdleMs);
  }
}

function nameOf(authority: Authority): string | undefined {
  return authority.kind === "name" ? authority.host : undefined;
}

/** Its socket has closed: no event will say so again. */
function clientGone(): ConnectorError {
  return new ConnectorError("connect-failed", "the client has gone");
}

function limited(key: string, most: number): Refusal {
  const rule = `limits/${key}`;
  return { code: "limit-connections", rule, message: `more than ${most} connections at once` };
}
