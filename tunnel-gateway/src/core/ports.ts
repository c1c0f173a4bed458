import type { Device } from "./device.ts";
import type { PeerCertificate } from "./identity.ts";
import type { IpAddress } from "./ip-address.ts";
import type { OpenRelay } from "./open-connections.ts";
import type { Refusal } from "./refusal.ts";

/** Turns a host name into addresses. */
export interface Resolver {
  /** Every address of `name`, at least one. Throws `ConnectorError` with code `dns-not-found`, `dns-timeout` or `dns-failed`. */
  resolve(name: string, signal: AbortSignal): Promise<readonly IpAddress[]>;
}

/** Fetches what certification authorities publish about revocations. */
export interface RevocationSource {
  /** A certificate revocation list from `http:`, `https:` or `file:`, DER or PEM as it stands there. */
  fetchList(url: URL, signal: AbortSignal): Promise<Uint8Array>;
  /** The DER of an OCSP answer to the DER of a request. */
  askResponder(url: URL, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/** One change of device states, as the cloud sent it. */
export interface DeviceUpdate {
  /** Only grows; a device keeps the version that last spoke of it. */
  readonly version: number;
  /** Whether `devices` are all there are. */
  readonly isSnapshot: boolean;
  readonly devices: readonly Device[];
}

/** What an update did. */
export interface DeviceChanges {
  /** False for an update that newer ones had made superfluous. */
  readonly isApplied: boolean;
  readonly changed: readonly Device[];
  /** Devices that a snapshot no longer had. */
  readonly forgotten: readonly string[];
}

/** Asks what only a responder can say. */
export interface RevocationAsker {
  /** Fetches a fresh OCSP answer about a certificate; what goes wrong leaves the former answer in force. */
  ask(certificate: PeerCertificate): Promise<void>;
}

/** Bounds on relayed connections, from the desired configuration. */
export interface RelayLimits {
  readonly connections: number;
  readonly connectionsPerDevice: number;
  readonly idleMs: number;
  readonly halfClosedIdleMs: number;
  readonly connectMs: number;
}

/** Why a relayed connection ended; a closed set, fit for a metric label. */
export type RelayEnd = "complete" | "device-error" | "target-error" | "idle" | "cut";

export interface RelayedConnection extends OpenRelay {
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** What became of a request that was refused. */
export interface RefusedRequest {
  /** From a closed set. */
  readonly code: string;
  readonly rule: string | undefined;
  readonly deviceId: string | undefined;
  readonly userPrincipalName: string | undefined;
  /** As the client named it. */
  readonly destination: string;
  /** What went wrong, where it was a fault of ours. */
  readonly cause?: unknown;
}

/** Is told what happens on the relay, for logs, metrics and the audit. */
export interface RelayObserver {
  opened(connection: RelayedConnection, connectMs: number): void;
  /** `refusal` is why it was cut. */
  closed(connection: RelayedConnection, end: RelayEnd, refusal: Refusal | undefined): void;
  refused(request: RefusedRequest): void;
}

/** Keeps verified revocation lists across restarts. */
export interface RevocationStore {
  load(): Promise<readonly KeptList[]>;
  put(list: KeptList & { readonly number: string; readonly entries: number }): Promise<void>;
  confirm(issuerId: string, confirmedAt: number): Promise<void>;
}

export interface KeptList {
  readonly issuerId: string;
  /** Name of the trust anchor that the issuer belongs to. */
  readonly anchor: string;
  readonly der: Uint8Array;
  /** When a source last served it, ms since the epoch. */
  readonly confirmedAt: number;
}

/** Where one trust anchor's revocations are published. */
export interface RevocationPlaces {
  readonly anchor: string;
  readonly lists: readonly URL[];
  readonly responder: URL | undefined;
}

/** Keeps device states across restarts. */
export interface DeviceStore {
  load(): Promise<{ readonly source: DeviceSource; readonly devices: readonly Device[] }>;
  update(update: DeviceUpdate, at: number): Promise<DeviceChanges>;
  noteRefused(refused: RefusedUpdate, at: number): Promise<void>;
  noteContact(at: number): Promise<void>;
}

/** What is known of the cloud's device states as a whole. */
export interface DeviceSource {
  /** The highest version applied; 0 before the first. */
  readonly version: number;
  /** When the cloud last stood by the states, ms since the epoch. */
  readonly confirmedAt: number | undefined;
  /** An update that a guardrail refused and nothing has made good since; the states are known to lack it. */
  readonly refusedVersion: number | undefined;
}

export interface RefusedUpdate {
  readonly version: number;
  readonly rule: string;
  /** Open connections that it would have ended. */
  readonly sessions: number;
}
