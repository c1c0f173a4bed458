import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { writeFileAtomically } from "@isthmus/shared/kernel/state-files";
import type { Random } from "@isthmus/shared/random";
import { derToPem } from "@isthmus/shared/x509/pem";
import { isHeld } from "@isthmus/shared/x509/signing-key";
import { AUTHORITY_FILES, type AuthorityFiles } from "./authority-folder.ts";
import { type AuthorityAlgorithm, keyInFile } from "./authority-keys.ts";
import { issueRegistrationCertificate } from "./registration-certificate.ts";

export interface RenewalOrder {
  readonly files: AuthorityFiles;
  readonly passphrase: string;
  /** A new certificate for the key that is there. */
  readonly keepsKey: boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Gives the RA in the folder a new certificate, while the service does not run. What was there before stays beside it, so that
 * envelopes to it are still opened. Throws ConnectorError `ra-in-token` for a new key where the RA's is in a token: the
 * running service makes those.
 */
export async function renewRegistration(order: RenewalOrder): Promise<Buffer> {
  const { files, passphrase, keepsKey, clock, random } = order;
  const { ra, issuing, folder } = files;
  const at = (name: string) => join(folder, name);
  if (!keepsKey && isHeld(ra.key)) {
    throw new ConnectorError(
      "ra-in-token",
      "the RA's key is in a token, where the running service makes new ones: start it and ask again, or keep the key",
    );
  }
  const fresh = at(`${AUTHORITY_FILES.raKey}.new`);
  rmSync(fresh, { force: true });
  const made = keepsKey
    ? undefined
    : await keyInFile(fresh, passphrase).make(algorithmOf(files), true);
  const der = await issueRegistrationCertificate({
    subject: ra.certificate.subject,
    key: made?.key ?? ra.key,
    issuing,
    now: clock.now(),
    random,
  });
  made?.store();
  keepPrevious(at);
  if (made !== undefined) renameSync(fresh, at(AUTHORITY_FILES.raKey));
  writeFileAtomically(at(AUTHORITY_FILES.ra), derToPem(der, "CERTIFICATE"), 0o644);
  return der;
}

/** A key in a token is not copied: the certificate before then has the key that stays. */
function keepPrevious(at: (name: string) => string): void {
  const copy = (from: string, to: string, mode: number) =>
    writeFileAtomically(at(to), readFileSync(at(from)), mode);
  copy(AUTHORITY_FILES.ra, AUTHORITY_FILES.previousRa, 0o644);
  if (existsSync(at(AUTHORITY_FILES.raKey))) {
    copy(AUTHORITY_FILES.raKey, AUTHORITY_FILES.previousRaKey, 0o600);
  } else rmSync(at(AUTHORITY_FILES.previousRaKey), { force: true });
}

function algorithmOf({ ra }: AuthorityFiles): AuthorityAlgorithm {
  const bits = ra.certificate.publicKey().asymmetricKeyDetails?.modulusLength ?? 0;
  return bits >= 3_072 ? "rsa-3072" : "rsa-2048";
}
