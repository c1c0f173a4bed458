import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { systemRandom } from "@isthmus/shared/random";
import { isHeld } from "@isthmus/shared/x509/signing-key";
import type { AuthorityFiles } from "../ca/authority-folder.ts";
import type { Hsm } from "../ca/hsm.ts";
import { hsmCustody } from "../ca/hsm-authority.ts";
import { encryptedKeyCustody, FOLDER_CUSTODY, folderCustody } from "../ca/registration-custody.ts";
import type { RevocationPublisher } from "../ca/revocation-publisher.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { Authorities } from "../core/authorities.ts";
import type { Issuer } from "../core/issuer.ts";
import type { RegistrationKeyCustody, RegistrationKeyStore } from "../core/registration-keys.ts";
import { envelopeOpener } from "../device/envelope-opener.ts";
import { testEnvelopes, testOpener } from "../device/envelope-self-test.ts";
import type { ProfileAuthorityOf } from "../device/profile-authority.ts";
import {
  RegistrationAuthority,
  type RegistrationKey,
  type RegistrationKeys,
} from "../device/registration-authority.ts";
import { registrationKeyStore } from "../store/registration-key-store.ts";
import type { CertificateKernel } from "./service.ts";

const RA_ISSUED = "scep.ra-issued";
const RA_PUBLISHED = "scep.ra-published";
/** Of keys made in a token whose first RA key is known by its CKA_ID alone. */
const RA_LABEL = "scep-ra";

/** The RA's keys of this connector. The first custody makes new ones; each loads those that it made. */
export function registrationAuthority(
  kernel: CertificateKernel,
  files: AuthorityFiles,
  custodies: readonly RegistrationKeyCustody[],
  holders: Pick<RegistrationKeyStore, "hold" | "isHeldByAll">,
): RegistrationAuthority {
  const { local, clock, log, store } = kernel;
  return new RegistrationAuthority({
    store: registrationKeyStore(store, holders),
    custodies,
    own: { certificate: files.ra.certificate, custody: FOLDER_CUSTODY },
    openerOf: ({ privateKey }) => envelopeOpener(privateKey, local.envelopeThreads),
    clock,
    onMade: async ({ serialNumber, notAfter }) => {
      const payload = { serialNumber, notAfter };
      await store.run("recordAudit", { at: clock.now(), event: RA_ISSUED, payload });
      log.info(payload, RA_ISSUED);
    },
    onPublished: ({ serialNumber, notAfter }, acceptOthersUntil) =>
      log.info({ serialNumber, notAfter, acceptOthersUntil }, RA_PUBLISHED),
    onFailure: (error) => log.error({ err: error }, "scep.ra-failed"),
  });
}

/** New keys are made in the token where the first one is, in encrypted PKCS#8 otherwise. */
export function registrationCustodies(
  { ca }: Pick<LocalConfiguration, "ca">,
  files: AuthorityFiles,
  hsm: Hsm | undefined,
): RegistrationKeyCustody[] {
  const inFiles = [
    encryptedKeyCustody(files, readSecretFile(ca.passphraseFile), systemRandom),
    folderCustody(files),
  ];
  if (hsm === undefined) return inFiles;
  const inToken = hsmCustody(hsm, ca.hsm?.raKeyLabel ?? RA_LABEL, files, systemRandom);
  return isHeld(files.ra.key) ? [inToken, ...inFiles] : [...inFiles, inToken];
}

/** Whether envelopes to the RA's certificate are opened, in the way they will be. Throws `envelope-self-test`. */
export async function testRegistration({ ra }: AuthorityFiles): Promise<void> {
  const { certificate, key: privateKey } = ra;
  if (!isHeld(privateKey)) return testEnvelopes({ certificate, privateKey });
  await using opener = envelopeOpener(privateKey, 0);
  await testOpener(certificate, opener);
}

/**
 * The issuing CA as its own RA, for clients that take one certificate alone. Undefined where its key is not RSA or its
 * certificate does not allow it to decrypt (RFC 8894 section 2.1.2).
 */
export function ownRegistration(
  { issuing }: AuthorityFiles,
  envelopeThreads: number,
): (RegistrationKeys & AsyncDisposable) | undefined {
  const { certificate, key: privateKey } = issuing;
  const canDecrypt = !isHeld(privateKey) || privateKey.decryptRaw !== undefined;
  const isRsa = certificate.publicKey().asymmetricKeyType === "rsa";
  if (!isRsa || !canDecrypt || !certificate.keyUsage?.includes("keyEncipherment")) return undefined;
  const opener = envelopeOpener(privateKey, envelopeThreads);
  const key: RegistrationKey = { responder: { certificate, privateKey }, opener };
  return {
    current: () => key,
    accepted: () => [key],
    lookAgain: async () => undefined,
    [Symbol.asyncDispose]: () => opener[Symbol.asyncDispose](),
  };
}

export interface ProfileAuthorityParts {
  readonly files: AuthorityFiles;
  readonly authorities: Authorities;
  readonly registration: RegistrationKeys;
  readonly own: RegistrationKeys | undefined;
  readonly publisher: Pick<RevocationPublisher, "current">;
}

/** What stands behind each profile's address: its authorities, and the RA that speaks for them. */
export function profileAuthorities(parts: ProfileAuthorityParts): ProfileAuthorityOf {
  const { files, authorities, publisher } = parts;
  const registrationChain = [files.issuing.certificate, files.root];
  return ({ ca, caCertificates }) => {
    const issuers = authorities.candidates(ca).flatMap((authority) => {
      try {
        return [authority.issuer()];
      } catch {
        // One that was never reached has signed nothing yet, either.
        return [];
      }
    });
    const isEmbedded = issuers.some(({ certificate }) =>
      certificate.der.equals(files.issuing.certificate.der),
    );
    return {
      registration: (caCertificates === "single" ? parts.own : undefined) ?? parts.registration,
      issuers: issuers.map(({ certificate }) => certificate),
      chain: () => withChain(chosen(authorities, ca, issuers), registrationChain),
      nextChain: isEmbedded ? files.next : [],
      currentList: (issuer) =>
        issuer.der.equals(files.issuing.certificate.der) ? publisher.current?.der : undefined,
    };
  };
}

/** Who would sign now; while nobody can, who would if it could be reached: devices may learn that much. */
function chosen(authorities: Authorities, ca: string, issuers: readonly Issuer[]): Issuer {
  try {
    return authorities.choose(ca).issuer();
  } catch (error) {
    const [first] = issuers;
    if (first === undefined) throw error;
    return first;
  }
}

/** The issuer's chain, and where the RA's certificate is of another issuer, that one's chain too. */
function withChain({ chain }: Issuer, registrationChain: Issuer["chain"]): Issuer["chain"] {
  const isThere = (der: Buffer) => chain.some((each) => each.der.equals(der));
  return [...chain, ...registrationChain.filter(({ der }) => !isThere(der))];
}
