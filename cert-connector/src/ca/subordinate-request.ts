import { RefusalError } from "@isthmus/shared/errors";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import {
  type CertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { isSameName } from "@isthmus/shared/x509/name";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { describePublicKey } from "@isthmus/shared/x509/public-key";
import { rsaKeyFaults } from "../core/lint-rsa-rules.ts";
import { keyFault } from "../core/public-key.ts";

/** What an authority's key has to be at least; its certificates live for years. */
const KEY_FLOOR = { rsaBits: 2048, curves: ["P-256", "P-384", "P-521"] } as const;

/** Reads a request in PEM (also with the older label) or DER. Throws `der-*`, `x509-*`. */
export function readSubordinateRequest(content: Buffer): CertificationRequest {
  if (content[0] === 0x30) return parseCertificationRequest(content);
  const text = content.toString("latin1");
  const label = /-----BEGIN ((?:NEW )?CERTIFICATE REQUEST)-----/.exec(text)?.[1];
  const [der] = label === undefined ? [] : pemToDer(text, label);
  if (der !== undefined) return parseCertificationRequest(der);
  throw new RefusalError("ca-request", "ca.request", "the file holds no certification request");
}

/** What the root is asked to make of it. */
export interface SubordinateWish {
  readonly root: Certificate;
  readonly pathLength: number;
  readonly now: number;
  readonly validityMs: number;
}

/** Refuses with every fault of the request and of the wish at once. Throws RefusalError `ca-request`. */
export function requireSubordinate(request: CertificationRequest, wish: SubordinateWish): void {
  const faults = [...requestFaults(request, wish.root), ...wishFaults(wish)];
  if (faults.length === 0) return;
  throw new RefusalError("ca-request", "ca.request", `not signed: ${faults.join("; ")}`);
}

function requestFaults(request: CertificationRequest, root: Certificate): string[] {
  const { subject, publicKeyInfo, requested } = request;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      !request.verifySignature(),
      "its own signature is wrong, or made with an algorithm that is not allowed (e.g. SHA-1)",
    ],
    [subject.attributes.length === 0, "it has no subject"],
    [isSameName(subject, root.subject), "its subject is the root's own"],
    [publicKeyInfo.equals(root.publicKeyInfo), "its key is the root's own"],
    [
      requested.basicConstraints?.isCa === false,
      "it asks for a certificate that is no authority's",
    ],
    [
      requested.keyUsage !== undefined && !requested.keyUsage.includes("keyCertSign"),
      "it asks for a key usage without keyCertSign",
    ],
  ];
  const broken = rules.filter(([isBroken]) => isBroken).map(([, fault]) => fault);
  const weak = keyFault(describePublicKey(publicKeyInfo), KEY_FLOOR);
  return [...broken, ...(weak === undefined ? [] : [weak]), ...rsaKeyFaults(publicKeyInfo)];
}

function wishFaults({ root, pathLength, now, validityMs }: SubordinateWish): string[] {
  const { basicConstraints, keyUsage, notAfter } = root;
  const limit = basicConstraints?.pathLength;
  const rules: readonly (readonly [boolean, string])[] = [
    [basicConstraints?.isCa !== true, "the root's certificate is no authority's"],
    [
      keyUsage !== undefined && !keyUsage.includes("keyCertSign"),
      "the root may not sign certificates",
    ],
    [
      limit !== undefined && pathLength >= limit,
      `the root allows path lengths below ${limit}, and ${pathLength} was asked for`,
    ],
    [notAfter <= now, "the root has expired"],
    [
      notAfter > now && now + validityMs > notAfter,
      `the root ends on ${new Date(notAfter).toISOString().slice(0, 10)}, before the certificate would`,
    ],
  ];
  return rules.filter(([isBroken]) => isBroken).map(([, fault]) => fault);
}
