import { hash, type KeyObject } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";
import type { HeldKey } from "@isthmus/shared/x509/signing-key";
import type { SealedEnvelope } from "./envelope-opening.ts";
import { substituteFor, unpadOaep, unpadPkcs1 } from "./rsa-unpadding.ts";

/** What the secret for substitutes is derived from; another text makes other substitutes. */
const SECRET_LABEL = "isthmus scep implicit rejection 1";
const NO_KEY = Buffer.alloc(0);

/**
 * Unwraps content keys with an RSA key that is held elsewhere. The holder computes the bare RSA operation and this side takes
 * the padding off, because what holders say of PKCS#1 v1.5 padding differs for right and wrong (SoftHSM: another return
 * value), and that is an oracle for everything ever sent to the key.
 */
export class RawUnwrapping {
  readonly #decryptRaw: (octets: Uint8Array) => Promise<Buffer>;
  readonly #modulus: Buffer;
  #secret: Promise<Buffer> | undefined;

  /** Throws ProtocolError `cms-recipient` for a key that is not RSA or whose holder does not do the bare operation. */
  constructor(key: HeldKey) {
    if (key.decryptRaw === undefined) {
      throw new ProtocolError("cms-recipient", "EnvelopedData: the held key does not decrypt");
    }
    this.#decryptRaw = key.decryptRaw;
    this.#modulus = modulusOf(key.publicKey);
  }

  /**
   * The content key. Wrong PKCS#1 v1.5 padding gives noise of a length of its own, always the same for the same input;
   * wrong OAEP padding and input that is no number below the modulus give nothing. Rejects only where the holder is away.
   */
  async unwrap({ keyEncryption, encryptedKey }: SealedEnvelope): Promise<Buffer> {
    const secret = await this.#secretOfKey();
    const input = this.#asInput(encryptedKey);
    const ciphertext = input ?? publicInput(this.#modulus);
    const encoded = await this.#decryptRaw(ciphertext);
    const substitute = substituteFor(ciphertext, secret);
    const message =
      keyEncryption.scheme === "pkcs1"
        ? unpadPkcs1(encoded, substitute)
        : unpadOaep(encoded, keyEncryption.digest);
    return input === undefined ? NO_KEY : message;
  }

  /** Of the modulus's length; undefined where the number is none of RSA's, which the sender can see for itself. */
  #asInput(encryptedKey: Uint8Array): Buffer | undefined {
    const missing = this.#modulus.length - encryptedKey.length;
    // Some senders leave leading zeros away, which OpenSSL takes too.
    if (missing < 0) return undefined;
    const input = Buffer.concat([Buffer.alloc(missing), encryptedKey]);
    return input.compare(this.#modulus) < 0 ? input : undefined;
  }

  /**
   * What the key makes of a number that nobody chose: only its holder can tell, and it is the same after a restart and on
   * every replica. It never leaves: what is not padded is answered with a substitute.
   */
  #secretOfKey(): Promise<Buffer> {
    this.#secret ??= this.#decryptRaw(publicInput(this.#modulus)).then(
      (octets) => hash("sha256", octets, "buffer"),
      (error: unknown) => {
        this.#secret = undefined;
        throw error;
      },
    );
    return this.#secret;
  }
}

/** A number below the modulus that is a digest of the label over and over: as random as any and no signature's input. */
function publicInput(modulus: Buffer): Buffer {
  const blocks = Array.from({ length: Math.ceil(modulus.length / 32) }, (_, index) =>
    hash("sha256", `${SECRET_LABEL} ${index}`, "buffer"),
  );
  const input = Buffer.concat(blocks).subarray(0, modulus.length);
  input[0] = 0;
  return input;
}

function modulusOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).n ?? "", "base64url");
}
