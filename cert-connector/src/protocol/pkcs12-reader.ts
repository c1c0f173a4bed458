import { createHmac, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import { decodeString } from "@isthmus/shared/x509/der-string";
import { TAG } from "@isthmus/shared/x509/der-tag";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { PKCS12_DIGESTS, PKCS12_OID, pkcs12Digest } from "./pkcs12-algorithms.ts";
import {
  decryptWithPassword,
  type PasswordForms,
  readIterations,
  readPasswordEncryption,
  readSalt,
} from "./pkcs12-encryption.ts";
import { bmpPassword, KDF_PURPOSE, pkcs12Kdf } from "./pkcs12-kdf.ts";

/** Our own limits. A key with a chain of ten certificates is about 20 KiB. */
export const MAX_PKCS12_BYTES = 262_144;
const MAX_BAGS = 64;
const MAX_CONTENTS = 16;
const MAX_ATTRIBUTES = 16;
/** NSS writes 600,000. */
const DEFAULT_MAX_ITERATIONS = 1_000_000;
/** PKCS#12's own derivation gives 20 octets a time: 24 of a key take two, the initialization vector a third. */
const HASH_ROUNDS_PER_ITERATION = 3;

/** What a reader is willing to spend on a file. */
export interface Pkcs12Effort {
  /** On each count in the file; four times as many in all. */
  readonly maxIterations?: number;
  /** Of PKCS#12's own derivation in all: it is synchronous, and nothing else is served meanwhile. */
  readonly maxHashRounds?: number;
}

/** What is in a PFX. */
export interface Pkcs12 {
  readonly keys: readonly (BagNames & { /** PKCS#8, DER. */ readonly privateKey: Buffer })[];
  readonly certificates: readonly (BagNames & { /** DER. */ readonly certificate: Buffer })[];
}

interface BagNames {
  readonly friendlyName: string | undefined;
  readonly localKeyId: Buffer | undefined;
}

/**
 * Reads a PFX (RFC 7292), DER or BER as NSS and Java write. Throws ProtocolError:
 * `pkcs12-password` where the password does not fit, `pkcs12-malformed` or `der-*` where the file is broken whatever the
 * password, `pkcs12-algorithm` for an algorithm that is not read here (RC2 of old Windows), `pkcs12-iterations` over the
 * bound on each count.
 */
export async function parsePkcs12(
  der: Uint8Array,
  password: string,
  {
    maxIterations = DEFAULT_MAX_ITERATIONS,
    maxHashRounds = Number.POSITIVE_INFINITY,
  }: Pkcs12Effort = {},
): Promise<Pkcs12> {
  if (der.length > MAX_PKCS12_BYTES) throw broken(`${der.length} bytes exceed ${MAX_PKCS12_BYTES}`);
  const outer = new DerReader(der, { allowBer: true });
  const pfx = outer.enter();
  outer.end();
  if (pfx.readSmallInteger(127) !== 3) throw broken("another version than 3");
  const safe = readData(pfx.enter());
  const mac = pfx.isAtEnd ? undefined : readMac(pfx.enter(), maxIterations);
  pfx.end();
  const rounds = new HashRounds(maxHashRounds);
  rounds.take((mac?.iterations ?? 0) * bothForms(password).length);
  const forms = mac === undefined ? bothForms(password)[0] : fittingForm(mac, safe, password);
  if (forms === undefined) {
    throw new ProtocolError(
      "pkcs12-password",
      "PKCS#12: the password does not fit, or the file was changed since it was written",
    );
  }
  const opener = new SafeOpener(forms, mac !== undefined, maxIterations, rounds);
  return await opener.open(safe);
}

/** The content of a ContentInfo of type data. */
function readData(contentInfo: DerReader): Buffer {
  const type = contentInfo.readObjectIdentifier();
  if (type !== OID.data) throw notRead(`content ${type} in place of data`);
  const tagged = contentInfo.enter(0xa0);
  contentInfo.end();
  const content = tagged.readOctetString();
  tagged.end();
  return content;
}

function readMac(macData: DerReader, maxIterations: number) {
  const digestInfo = macData.enter();
  const algorithm = digestInfo.enter();
  const oid = algorithm.readObjectIdentifier();
  if (!algorithm.isAtEnd) algorithm.readNull();
  algorithm.end();
  const value = digestInfo.readOctetString();
  digestInfo.end();
  const salt = readSalt(macData);
  const iterations = macData.isAtEnd ? 1 : readIterations(macData, maxIterations);
  macData.end();
  const digest = pkcs12Digest(oid, "oid");
  if (digest === undefined) throw notRead(`MAC digest ${oid}`);
  return { digest, value, salt, iterations };
}

/** The form of the password that the MAC was made with. */
function fittingForm(
  { digest, value, salt, iterations }: ReturnType<typeof readMac>,
  safe: Uint8Array,
  password: string,
): PasswordForms | undefined {
  const bytes = PKCS12_DIGESTS[digest].outputBytes;
  if (value.length !== bytes) throw broken(`a MAC of ${value.length} octets`);
  return bothForms(password).find(({ bmp }) => {
    const purpose = KDF_PURPOSE.mac;
    const key = pkcs12Kdf({ digest, password: bmp, salt, iterations, purpose, bytes });
    return timingSafeEqual(createHmac(digest, key).update(safe).digest(), value);
  });
}

/** No password is written as an empty one by some and as none at all by others. */
function bothForms(text: string): PasswordForms[] {
  const forms = [{ bmp: bmpPassword(text), text }];
  return text === "" ? [...forms, { bmp: Buffer.alloc(0), text }] : forms;
}

/** Counts what is left of the rounds. */
class HashRounds {
  readonly #max: number;
  #left: number;

  constructor(max: number) {
    this.#max = max;
    this.#left = max;
  }

  take(rounds: number): void {
    this.#left -= rounds;
    if (this.#left >= 0) return;
    throw new ProtocolError(
      "pkcs12-iterations",
      `PKCS#12: over ${this.#max} rounds of hashing in all`,
    );
  }
}

class SafeOpener {
  readonly #password: PasswordForms;
  /** Whether the MAC has shown that the password fits: what does not open then is broken. */
  readonly #isPasswordSure: boolean;
  readonly #maxIterations: number;
  readonly #rounds: HashRounds;
  readonly #keys: Pkcs12["keys"][number][] = [];
  readonly #certificates: Pkcs12["certificates"][number][] = [];
  #bags = 0;
  #iterationsLeft: number;

  constructor(
    password: PasswordForms,
    isPasswordSure: boolean,
    maxIterations: number,
    rounds: HashRounds,
  ) {
    this.#rounds = rounds;
    this.#password = password;
    this.#isPasswordSure = isPasswordSure;
    this.#maxIterations = maxIterations;
    // Every bag may have its own count: all of them together may cost what a few at the bound do.
    this.#iterationsLeft = 4 * maxIterations;
  }

  async open(safe: Uint8Array): Promise<Pkcs12> {
    const outer = new DerReader(safe, { allowBer: true });
    const contents = outer.enter();
    outer.end();
    for (let count = 0; !contents.isAtEnd; count += 1) {
      if (count === MAX_CONTENTS) throw broken(`more than ${MAX_CONTENTS} parts`);
      await this.#openContent(contents);
    }
    return { keys: this.#keys, certificates: this.#certificates };
  }

  async #openContent(contents: DerReader): Promise<void> {
    const contentInfo = contents.enter();
    const type = contentInfo.readObjectIdentifier();
    const tagged = contentInfo.enter(0xa0);
    contentInfo.end();
    if (type === OID.data) return await this.#openBags(tagged.readOctetString());
    if (type !== PKCS12_OID.encryptedData) throw notRead(`content ${type}`);
    const encrypted = tagged.enter();
    encrypted.readSmallInteger(2);
    const info = encrypted.enter();
    info.readObjectIdentifier();
    await this.#openBags(await this.#decrypt(info, 0x80));
  }

  async #decrypt(info: DerReader, tag: number): Promise<Buffer> {
    const encryption = readPasswordEncryption(info, this.#maxIterations);
    this.#iterationsLeft -= encryption.iterations;
    if (this.#iterationsLeft < 0) {
      const all = 4 * this.#maxIterations;
      throw new ProtocolError("pkcs12-iterations", `PKCS#12: over ${all} iterations in all`);
    }
    if (encryption.scheme === "pkcs12") {
      this.#rounds.take(encryption.iterations * HASH_ROUNDS_PER_ITERATION);
    }
    const content = info.readOctetString(tag);
    info.end();
    const plain = await decryptWithPassword(encryption, this.#password, content);
    if (plain !== undefined) return plain;
    if (this.#isPasswordSure) throw broken("a part does not open though the password fits");
    throw new ProtocolError("pkcs12-password", "PKCS#12: the password does not fit");
  }

  async #openBags(safeContents: Buffer): Promise<void> {
    const outer = new DerReader(safeContents, { allowBer: true });
    const bags = outer.enter();
    outer.end();
    while (!bags.isAtEnd) {
      this.#bags += 1;
      if (this.#bags > MAX_BAGS) throw broken(`more than ${MAX_BAGS} bags`);
      await this.#openBag(bags.enter());
    }
  }

  /** Keys and certificates; lists, secrets and what else there is are passed over. */
  async #openBag(bag: DerReader): Promise<void> {
    const oid = bag.readObjectIdentifier();
    const value = bag.enter(0xa0);
    const names = readAttributes(bag.enterOptional(TAG.set));
    bag.end();
    if (oid === PKCS12_OID.keyBag) {
      this.#keys.push({ ...names, privateKey: value.readRaw(TAG.sequence) });
    } else if (oid === PKCS12_OID.shroudedKeyBag) {
      const privateKey = await this.#decrypt(value.enter(), TAG.octetString);
      this.#keys.push({ ...names, privateKey });
    } else if (oid === PKCS12_OID.certBag) {
      const certificate = readCertificate(value.enter());
      if (certificate !== undefined) this.#certificates.push({ ...names, certificate });
    }
  }
}

/** CertBag ::= SEQUENCE { certId, [0] OCTET STRING }; only X.509 is of use. */
function readCertificate(body: DerReader): Buffer | undefined {
  const type = body.readObjectIdentifier();
  const tagged = body.enter(0xa0);
  body.end();
  if (type !== PKCS12_OID.x509Certificate) return undefined;
  const certificate = tagged.readOctetString();
  tagged.end();
  return certificate;
}

function readAttributes(set: DerReader | undefined): BagNames {
  let friendlyName: string | undefined;
  let localKeyId: Buffer | undefined;
  for (let count = 0; set !== undefined && !set.isAtEnd; count += 1) {
    if (count === MAX_ATTRIBUTES) throw broken(`more than ${MAX_ATTRIBUTES} attributes`);
    const attribute = set.enter();
    const oid = attribute.readObjectIdentifier();
    const values = attribute.enter(TAG.set);
    attribute.end();
    if (values.isAtEnd) continue;
    if (oid === PKCS12_OID.friendlyName) {
      friendlyName = decodeString(values.peekTag(), values.readRaw());
    } else if (oid === PKCS12_OID.localKeyId) localKeyId = values.readOctetString();
  }
  return { friendlyName, localKeyId };
}

function notRead(what: string): ProtocolError {
  return new ProtocolError("pkcs12-algorithm", `PKCS#12: ${what} is not read here`);
}

function broken(what: string): ProtocolError {
  return new ProtocolError("pkcs12-malformed", `PKCS#12: ${what}`);
}
