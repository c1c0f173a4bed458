import { z } from "zod";
import type { Clock } from "../clock.ts";
import { ConnectorError, RefusalError } from "../errors.ts";
import { verifyJws } from "../link/jws.ts";
import { JWS_TYPES, type PublicKey, signedTrust } from "../link/messages.ts";
import { checkConfiguration } from "./configuration.ts";
import { parseStateJson } from "./identity.ts";
import { readStateFile, writeFileAtomically } from "./state-files.ts";

/** Own limits. */
const MAX_PINNED_KEYS = 100;
/** After a rotation what the previous key signed is still accepted for this long, so that nothing on its way is lost. */
const ROTATION_OVERLAP_MS = 86_400_000;

const pinnedKey = z.object({
  publicKey: z.object({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  }),
  pinnedAt: z.number(),
  origin: z.enum(["enrolment", "rotation", "local"]),
  /** From then on its signatures count for nothing new. */
  retiredAt: z.number().optional(),
});
export type PinnedKey = z.infer<typeof pinnedKey>;

const trustFile = z.object({ keys: z.array(pinnedKey).max(MAX_PINNED_KEYS) });

/**
 * The tenant keys this connector believes. The newest is the current one; a statement signed by it, or a person on this
 * host, puts another in its place. Nothing else does.
 */
export class Trust {
  readonly #file: string;
  readonly #clock: Clock;
  #keys: readonly PinnedKey[];

  private constructor(file: string, clock: Clock, keys: readonly PinnedKey[]) {
    this.#file = file;
    this.#clock = clock;
    this.#keys = keys;
  }

  /** Reads `trust.json`; no file is no key. @throws ConnectorError `state-file` */
  static load(file: string, clock: Clock): Trust {
    const text = readStateFile(file);
    if (text === undefined) return new Trust(file, clock, []);
    return new Trust(
      file,
      clock,
      checkConfiguration(trustFile, parseStateJson(text, file), file).keys,
    );
  }

  /** Every key that was ever pinned, oldest first. */
  list(): readonly PinnedKey[] {
    return this.#keys;
  }

  /** Keys whose signatures are accepted now: the current one and, for a day after a rotation, the one before. */
  accepted(): PublicKey[] {
    const now = this.#clock.now();
    return this.#keys
      .filter(({ retiredAt }) => retiredAt === undefined || retiredAt > now)
      .map(({ publicKey }) => publicKey);
  }

  /** Keys that may have signed what is kept: all that were ever pinned. */
  ever(): PublicKey[] {
    return this.#keys.map(({ publicKey }) => publicKey);
  }

  /** Pins a key in place of all others, at once: at enrolment, or because a person on this host said so. */
  pin(publicKey: PublicKey, origin: "enrolment" | "local"): void {
    const now = this.#clock.now();
    const retired = this.#keys.map((key) => retire(key, now));
    this.#add(retired, { publicKey, pinnedAt: now, origin });
  }

  /**
   * The payload of a compact JWS by an accepted tenant key.
   *
   * @throws RefusalError `signature-refused`, rule `trust.tenant-key`.
   */
  async verify(jws: string, typ: string, keys = this.accepted()): Promise<unknown> {
    try {
      return await verifyJws(jws, typ, keys);
    } catch (error) {
      throw refused(error instanceof ConnectorError ? error.message : "not a compact JWS");
    }
  }

  /**
   * Takes over the next tenant key from a statement that the current one signed. Returns the key, or undefined for a
   * statement that was followed before: the control plane repeats them after each connect.
   *
   * @throws RefusalError `signature-refused`, `trust-refused`.
   */
  async rotate(jws: string): Promise<PublicKey | undefined> {
    const current = this.#keys.at(-1);
    if (current === undefined) throw refused("no tenant key is pinned");
    const statement = signedTrust.safeParse(await this.verify(jws, JWS_TYPES.trust, this.ever()));
    if (!statement.success) throw new RefusalError("trust-refused", RULE, "malformed statement");
    const { tenantKey, notBefore } = statement.data;
    const known = this.#keys.findIndex(({ publicKey }) => publicKey.x === tenantKey.x);
    const predecessor = this.#keys[known - 1];
    if (predecessor !== undefined && (await isBy(jws, predecessor.publicKey))) return undefined;
    await this.verify(jws, JWS_TYPES.trust, [current.publicKey]);
    if (known >= 0) {
      throw new RefusalError("trust-refused", RULE, "a retired tenant key cannot come back");
    }
    const now = this.#clock.now();
    const overlapEndsAt = Math.max(now, notBefore) + ROTATION_OVERLAP_MS;
    const kept = this.#keys.map((key) =>
      key === current ? retire(key, overlapEndsAt) : retire(key, now),
    );
    this.#add(kept, { publicKey: tenantKey, pinnedAt: now, origin: "rotation" });
    return tenantKey;
  }

  #add(others: readonly PinnedKey[], key: PinnedKey): void {
    const keys = [...others.filter(({ publicKey }) => publicKey.x !== key.publicKey.x), key];
    const kept = keys.slice(-MAX_PINNED_KEYS);
    writeFileAtomically(this.#file, `${JSON.stringify({ keys: kept }, null, 2)}\n`);
    this.#keys = kept;
  }
}

const RULE = "trust.tenant-key";

function isBy(jws: string, key: PublicKey): Promise<boolean> {
  return verifyJws(jws, JWS_TYPES.trust, [key]).then(
    () => true,
    () => false,
  );
}

function refused(reason: string): RefusalError {
  return new RefusalError("signature-refused", RULE, reason);
}

function retire(key: PinnedKey, at: number): PinnedKey {
  return { ...key, retiredAt: Math.min(key.retiredAt ?? at, at) };
}
