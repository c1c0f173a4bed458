import { constants, privateDecrypt, publicEncrypt } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { openEnvelope, type SealedEnvelope } from "../protocol/envelope-opening.ts";
import { encodeEnvelopedData, parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import type { ScepSigner } from "../protocol/scep-writer.ts";
import type { EnvelopeOpener } from "./envelope-opener.ts";

const PROBE = Buffer.from("isthmus envelope self-test");

/**
 * Whether this Node opens SCEP envelopes, and does it without an oracle: RSAES-PKCS1-v1_5 was switched off in Node 20, and
 * only an OpenSSL with implicit rejection answers broken padding with noise instead of an error. Run at start, fails
 * closed. Throws ConnectorError `envelope-self-test`.
 */
export function testEnvelopes(ra: ScepSigner): void {
  const isOpened = attempt(() => opensOwnEnvelope(ra));
  if (!isOpened) throw fault("an envelope to the RA's own certificate cannot be opened");
  const isRejectedSilently = attempt(() => decryptsNoise(ra));
  if (!isRejectedSilently) {
    throw fault(
      "broken padding is an error that a sender could see; use Node 24 with its own OpenSSL",
    );
  }
}

/** Whether an opener opens what is sealed to this certificate, whoever holds its key. Throws `envelope-self-test`. */
export async function testOpener(certificate: Certificate, opener: EnvelopeOpener): Promise<void> {
  const probe = sealedProbe(certificate);
  const opened = probe && (await opener.open(probe));
  if (opened?.isIntact === true && PROBE.equals(opened.plaintext)) return;
  throw fault("an envelope to the RA's own certificate cannot be opened with the key that is held");
}

function opensOwnEnvelope({ certificate, privateKey }: ScepSigner): boolean {
  const probe = sealedProbe(certificate);
  if (probe === undefined) return false;
  const { plaintext, isIntact } = openEnvelope(probe, privateKey);
  return isIntact && PROBE.equals(plaintext);
}

function sealedProbe(certificate: Certificate): SealedEnvelope | undefined {
  const sealed = encodeEnvelopedData(
    {
      content: PROBE,
      recipient: certificate,
      cipher: "aes-128-cbc",
      keyEncryption: { scheme: "pkcs1" },
    },
    systemRandom,
  );
  return sealedFor(parseEnvelopedData(sealed), [certificate])?.sealed;
}

/** A message without any PKCS#1 padding: raw RSA of a small number. */
function decryptsNoise({ certificate, privateKey }: ScepSigner): boolean {
  const key = certificate.publicKey();
  const length = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const unpadded = Buffer.alloc(length);
  unpadded[length - 1] = 2;
  const padding = constants.RSA_NO_PADDING;
  const encrypted = publicEncrypt({ key, padding }, unpadded);
  privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_PADDING }, encrypted);
  return true;
}

function attempt(act: () => boolean): boolean {
  try {
    return act();
  } catch {
    return false;
  }
}

function fault(message: string): ConnectorError {
  return new ConnectorError("envelope-self-test", `SCEP self-test: ${message}`);
}
