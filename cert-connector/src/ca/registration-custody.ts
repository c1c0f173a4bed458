import { createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { ConnectorError } from "@isthmus/shared/errors";
import type { Random } from "@isthmus/shared/random";
import type { RegistrationKeyCustody } from "../core/registration-keys.ts";
import type { AuthorityFiles } from "./authority-folder.ts";
import { issueRegistrationCertificate } from "./registration-certificate.ts";

const generate = promisify(generateKeyPair);

/** As many bits as the key before, and 2048 where it was something else. */
function bitsOf({ ra }: AuthorityFiles): number {
  return ra.certificate.publicKey().asymmetricKeyDetails?.modulusLength ?? 2048;
}

/**
 * RA keys in encrypted PKCS#8 (PBES2, AES-256), under the authority's own passphrase: the authority's folder may be
 * read-only, so they are kept in the ledger's database.
 */
export function encryptedKeyCustody(
  files: AuthorityFiles,
  passphrase: string,
  random: Random,
): RegistrationKeyCustody {
  return {
    kind: "pkcs8",
    make: async (now) => {
      const { privateKey: key } = await generate("rsa", { modulusLength: bitsOf(files) });
      const { subject } = files.ra.certificate;
      const { issuing } = files;
      return {
        certificate: await issueRegistrationCertificate({ subject, key, issuing, now, random }),
        material: key.export({
          type: "pkcs8",
          format: "pem",
          cipher: "aes-256-cbc",
          passphrase,
        }) as string,
      };
    },
    load: async ({ id, material }) => opened(id, material, passphrase),
  };
}

/** One block and nothing else: a key in the clear opens with any passphrase, and need not be one that was made here. */
const ENCRYPTED_KEY =
  /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END ENCRYPTED PRIVATE KEY-----\n?$/;

function opened(id: string, material: string, passphrase: string): KeyObject {
  if (!ENCRYPTED_KEY.test(material)) {
    throw new ConnectorError(
      "key-unreadable",
      `the RA key ${id.slice(0, 16)} of the ledger is not encrypted: somebody else put it there`,
    );
  }
  try {
    return createPrivateKey({ key: material, passphrase });
  } catch (cause) {
    throw new ConnectorError(
      "key-unreadable",
      `the RA key ${id.slice(0, 16)} of the ledger cannot be opened: the CA's passphrase is not the one it was made with`,
      { cause },
    );
  }
}

/** What was made by `ca init` or `ca renew-ra` and stays in the folder: the key that is there now, and the one before. */
export function folderCustody({ ra, previousRa }: AuthorityFiles): RegistrationKeyCustody {
  return {
    kind: FOLDER_CUSTODY,
    make: () =>
      Promise.reject(new ConnectorError("key-unavailable", "no key is made in the CA's folder")),
    load: async ({ id }) => {
      if (id === ra.certificate.thumbprint) return ra.key;
      if (id === previousRa?.certificate.thumbprint) return previousRa.key;
      throw new ConnectorError(
        "key-unreadable",
        `the RA key ${id.slice(0, 16)} was in the CA's folder and is not there any more`,
      );
    },
  };
}

export const FOLDER_CUSTODY = "folder";
