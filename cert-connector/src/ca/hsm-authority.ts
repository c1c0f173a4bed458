import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import type { RegistrationKeyCustody } from "../core/registration-keys.ts";
import {
  type AuthorityFiles,
  type HeldKeys,
  readAuthorityCertificates,
} from "./authority-folder.ts";
import type { Hsm } from "./hsm.ts";
import { heldKey, keyOfCertificate } from "./hsm-key.ts";
import type { HsmKeyName } from "./pkcs11-messages.ts";
import { issueRegistrationCertificate } from "./registration-certificate.ts";

/** Which keys of the authority are in the token. */
export interface HsmKeyNames {
  readonly issuing: HsmKeyName;
  /** Undefined where the RA's key is in the folder. */
  readonly ra: HsmKeyName | undefined;
}

/**
 * The authority's keys that are in the token, each after it has signed for its certificate. Throws ConnectorError
 * `authority-missing`, `hsm-key-missing`, `hsm-key-ambiguous`, `hsm-key-mismatch`, and what `Hsm.perform` throws.
 */
export async function heldKeysOf(hsm: Hsm, folder: string, names: HsmKeyNames): Promise<HeldKeys> {
  const { issuing, ra } = readAuthorityCertificates(folder);
  const issuingKey = await keyOfCertificate(hsm, names.issuing, issuing);
  if (names.ra === undefined) return { issuing: issuingKey };
  return { issuing: issuingKey, ra: await keyOfCertificate(hsm, names.ra, ra) };
}

/** RA keys are renewed in the token: the label of a new one is that of the first with the day and some hex behind it. */
export const HSM_CUSTODY = "pkcs11";
const SUFFIX_OCTETS = 4;

/** RA keys that are made and stay in the token; the ledger's database holds their labels. */
export function hsmCustody(
  hsm: Hsm,
  raLabel: string,
  files: AuthorityFiles,
  random: Random,
): RegistrationKeyCustody {
  return {
    kind: HSM_CUSTODY,
    make: async (now) => {
      const day = new Date(now).toISOString().slice(0, 10);
      const label = `${raLabel}-${day}-${random.bytes(SUFFIX_OCTETS).toString("hex")}`;
      const publicKeyInfo = await hsm.perform("generate", {
        label,
        algorithm: bitsOf(files) >= 3072 ? "rsa-3072" : "rsa-2048",
        canDecrypt: true,
      });
      const certificate = await issueRegistrationCertificate({
        subject: files.ra.certificate.subject,
        key: heldKey(hsm, { label }, publicKeyInfo),
        issuing: files.issuing,
        now,
        random,
      });
      return { certificate, material: label };
    },
    load: async ({ id, certificate, material: label }) => {
      try {
        return await keyOfCertificate(hsm, { label }, parseCertificate(certificate));
      } catch (cause) {
        const reason = (cause as Error).message;
        const isRetryable = cause instanceof ConnectorError && cause.isRetryable;
        throw new ConnectorError(
          isRetryable ? "key-unavailable" : "key-unreadable",
          `the RA key ${id.slice(0, 16)}: ${reason}`,
          { isRetryable, cause },
        );
      }
    },
  };
}

function bitsOf({ ra }: AuthorityFiles): number {
  return ra.certificate.publicKey().asymmetricKeyDetails?.modulusLength ?? 2048;
}
