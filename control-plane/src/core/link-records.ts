import type {
  CommandState,
  CommandWait,
  FromConnector,
  FromControlPlane,
  Service,
} from "@isthmus/shared/link/messages";

/** What the link endpoint asks of the store and gets. Times are ms since the epoch, offsets are in ms. */

/** Names one session of one connector: each write checks that it is still the present one. */
export interface SessionKey {
  readonly connectorId: string;
  readonly sessionNo: number;
}

export interface EnrolmentClaim {
  /** SHA-256 of the token's secret, hex. */
  readonly secretHash: string;
  readonly service: Service;
  readonly displayName: string;
  readonly publicKeyX: string;
  /** Id that the connector gets unless this very claim was answered before. */
  readonly newConnectorId: string;
  readonly now: number;
}

export type EnrolmentOutcome =
  | { readonly connectorId: string; readonly refusal?: never }
  | { readonly connectorId?: never; readonly refusal: Refusal };

/** Why a connector is turned away; `isFinal` tells it that a person has to act first. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly isFinal: boolean;
}

export interface ConnectorIdentity {
  readonly publicKeyX: string;
  readonly service: Service;
  readonly refusal: Refusal | undefined;
}

/** What a connector says of its own state when it connects. */
export interface ConnectorClaim {
  readonly connectorId: string;
  readonly bootId: string;
  readonly epoch: number;
  readonly lastSeq: Readonly<Record<string, number>>;
  readonly commandSeq: number;
  readonly configurationVersion: number;
  readonly clockOffsetMs: number;
  readonly now: number;
}

export interface Admission {
  readonly sessionNo: number;
  readonly epoch: number;
  readonly lastAppliedSeq: Readonly<Record<string, number>>;
  readonly commandSeq: number;
  readonly configurationVersion: number;
  /** Whether this connector was never connected before. */
  readonly isFirst: boolean;
  /** Whether its state was behind what had been seen of it. */
  readonly isRestored: boolean;
}

export type AdmissionOutcome =
  | { readonly admission: Admission; readonly refusal?: never }
  | { readonly admission?: never; readonly refusal: Refusal };

export interface Quarantine {
  readonly connectorId: string;
  readonly reason: string;
  readonly now: number;
}

export interface Sighting extends SessionKey {
  readonly at: number;
}

export interface IncomingBatch extends SessionKey {
  readonly stream: string;
  readonly firstSeq: number;
  readonly entryCount: number;
  readonly isAfterPruned: boolean;
  /** zstd of JSON texts, one a line, of `rawBytes` octets: the store opens it, on the thread where it is read. */
  readonly compressed: Uint8Array;
  readonly rawBytes: number;
  readonly now: number;
}

export interface IngestOutcome {
  /** Everything up to here is stored or dead-lettered. */
  readonly seq: number;
  readonly rejected: readonly { readonly seq: number; readonly code: string }[];
  /** Commands that ended with this batch. */
  readonly endedCommands: readonly string[];
  /** Whether commands were queued that wait for a signature. */
  readonly hasNewCommands: boolean;
  /** Actions at sites of which something new is known. */
  readonly changedActions: readonly string[];
  /** What the bridge is asked about records that are missing or other here. */
  readonly differences: readonly Extract<FromControlPlane, { type: "inventory-differs" }>[];
}

/** A bridge would read a source, or goes on reading it. */
export interface LeaseClaim
  extends SessionKey,
    Omit<Extract<FromConnector, { type: "lease-wanted" }>, "type"> {
  readonly now: number;
}

export interface DeliveryRequest extends SessionKey {
  /** Commands up to this seq were handed over on this session. */
  readonly afterSeq: number;
  readonly limit: number;
  readonly now: number;
}

export interface SignedDelivery {
  readonly id: string;
  readonly seq: number;
  readonly jws: string;
}

export interface GapRequest extends SessionKey {
  readonly from: number;
  readonly to: number;
  readonly limit: number;
}

/** The first commands of a gap, and the seqs among them that no command has. */
export interface GapAnswer {
  readonly deliveries: readonly SignedDelivery[];
  readonly voids: readonly { readonly from: number; readonly to: number }[];
  /** Where the rest of the gap begins; undefined when the answer is whole. */
  readonly restFrom: number | undefined;
}

export interface CommandProgress extends SessionKey {
  readonly id: string;
  readonly state: CommandState;
  /** What keeps it from being run. */
  readonly waitsFor?: CommandWait | undefined;
  readonly now: number;
}

export interface ConfigurationReport extends SessionKey {
  readonly version: number;
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly now: number;
}

export interface SignedDesiredConfiguration {
  readonly version: number;
  readonly jws: string;
}

export interface AuditHeadClaim extends SessionKey {
  readonly index: number;
  readonly hash: string;
  readonly now: number;
}

/** `countersign` unless the head contradicts what was seen before in the same epoch. */
export type AuditHeadVerdict = "countersign" | "known" | "fork";

export interface HealthReport extends SessionKey {
  readonly digest: string;
  /** JSON of the snapshot; undefined for a heartbeat. */
  readonly snapshot: string | undefined;
  readonly now: number;
}
