import { constants, privateDecrypt, publicEncrypt } from "node:crypto";
import { ConnectorError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { openEnvelope } from "../protocol/envelope-opening.ts";
import { encodeEnvelopedData, parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import type { ScepSigner } from "../protocol/scep-writer.ts";

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

function opensOwnEnvelope({ certificate, privateKey }: ScepSigner): boolean {
  const sealed = encodeEnvelopedData(
    {
      content: PROBE,
      recipient: certificate,
      cipher: "aes-128-cbc",
      keyEncryption: { scheme: "pkcs1" },
    },
    systemRandom,
  );
  const addressed = sealedFor(parseEnvelopedData(sealed), [certificate]);
  if (addressed === undefined) return false;
  const { plaintext, isIntact } = openEnvelope(addressed.sealed, privateKey);
  return isIntact && PROBE.equals(plaintext);
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
