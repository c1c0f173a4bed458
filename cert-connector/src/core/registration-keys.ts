import type { SigningKey } from "@isthmus/shared/x509/signing-key";

/**
 * The keys of SCEP's registration authority (RA) over time. Devices encrypt to the RA's certificate and check that it
 * signed the answer, and some keep it for days: so the next key is published before the present one ends, and the one
 * before it is accepted for a while after.
 *
 *     made --(every replica has it)--> published --(a successor is published)--> accepted until --> gone
 *
 * GetCACert gives the certificate that was published last; an envelope to any other that is kept is opened, and answered
 * by the key it was sealed to.
 */
export interface StoredRegistrationKey {
  /** SHA-256 of the certificate, hex. */
  readonly id: string;
  /** DER. */
  readonly certificate: Uint8Array;
  /** Which custody can load it: one of `RegistrationKeyCustody.kind`. */
  readonly custody: string;
  /** What the custody needs to find or open the private key, e.g. encrypted PKCS#8 or a label; never the bare key. */
  readonly material: string;
  /** ms, as all times. */
  readonly madeAt: number;
  /** Undefined until every replica has it. */
  readonly publishedAt: number | undefined;
  /** Undefined while no successor is published. */
  readonly acceptedUntil: number | undefined;
  readonly notAfter: number;
}

/** Where keys are kept: the ledger's database, which replicas share and backups hold. */
export interface RegistrationKeyStore {
  /** All that are kept, oldest first. */
  list(): Promise<readonly StoredRegistrationKey[]>;
  /** Keeps a key. Where another that is not published waits already, that one stays: returns which one did. */
  add(key: StoredRegistrationKey): Promise<StoredRegistrationKey>;
  /** Publishes a key; those published before are accepted until `acceptOthersUntil` at most. Again it changes nothing. */
  publish(of: {
    readonly id: string;
    readonly at: number;
    readonly acceptOthersUntil: number;
  }): Promise<void>;
  /** Forgets what is accepted no more. */
  removeExpired(at: number): Promise<void>;
  /** Says that this process can use the key. */
  hold(id: string): Promise<void>;
  /** Whether every process that serves now can use the key. One that runs alone is all of them. */
  isHeldByAll(id: string): Promise<boolean>;
}

/** Makes and loads private keys: in encrypted PKCS#8, or in a hardware module. */
export interface RegistrationKeyCustody {
  readonly kind: string;
  /** A new RSA key and its certificate by the issuing CA (RFC 8894 section 2.1.2, and what Windows wants of it). */
  make(now: number): Promise<{ readonly certificate: Buffer; readonly material: string }>;
  /** Throws ConnectorError `key-unavailable` (retryable), `key-unreadable`. */
  load(stored: Pick<StoredRegistrationKey, "id" | "certificate" | "material">): Promise<SigningKey>;
}

const DAY_MS = 86_400_000;
/** A successor is made this long before the end, or when a fifth of the validity is left if that is less. */
const RENEW_BEFORE_MS = 60 * DAY_MS;
const RENEW_SHARE = 0.2;
/** Longer than any client is known to keep what GetCACert gave. */
export const ACCEPT_PREVIOUS_MS = 30 * DAY_MS;

/** What is to be done about the keys. */
export type RolloverStep =
  | { readonly kind: "nothing" }
  | { readonly kind: "make" }
  | { readonly kind: "publish"; readonly id: string };

/** The key whose certificate GetCACert gives: the one that was published last. */
export function currentKey(
  keys: readonly StoredRegistrationKey[],
): StoredRegistrationKey | undefined {
  return keys
    .filter(({ publishedAt }) => publishedAt !== undefined)
    .toSorted(
      (one, other) =>
        (other.publishedAt ?? 0) - (one.publishedAt ?? 0) || other.madeAt - one.madeAt,
    )
    .at(0);
}

/** The keys that open envelopes at `now`: all but those whose time is over. */
export function acceptedKeys(
  keys: readonly StoredRegistrationKey[],
  now: number,
): readonly StoredRegistrationKey[] {
  return keys.filter(({ acceptedUntil }) => acceptedUntil === undefined || acceptedUntil >= now);
}

/** What is next, at `now`: a pure function of what is stored. `isForced` renews before the time. */
export function rolloverStep(
  keys: readonly StoredRegistrationKey[],
  now: number,
  isForced = false,
): RolloverStep {
  const waiting = keys.find(({ publishedAt }) => publishedAt === undefined);
  if (waiting !== undefined) return { kind: "publish", id: waiting.id };
  const current = currentKey(keys);
  if (current === undefined || isForced) return { kind: "make" };
  return now >= renewalTime(current) ? { kind: "make" } : { kind: "nothing" };
}

/** When the successor of a key is due, ms. */
export function renewalTime({
  madeAt,
  notAfter,
}: Pick<StoredRegistrationKey, "madeAt" | "notAfter">): number {
  return notAfter - Math.min(RENEW_BEFORE_MS, (notAfter - madeAt) * RENEW_SHARE);
}
