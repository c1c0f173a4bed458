import { z } from "zod";
import { inventoryDiffers, lease, leaseWanted } from "./inventory-messages.ts";
import { isNestedAtMost } from "./nesting.ts";
import { siteCommandPayloads } from "./site-messages.ts";

/**
 * Every message between a connector and the control plane: the one place where the services meet. Text frames carry one
 * JSON object with a `type`; binary frames carry a batch of stream entries (`batch-frame.ts`). Readers ignore unknown
 * fields; an unknown `type` is answered with `unsupported` and the connection goes on.
 */

/** Versions of this protocol that this code speaks. */
export const PROTOCOL_VERSION = { min: 1, max: 1 } as const;

/** Our own limits on what one frame or field may hold. */
export const MAX_TEXT_FRAME_BYTES = 1_048_576;
export const MAX_BATCH_COMPRESSED_BYTES = 524_288;
export const MAX_BATCH_DECOMPRESSED_BYTES = 2_097_152;
export const MAX_BATCH_ENTRIES = 1_000;
/** One entry of a stream, as JSON. */
export const MAX_ENTRY_BYTES = 262_144;
export const MAX_STREAMS = 16;
export const MAX_FIGURES = 500;
const MAX_FACTS = 100;
/** Objects and arrays within one another, in what a message carries for others. */
export const MAX_NESTING = 64;
export const MAX_JWS_BYTES = 524_288;
/** A PFX with a chain of certificates, and an envelope around it with its password, in base64. */
export const MAX_PFX_CHARACTERS = 65_536;
export const MAX_ENVELOPE_CHARACTERS = 131_072;
/** An offset between the two clocks beyond this is unhealthy, and certificates are not signed. */
export const MAX_CLOCK_OFFSET_MS = 300_000;
/** A side that has heard nothing for this long pings; under half of common 60 s proxy timeouts. */
export const PING_INTERVAL_MS = 25_000;
/** A side that has heard nothing for this long holds the connection for dead. */
export const SILENCE_LIMIT_MS = 65_000;
/** A command's result is kept this long past the command's expiry, so that pruning never runs one again. */
export const RESULT_RETENTION_MS = 86_400_000;

const sequence = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const identifier = z.string().min(1).max(128);
/** ms since the epoch, as far as a `Date` can hold it (ECMA-262 section 21.4.1.1). */
const time = z.number().int().min(-8_640_000_000_000_000).max(8_640_000_000_000_000);
/** Any JSON, not nested deeper than every reader can write out again. */
const json = z.unknown().refine((value) => isNestedAtMost(value, MAX_NESTING), "nested too deeply");
const streamName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/);
const jws = z.string().min(1).max(MAX_JWS_BYTES);
/** Standard base64 of some octets, padded. */
const base64 = z.string().regex(/^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);
const base64url = z.string().regex(/^[A-Za-z0-9_-]{1,1024}$/);
/** An Ed25519 public key as JWK; `x` is 32 bytes. */
const publicKey = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
export type PublicKey = z.infer<typeof publicKey>;
const refusalCode = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/);
const sentence = z.string().max(1024);
const streamHeads = z
  .record(streamName, sequence)
  .refine((heads) => Object.keys(heads).length <= MAX_STREAMS, "too many streams");

export const SERVICES = ["tunnel-gateway", "cert-connector", "comgmt-bridge"] as const;
export const service = z.enum(SERVICES);
export type Service = z.infer<typeof service>;

/** All that a command can be; the final states are succeeded, failed, expired, cancelled, refused and unknown. */
export const COMMAND_STATES = [
  "queued",
  "accepted",
  "sent",
  "running",
  "succeeded",
  "failed",
  "expired",
  "cancelled",
  "refused",
  "unknown",
] as const;
export const commandState = z.enum(COMMAND_STATES);
export type CommandState = z.infer<typeof commandState>;

// --- From the control plane ---------------------------------------------------------------------------------------

/** The first frame: what the connector has to sign. `serverTimeMs` measures the clock offset, it authenticates nothing. */
const nonce = z.object({ type: z.literal("nonce"), nonce: base64url, serverTimeMs: z.number() });

const welcome = z.object({
  type: z.literal("welcome"),
  sessionNo: sequence,
  protocol: z.number().int(),
  /** The last entry of each stream that the control plane has stored. */
  lastAppliedSeq: streamHeads,
  /** The highest seq of a command that was ever handed to this connector. */
  commandSeq: sequence,
  /** In force from here on; above that of `hello` where the connector's state is behind what was seen of it. */
  epoch: sequence,
  /** How many commands may be in flight, and how many unacknowledged batch bytes. */
  credit: z.object({ commands: sequence, bytes: sequence }),
  configurationVersion: sequence,
  serverTimeMs: z.number(),
});

/** The end of an attempt, with its reason. `isFinal`: a person has to act, so come back seldom. */
const refused = z.object({
  type: z.literal("refused"),
  code: refusalCode,
  message: sentence,
  isFinal: z.boolean(),
});

/** Answer to a `command-gap`: no command has the seqs `from`..`to`. A claim, so the connector records it. */
const commandVoid = z.object({ type: z.literal("command-void"), from: sequence, to: sequence });

/** The digest of a state stream does not match what is stored: send the snapshot again. */
const stateWanted = z.object({ type: z.literal("state-wanted"), stream: streamName });

/** A compact JWS whose payload is a `signedCommand`. */
const command = z.object({ type: z.literal("command"), jws });

/** Cumulative: everything up to `seq` is stored or dead-lettered. `rejected` names the dead letters. */
const acknowledgement = z.object({
  type: z.literal("ack"),
  stream: streamName,
  seq: sequence,
  rejected: z.array(z.object({ seq: sequence, code: refusalCode })).max(MAX_BATCH_ENTRIES),
});

/** A compact JWS whose payload is a `signedConfiguration`. */
const configuration = z.object({ type: z.literal("configuration"), jws });

/** A compact JWS whose payload is a `signedAuditHead`. */
const countersigned = z.object({ type: z.literal("countersigned"), jws });

/** A compact JWS by the previous tenant key whose payload is a `signedTrust`. */
const trust = z.object({ type: z.literal("trust"), jws });

// --- From the connector ---------------------------------------------------------------------------------------------

const hello = z.object({
  type: z.literal("hello"),
  connectorId: identifier,
  bootId: identifier,
  /** The host name that was dialled, so that a signature given to one server is worth nothing at another. */
  channel: identifier,
  /** Raised whenever local state may have gone back (restored backup, `trust --reset`). */
  epoch: sequence,
  protocol: z.object({ min: z.number().int(), max: z.number().int() }),
  capabilities: z.array(z.string().max(64)).max(64),
  /** The highest seq given in each stream, and the highest of a command seen. */
  lastSeq: streamHeads,
  commandSeq: sequence,
  /** Version of the desired configuration in force; 0 without one. */
  configurationVersion: sequence.default(0),
  clockMs: z.number().min(-8_640_000_000_000_000).max(8_640_000_000_000_000),
  /** Ed25519 over `helloSigningInput`, base64url. */
  signature: base64url,
});

/** Commands `from`..`to` (inclusive) were never seen although a later one was. */
const commandGap = z.object({ type: z.literal("command-gap"), from: sequence, to: sequence });

/** Answers every delivery, and tells when a command begins; its lasting result goes up the `commands` stream. */
const commandProgress = z.object({
  type: z.literal("command-progress"),
  id: identifier,
  state: commandState,
  /** What keeps it from being run, where it is a person who has to do something. */
  waitsFor: z
    .object({ code: refusalCode, message: sentence, rule: z.string().max(256).optional() })
    .optional(),
});
export type CommandWait = NonNullable<z.infer<typeof commandProgress>["waitsFor"]>;

const configurationState = z.object({
  type: z.literal("configuration-state"),
  version: sequence,
  state: z.enum(["applied", "refused"]),
  error: z.object({ code: refusalCode, message: sentence }).optional(),
});

const auditHead = z.object({
  type: z.literal("audit-head"),
  index: sequence,
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});

/** A state stream: the whole state when its digest moved, the digest alone as a heartbeat. */
const state = z.object({
  type: z.literal("state"),
  stream: streamName,
  version: sequence,
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  snapshot: z.unknown().optional(),
});

// --- Both ways --------------------------------------------------------------------------------------------------------

const unsupported = z.object({ type: z.literal("unsupported"), of: z.string().max(64) });
/** Ping and pong as messages, for the long-poll transport that has none of its own. */
const ping = z.object({ type: z.literal("ping"), id: sequence });
const pong = z.object({ type: z.literal("pong"), id: sequence });

export const fromControlPlane = z.discriminatedUnion("type", [
  nonce,
  welcome,
  refused,
  command,
  commandVoid,
  stateWanted,
  acknowledgement,
  configuration,
  countersigned,
  trust,
  lease,
  inventoryDiffers,
  unsupported,
  ping,
  pong,
]);
export type FromControlPlane = z.infer<typeof fromControlPlane>;

export const fromConnector = z.discriminatedUnion("type", [
  hello,
  commandGap,
  commandProgress,
  configurationState,
  auditHead,
  state,
  leaseWanted,
  unsupported,
  ping,
  pong,
]);
export type FromConnector = z.infer<typeof fromConnector>;

// --- Signed payloads --------------------------------------------------------------------------------------------------

/** `typ` header of each compact JWS, so that one kind of statement can never pass for another. */
export const JWS_TYPES = {
  command: "isthmus-command+jwt",
  configuration: "isthmus-configuration+jwt",
  auditHead: "isthmus-audit-head+jwt",
  trust: "isthmus-trust+jwt",
  enrolment: "isthmus-enrolment+jwt",
  challenge: "isthmus-scep-challenge+jwt",
  approval: "isthmus-approval+jwt",
} as const;

/** What a command's JWS signs. `aud` is the connector it is for. Times are ms since the epoch. */
export const signedCommand = z.object({
  id: identifier,
  kind: z.string().regex(/^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$/),
  seq: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  aud: identifier,
  actor: z.string().min(1).max(256),
  issuedAt: time,
  notBefore: time,
  expiresAt: time,
  payload: json,
  /** Ids of commands that this one replaces; they end as `cancelled` if they have not begun. */
  supersedes: z.array(identifier).max(100).default([]),
  /** Signatures by approvers listed in the connector's guardrails: compact JWS over `signedApproval`. */
  approvals: z.array(jws).max(10).default([]),
});
export type SignedCommand = z.infer<typeof signedCommand>;

/** A second person's consent to one command, signed by an approver's key that the connector's guardrails list. */
export const signedApproval = z.object({
  commandId: identifier,
  aud: identifier,
  kind: z.string().max(128),
  /** SHA-256, hex, over the canonical JSON of the command's payload. */
  payloadSha256: z.string().regex(/^[0-9a-f]{64}$/),
  expiresAt: time,
});
export type SignedApproval = z.infer<typeof signedApproval>;

/** A desired configuration, whole; each service validates `configuration` itself. */
export const signedConfiguration = z.object({
  aud: identifier,
  version: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  service,
  issuedAt: time,
  configuration: json,
});
export type SignedConfiguration = z.infer<typeof signedConfiguration>;

/** The control plane's receipt for the head of a connector's audit chain. */
export const signedAuditHead = z.object({
  aud: identifier,
  index: sequence,
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  receivedAt: time,
});
export type SignedAuditHead = z.infer<typeof signedAuditHead>;

/** The next tenant key, signed by the present one. */
export const signedTrust = z.object({
  tenantKey: publicKey,
  notBefore: time,
});
export type SignedTrust = z.infer<typeof signedTrust>;

/** One entry of the `commands` stream: how a command ended. */
export const commandResult = z.object({
  id: identifier,
  state: commandState,
  endedAt: time,
  result: json.optional(),
  error: z
    .object({ code: refusalCode, message: sentence, rule: z.string().max(256).optional() })
    .optional(),
});
export type CommandResult = z.infer<typeof commandResult>;

/** One entry of the `issuance` stream: what happened to a certificate. */
export const issuanceEvent = z.object({
  event: z.enum(["issued", "revoked", "failed"]),
  at: time,
  transactionId: z.string().max(256),
  profileId: identifier.optional(),
  deviceId: identifier.optional(),
  userPrincipalName: z.string().max(256).optional(),
  subject: z.string().max(1024).optional(),
  serialNumber: z
    .string()
    .regex(/^[0-9a-f]{1,40}$/)
    .optional(),
  issuer: z.string().max(1024).optional(),
  notBefore: time.optional(),
  notAfter: time.optional(),
  thumbprint: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  revocationReason: z.string().max(64).optional(),
  error: z.object({ code: refusalCode, message: sentence }).optional(),
});
export type IssuanceEvent = z.infer<typeof issuanceEvent>;

/** One entry of the `audit` stream: a link of the connector's hash chain. */
export const auditEntry = z.object({
  index: sequence,
  previousHash: z.string().regex(/^[0-9a-f]{64}$/),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  at: time,
  event: z.string().max(128),
  payloadHash: z.string().regex(/^[0-9a-f]{64}$/),
  payload: json.optional(),
});
export type AuditEntry = z.infer<typeof auditEntry>;

/** The snapshot of the `health` state stream. */
export const healthSnapshot = z.object({
  service,
  version: z.string().max(64),
  startedAt: time,
  checks: z
    .array(
      z.object({
        name: z.string().max(64),
        status: z.enum(["healthy", "warning", "unhealthy", "unknown"]),
        reason: sentence,
        remedy: sentence.optional(),
      }),
    )
    .max(100),
  figures: z
    .record(z.string().max(64), z.number())
    .refine((figures) => Object.keys(figures).length <= MAX_FIGURES, "too many figures")
    .default({}),
  /** What the connector goes by and the control plane compares: words where figures are numbers. */
  facts: z
    .record(z.string().max(64), z.string().max(256))
    .refine((facts) => Object.keys(facts).length <= MAX_FACTS, "too many facts")
    .optional(),
});
export type HealthSnapshot = z.infer<typeof healthSnapshot>;

// --- Payloads of commands ---------------------------------------------------------------------------------------------

/** What a gateway knows of a device; `removed` devices are denied and cut like non-compliant ones. */
export const deviceState = z.object({
  deviceId: identifier,
  userPrincipalName: z.string().max(256).optional(),
  groups: z.array(z.string().max(128)).max(100),
  compliance: z.enum(["compliant", "noncompliant", "unknown"]),
  reason: sentence.optional(),
  removed: z.boolean().default(false),
});
export type DeviceState = z.infer<typeof deviceState>;

/** The alternative names of a certificate that somebody orders, beside those of its profile. */
export const orderedAltNames = z
  .array(
    z.object({
      type: z.enum(["uri", "dns", "email", "upn"]),
      value: z.string().min(1).max(512),
    }),
  )
  .max(20)
  .default([]);

/** Who may read a private key: a certificate that the connector issued to the device, or one that its guardrails list. */
const recipient = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("issued"),
    serialNumber: z.string().regex(/^[0-9a-f]{1,40}$/),
  }),
  z.object({ kind: z.literal("listed"), certificate: base64.max(16_384) }),
]);
export type PfxRecipient = z.infer<typeof recipient>;

/** A PFX of a user, imported: the shape of Graph's userPfxCertificate, as far as a connector needs it. */
export const importedPfx = z.object({
  /** SHA-1 of the certificate, hex. */
  thumbprint: z.string().regex(/^[0-9a-f]{40}$/),
  userPrincipalName: z.string().min(1).max(256),
  keyName: z.string().min(1).max(64),
  paddingScheme: z.enum(["oaepSha256", "oaepSha384", "oaepSha512"]),
  /** The PFX, under a password. */
  encryptedPfxBlob: base64.max(MAX_PFX_CHARACTERS),
  /** The password, encrypted to the connector's import key. */
  encryptedPfxPassword: base64.max(2_048),
});
export type ImportedPfx = z.infer<typeof importedPfx>;

/** What `certificate.pkcs` and `pfx.deliver` answer: a PFX and its password that only the device can open. */
export const pfxDelivery = z.object({
  requestId: identifier,
  deviceId: identifier,
  serialNumber: z.string().regex(/^[0-9a-f]{1,42}$/),
  /** SHA-256, hex. */
  thumbprint: z.string().regex(/^[0-9a-f]{64}$/),
  recipientThumbprint: z.string().regex(/^[0-9a-f]{64}$/),
  notAfter: time,
  /** CMS EnvelopedData, DER. */
  envelope: base64.max(MAX_ENVELOPE_CHARACTERS),
});
export type PfxDelivery = z.infer<typeof pfxDelivery>;

/** Payload schema of each command kind, per service that runs it. */
export const commandPayloads = {
  /** cert-connector: revokes one certificate; `reason` as in RFC 5280 section 5.3.1. */
  "certificate.revoke": z.object({
    serialNumber: z.string().regex(/^[0-9a-f]{1,40}$/),
    reason: z.enum([
      "unspecified",
      "keyCompromise",
      "affiliationChanged",
      "superseded",
      "cessationOfOperation",
    ]),
  }),
  /**
   * cert-connector: makes a key and a certificate for a device, and answers with a `pfxDelivery`. The same `requestId` again
   * is the same order, whichever command asks.
   */
  "certificate.pkcs": z.object({
    requestId: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
    profileId: identifier,
    deviceId: identifier,
    userPrincipalName: z.string().min(1).max(256).optional(),
    /** RFC 4514, for profiles that take the subject from who asks. */
    subject: z.string().min(1).max(1_024).optional(),
    subjectAltNames: orderedAltNames,
    recipient,
  }),
  /** cert-connector: encrypts a user's imported PFX to one of the user's devices, and answers with a `pfxDelivery`. */
  "pfx.deliver": z.object({
    requestId: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
    deviceId: identifier,
    recipient,
    format: z.enum(["legacy", "modern"]).default("modern"),
    /** The control plane's record, or the name of one that the connector itself keeps. */
    pfx: z.union([importedPfx, importedPfx.pick({ thumbprint: true, userPrincipalName: true })]),
  }),
  /** cert-connector: what became of the requests of a device, of a certificate or with a transaction id; changes nothing. */
  "certificate.trace": z
    .object({
      transactionId: z.string().min(1).max(256).optional(),
      deviceId: z.string().min(1).max(256).optional(),
      serialNumber: z
        .string()
        .regex(/^[0-9a-f]{1,42}$/)
        .optional(),
    })
    .refine(
      (asked) => Object.keys(asked).length > 0,
      "name a transaction, a device or a certificate",
    ),
  /** tunnel-gateway: devices that changed, or with `isSnapshot` all there are; `version` only grows. */
  "devices.update": z.object({
    version: sequence,
    isSnapshot: z.boolean(),
    devices: z.array(deviceState).max(2_000),
  }),
  /** tunnel-gateway: read the revocation lists again now. */
  "revocation.refresh": z.object({}),
  ...siteCommandPayloads,
  /** every service: send a full health snapshot now. */
  "health.report": z.object({}),
  /** every service, done by the link itself: what `supersedes` names ends as `cancelled`, or is asked to stop. */
  "command.cancel": z.object({}),
} as const;
export type CommandKind = keyof typeof commandPayloads;

// --- Enrolment (HTTPS, before there is a link) ------------------------------------------------------------------------

/** Where a connector enrols, and where it finds the CA that its token names. */
export const ENROLMENT_PATH = "/enrol";
export const ENROLMENT_CA_PATH = "/enrol/ca.pem";
/** Where WebSockets go; long-poll has its own path (`long-poll.ts`). */
export const LINK_PATH = "/link";

/** The readable part of an enrolment token: `isthmus1.` + base64url(JSON of this). */
export const enrolmentToken = z.object({
  url: z.string().max(2048),
  secret: base64url,
  /** RFC 7638 thumbprint of the tenant key. */
  tenantKey: base64url,
  /** SHA-256 of the DER of the CA that the control plane's TLS certificate chains to, hex; absent for a public CA. */
  caSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
});
export type EnrolmentToken = z.infer<typeof enrolmentToken>;

/** What a connector posts to `/enrol`. The same secret with the same key again gets the same answer. */
export const enrolmentRequest = z.object({
  secret: base64url,
  service,
  displayName: z.string().min(1).max(200),
  publicKey: publicKey,
  /** Ed25519 over `enrolmentSigningInput`: proof of possession. */
  signature: base64url,
});

export type EnrolmentRequest = z.infer<typeof enrolmentRequest>;

/** The control plane's answer is `{ jws }`, type `enrolment`, signed by the tenant key, with this payload. */
export const enrolmentAnswer = z.object({
  connectorId: identifier,
  /** Thumbprint of the connector's key, so that an answer to another connector cannot be replayed. */
  sub: base64url,
  tenantKey: publicKey,
  linkUrl: z.string().max(2048),
  caPem: z.string().max(65_536).optional(),
});
export type EnrolmentAnswer = z.infer<typeof enrolmentAnswer>;

/** The exact bytes a connector signs to prove its identity on a connection. */
export function helloSigningInput(of: {
  readonly nonce: string;
  readonly connectorId: string;
  readonly bootId: string;
  readonly channel: string;
}): Buffer {
  return Buffer.from(
    JSON.stringify(["isthmus-hello-1", of.nonce, of.connectorId, of.bootId, of.channel]),
  );
}

/** The exact bytes a connector signs when it enrols. */
export function enrolmentSigningInput(of: {
  readonly secret: string;
  readonly service: Service;
  readonly x: string;
}): Buffer {
  return Buffer.from(JSON.stringify(["isthmus-enrolment-1", of.secret, of.service, of.x]));
}
