import type { KeyObject } from "node:crypto";
import type { Random } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { encodeEnvelopedData } from "./enveloped-data.ts";
import { encodePkcs12, type Pkcs12Format } from "./pkcs12-writer.ts";

/** 192 bits, 32 characters of base64url: ASCII, as Microsoft's wire and PKCS#12 both hold it. */
const PASSWORD_OCTETS = 24;

/** A new password for one PFX. */
export function newPfxPassword(random: Random): string {
  return random.bytes(PASSWORD_OCTETS).toString("base64url");
}

/** A private key with its certificate, to be handed over. */
export interface PfxIdentity {
  readonly privateKey: KeyObject;
  readonly certificate: Certificate;
  readonly chain: readonly Certificate[];
  readonly friendlyName?: string | undefined;
}

/** Writes the identity as a PFX under a new password. */
export async function packPfx(
  identity: PfxIdentity,
  format: Pkcs12Format,
  random: Random,
): Promise<{ readonly pfx: Buffer; readonly password: string }> {
  const password = newPfxPassword(random);
  const content = {
    privateKey: identity.privateKey.export({ format: "der", type: "pkcs8" }),
    certificate: identity.certificate.der,
    chain: identity.chain.map(({ der }) => der),
    friendlyName: identity.friendlyName,
    localKeyId: Buffer.from(identity.certificate.thumbprint, "hex").subarray(0, 20),
  };
  return { pfx: await encodePkcs12(content, { format, password }, random), password };
}

/**
 * A PFX and its password for one device: CMS EnvelopedData (AES-256, RSA-OAEP with SHA-256) around the JSON
 * `{"pfx":"<base64>","password":"..."}`, which `openssl cms -decrypt` opens with the device's key.
 */
export async function sealPfx(
  identity: PfxIdentity,
  to: { readonly format: Pkcs12Format; readonly recipient: Certificate },
  random: Random,
): Promise<Buffer> {
  const { pfx, password } = await packPfx(identity, to.format, random);
  const content = Buffer.from(JSON.stringify({ pfx: pfx.toString("base64"), password }));
  const keyEncryption = { scheme: "oaep", digest: "sha256" } as const;
  const sealing = {
    content,
    recipient: to.recipient,
    cipher: "aes-256-cbc",
    keyEncryption,
  } as const;
  return encodeEnvelopedData(sealing, random);
}
