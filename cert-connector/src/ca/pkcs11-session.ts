import { hash } from "node:crypto";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import {
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { HsmActs, HsmKeyName, HsmPlace, HsmToken, SigningDigest } from "./pkcs11-messages.ts";
import {
  type Handle,
  type Library,
  loadModule,
  type Module,
  messageOf,
  Pkcs11Fault,
  type Template,
} from "./pkcs11-module.ts";
import { readKeyKind, readPublicKey } from "./pkcs11-public-key.ts";

/** The largest answer: a signature or a decryption by RSA of 8192 bits. */
const MAX_ANSWER_OCTETS = 1_024;
/** Own limits on what is looked for and named. */
const MAX_FOUND = 2;
const KEY_ID_OCTETS = 8;

const DIGEST_OIDS: Readonly<Record<SigningDigest, string>> = {
  sha1: OID.sha1,
  sha256: OID.sha256,
  sha384: OID.sha384,
  sha512: OID.sha512,
};

/**
 * A token that is open: one login, and sessions of which each does one act at a time. Lives in the process that owns the
 * module.
 */
export class TokenSessions {
  readonly #library: Library;
  readonly #module: Module;
  readonly #mechanisms: readonly number[];
  readonly #free: Handle[];
  readonly #keys = new Map<string, Handle>();
  /** What the library reads and writes on threads while nothing in JavaScript holds it. */
  readonly #inUse = new Set<Buffer>();
  readonly token: HsmToken;

  private constructor(
    { library, module }: { readonly library: Library; readonly module: Module },
    slot: Handle,
    sessions: readonly Handle[],
  ) {
    this.#library = library;
    this.#module = module;
    this.#mechanisms = module.C_GetMechanismList(slot);
    this.#free = [...sessions];
    const { label, model, manufacturerID, serialNumber } = module.C_GetTokenInfo(slot);
    this.token = {
      label: label.trim(),
      model: model.trim(),
      manufacturer: manufacturerID.trim(),
      serialNumber: serialNumber.trim(),
    };
  }

  /** Throws Pkcs11Fault `hsm-package-missing`, `hsm-module-unusable`, `hsm-token-missing`, `hsm-pin-*`, `hsm-failed`. */
  static async open(place: HsmPlace): Promise<TokenSessions> {
    const loaded = await loadModule(place.module);
    const { library, module } = loaded;
    const slot = findSlot(loaded, place);
    refuseLastTry(loaded, slot);
    const flags = library.CKF_SERIAL_SESSION | library.CKF_RW_SESSION;
    const first = module.C_OpenSession(slot, flags);
    logIn(loaded, first, place.pinFile);
    const others = Array.from({ length: place.sessions - 1 }, () =>
      module.C_OpenSession(slot, flags),
    );
    return new TokenSessions(loaded, slot, [first, ...others]);
  }

  /** With an EC key r and s, with an RSA key a PKCS#1 v1.5 signature. */
  async sign({ key, scheme, digest, message }: HsmActs["sign"]): Promise<Buffer> {
    const hashed = hash(digest, message, "buffer");
    const { CKM_ECDSA, CKM_RSA_PKCS, CKK_RSA, CKK_EC } = this.#library;
    const kind = scheme === "rsa" ? CKK_RSA : CKK_EC;
    const mechanism = this.#mechanism(scheme === "rsa" ? CKM_RSA_PKCS : CKM_ECDSA);
    const input = scheme === "rsa" ? digestInfo(digest, hashed) : hashed;
    return await this.#act(input, async (session, output) => {
      this.#module.C_SignInit(session, { mechanism }, this.#find(session, key, kind));
      return await this.#module.C_SignAsync(session, input, output);
    });
  }

  async decryptRaw({ key, octets }: HsmActs["decryptRaw"]): Promise<Buffer> {
    const { CKM_RSA_X_509, CKK_RSA } = this.#library;
    const mechanism = this.#mechanism(CKM_RSA_X_509);
    const input = Buffer.from(octets);
    const raw = await this.#act(input, async (session, output) => {
      this.#module.C_DecryptInit(session, { mechanism }, this.#find(session, key, CKK_RSA));
      return await this.#module.C_DecryptAsync(session, input, output);
    });
    // Some libraries leave leading zeros away: the first octet of PKCS#1 is one.
    return Buffer.concat([Buffer.alloc(Math.max(0, input.length - raw.length)), raw]);
  }

  /** SubjectPublicKeyInfo of a private key. */
  publicKey({ key }: HsmActs["publicKey"]): Buffer {
    return this.#inSession((session) => {
      const privateKey = this.#find(session, key);
      const { CKO_PUBLIC_KEY } = this.#library;
      // Modulus and exponent stand at the private key too, where no public one was made beside it.
      const [object = privateKey] = this.#search(session, CKO_PUBLIC_KEY, key);
      const parts = { library: this.#library, module: this.#module };
      return readPublicKey(parts, session, object);
    });
  }

  /** Makes a key pair that cannot be taken out, and gives its SubjectPublicKeyInfo. Throws `hsm-key-exists`. */
  async generate({ label, algorithm, canDecrypt }: HsmActs["generate"]): Promise<Buffer> {
    const session = this.#take();
    try {
      if (this.#search(session, this.#library.CKO_PRIVATE_KEY, { label }).length > 0) {
        throw new Pkcs11Fault("hsm-key-exists", `the token has a key "${label}" already`);
      }
      const id = this.#module.C_GenerateRandom(session, Buffer.alloc(KEY_ID_OCTETS));
      const of = { label, id, canDecrypt };
      const { mechanism, parameters } = this.#generation(algorithm);
      const pair = await this.#module.C_GenerateKeyPairAsync(
        session,
        { mechanism: this.#mechanism(mechanism) },
        this.#publicTemplate(of, parameters),
        this.#privateTemplate(of),
      );
      const parts = { library: this.#library, module: this.#module };
      return readPublicKey(parts, session, pair.publicKey);
    } finally {
      this.#free.push(session);
    }
  }

  #generation(algorithm: HsmActs["generate"]["algorithm"]) {
    const { CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_EC_KEY_PAIR_GEN, CKA_EC_PARAMS } = this.#library;
    const rsa = (bits: number) => ({
      mechanism: CKM_RSA_PKCS_KEY_PAIR_GEN,
      parameters: [
        { type: this.#library.CKA_MODULUS_BITS, value: bits },
        { type: this.#library.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
      ],
    });
    const ec = (curve: string) => ({
      mechanism: CKM_EC_KEY_PAIR_GEN,
      parameters: [{ type: CKA_EC_PARAMS, value: objectIdentifier(curve) }],
    });
    switch (algorithm) {
      case "rsa-2048":
        return rsa(2_048);
      case "rsa-3072":
        return rsa(3_072);
      case "ec-p256":
        return ec(OID.p256);
      case "ec-p384":
        return ec(OID.p384);
    }
  }

  #publicTemplate({ label, id, canDecrypt }: NewKey, parameters: Template): Template {
    const library = this.#library;
    return [
      { type: library.CKA_TOKEN, value: true },
      { type: library.CKA_LABEL, value: label },
      { type: library.CKA_ID, value: id },
      { type: library.CKA_VERIFY, value: true },
      { type: library.CKA_ENCRYPT, value: canDecrypt },
      ...parameters,
    ];
  }

  #privateTemplate({ label, id, canDecrypt }: NewKey): Template {
    const library = this.#library;
    return [
      { type: library.CKA_TOKEN, value: true },
      { type: library.CKA_PRIVATE, value: true },
      { type: library.CKA_LABEL, value: label },
      { type: library.CKA_ID, value: id },
      { type: library.CKA_SENSITIVE, value: true },
      { type: library.CKA_EXTRACTABLE, value: false },
      { type: library.CKA_SIGN, value: true },
      { type: library.CKA_DECRYPT, value: canDecrypt },
    ];
  }

  async #act(
    input: Buffer,
    act: (session: Handle, output: Buffer) => Promise<Buffer>,
  ): Promise<Buffer> {
    const session = this.#take();
    const output = Buffer.alloc(MAX_ANSWER_OCTETS);
    this.#inUse.add(input).add(output);
    try {
      return Buffer.from(await act(session, output));
    } finally {
      this.#inUse.delete(input);
      this.#inUse.delete(output);
      this.#free.push(session);
    }
  }

  #inSession<T>(act: (session: Handle) => T): T {
    const session = this.#take();
    try {
      return act(session);
    } finally {
      this.#free.push(session);
    }
  }

  #take(): Handle {
    const session = this.#free.pop();
    if (session !== undefined) return session;
    throw new Pkcs11Fault("hsm-failed", "more acts at once than sessions");
  }

  #mechanism(mechanism: number): number {
    if (this.#mechanisms.includes(mechanism)) return mechanism;
    const name = Object.entries(this.#library).find(
      ([key, value]) => key.startsWith("CKM_") && value === mechanism,
    )?.[0];
    throw new Pkcs11Fault(
      "hsm-mechanism-missing",
      `the token offers no ${name}; where its policy (e.g. FIPS mode) forbids it, allow it there or keep this key in a file`,
    );
  }

  /** A private key. Its kind is looked at first: what a token does with a key of another one is anyone's guess. */
  #find(session: Handle, name: HsmKeyName, kind?: number): Handle {
    const known = `${name.label} ${name.id} ${kind}`;
    const cached = this.#keys.get(known);
    if (cached !== undefined) return cached;
    const [found, another] = this.#search(session, this.#library.CKO_PRIVATE_KEY, name);
    if (found === undefined) {
      throw new Pkcs11Fault("hsm-key-missing", `the token has no private key ${nameOf(name)}`);
    }
    if (another !== undefined) {
      throw new Pkcs11Fault(
        "hsm-key-ambiguous",
        `the token has several private keys ${nameOf(name)}; name one by its CKA_ID`,
      );
    }
    const parts = { library: this.#library, module: this.#module };
    if (kind !== undefined && readKeyKind(parts, session, found) !== kind) {
      const wanted = kind === this.#library.CKK_RSA ? "RSA" : "EC";
      throw new Pkcs11Fault("hsm-key-mismatch", `private key ${nameOf(name)} is no ${wanted} key`);
    }
    this.#keys.set(known, found);
    return found;
  }

  #search(session: Handle, objectClass: number, { label, id }: HsmKeyName): Handle[] {
    const { CKA_CLASS, CKA_LABEL, CKA_ID } = this.#library;
    const template: Template = [{ type: CKA_CLASS, value: objectClass }];
    if (label !== undefined) template.push({ type: CKA_LABEL, value: label });
    if (id !== undefined) template.push({ type: CKA_ID, value: Buffer.from(id, "hex") });
    this.#module.C_FindObjectsInit(session, template);
    try {
      return this.#module.C_FindObjects(session, MAX_FOUND);
    } finally {
      this.#module.C_FindObjectsFinal(session);
    }
  }
}

interface NewKey {
  readonly label: string;
  readonly id: Buffer;
  readonly canDecrypt: boolean;
}

function nameOf({ label, id }: HsmKeyName): string {
  const parts = [label && `"${label}"`, id && `with CKA_ID ${id}`];
  return parts.filter((part) => part !== undefined).join(" ");
}

/** DigestInfo ::= SEQUENCE { digestAlgorithm, digest OCTET STRING } (RFC 8017 section 9.2) */
function digestInfo(digest: SigningDigest, hashed: Buffer): Buffer {
  const algorithm = sequence(objectIdentifier(DIGEST_OIDS[digest]), nullValue());
  return sequence(algorithm, octetString(hashed));
}

type Loaded = { readonly library: Library; readonly module: Module };

function findSlot({ module }: Loaded, { tokenLabel, slot, module: path }: HsmPlace): Handle {
  const slots = module.C_GetSlotList(true);
  const found = slots.filter((handle) =>
    slot === undefined
      ? module.C_GetTokenInfo(handle).label.trim() === tokenLabel
      : numberOf(handle) === slot,
  );
  const [only, another] = found;
  if (another !== undefined) {
    throw new Pkcs11Fault(
      "hsm-token-ambiguous",
      `${path}: several tokens are labelled "${tokenLabel}"; name one by its slot`,
    );
  }
  if (only !== undefined) return only;
  const labels = slots.map((handle) => module.C_GetTokenInfo(handle).label.trim());
  const sought = slot === undefined ? `labelled "${tokenLabel}"` : `in slot ${slot}`;
  const there = labels.filter((label) => label !== "").map((label) => `"${label}"`);
  throw new Pkcs11Fault(
    "hsm-token-missing",
    `${path}: no token ${sought}; there ${there.length === 0 ? "is none" : `are: ${there.join(", ")}`}`,
  );
}

/** A slot's number: CK_ULONG in the byte order of this machine, which is little-endian wherever Node runs. */
function numberOf(handle: Handle): number {
  return handle.readUIntLE(0, Math.min(handle.length, 6));
}

/** One login is the whole process's, all its sessions share it; some libraries keep it beyond that. */
function logIn({ library, module }: Loaded, session: Handle, pinFile: string): void {
  try {
    module.C_Login(session, library.CKU_USER, readSecretFile(pinFile));
  } catch (error) {
    if (messageOf(error) !== "CKR_USER_ALREADY_LOGGED_IN") throw error;
  }
}

/** A wrong PIN now would lock the token: whoever knows the right one has to use it with the vendor's tool first. */
function refuseLastTry({ library, module }: Loaded, slot: Handle): void {
  const { flags } = module.C_GetTokenInfo(slot);
  if ((flags & library.CKF_USER_PIN_LOCKED) !== 0) {
    throw new Pkcs11Fault(
      "hsm-pin-locked",
      "the token's PIN is locked; its security officer has to set a new one",
    );
  }
  if ((flags & library.CKF_USER_PIN_FINAL_TRY) !== 0) {
    throw new Pkcs11Fault(
      "hsm-pin-last-try",
      "one more wrong PIN would lock the token, so none is tried; log in once with the vendor's tool, which resets the count",
    );
  }
}
