import { ConnectorError } from "@isthmus/shared/errors";
import { assembleSigned } from "@isthmus/shared/x509/certificate";
import {
  encodeTbsCertificateList,
  type TbsCertificateList,
} from "@isthmus/shared/x509/certificate-list";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { sign, signatureAlgorithmFor } from "@isthmus/shared/x509/signature";
import type { Issuer } from "../core/issuer.ts";
import type { CertificateAuthority } from "../core/ports.ts";
import type { AuthorityFiles } from "./authority-folder.ts";

/** The authority whose keys are here. It signs certificates from the ledger, and lists of what the ledger revoked. */
export interface EmbeddedAuthority extends CertificateAuthority {
  signList(
    of: Pick<TbsCertificateList, "thisUpdate" | "nextUpdate" | "crlNumber" | "revoked">,
  ): Promise<Buffer>;
}

/** `obstacle` says why its key cannot be used now, where it is held elsewhere. */
export function embeddedAuthority(
  { issuing, root }: AuthorityFiles,
  obstacle: () => string | undefined = () => undefined,
): EmbeddedAuthority {
  const { certificate, key } = issuing;
  const signatureAlgorithm = signatureAlgorithmFor(key);
  const keyIdentifier = keyIdentifierOf(certificate.publicKeyInfo);
  const issuer: Issuer = {
    keyId: keyIdentifier.toString("hex"),
    certificate,
    chain: [certificate, root],
    signatureAlgorithm,
  };

  async function signed(tbs: Uint8Array): Promise<Buffer> {
    const signature = await sign(signatureAlgorithm, tbs, key);
    return assembleSigned(tbs, signatureAlgorithm, signature);
  }

  return {
    name: "embedded",
    labels: [],
    kind: "embedded",
    issuer: () => issuer,
    obstacle,
    issue: async ({ tbs, issuerKeyId, serialNumber }) => {
      if (issuerKeyId !== issuer.keyId) {
        throw new ConnectorError(
          "issuer-gone",
          `certificate ${serialNumber} was intended for issuer ${issuerKeyId}, which is not here any more`,
        );
      }
      return { kind: "issued", certificate: await signed(tbs) };
    },
    // Its lists are made from the ledger, where the revocation is already.
    revoke: async () => undefined,
    signList: (of) => {
      const { subject } = certificate;
      return signed(
        encodeTbsCertificateList({
          ...of,
          issuer: subject,
          authorityKeyIdentifier: keyIdentifier,
          signatureAlgorithm,
        }),
      );
    },
  };
}
