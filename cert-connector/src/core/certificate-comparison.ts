import {
  assembleSigned,
  type Certificate,
  parseCertificate,
} from "@isthmus/shared/x509/certificate";
import { verifyIssuedBy } from "@isthmus/shared/x509/chain";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { isSameName } from "@isthmus/shared/x509/name";
import type { Issuer } from "./issuer.ts";

/** A remote authority's clock and its rounding to whole days. */
const VALIDITY_TOLERANCE_MS = 86_400_000;
const NO_SIGNATURE = Buffer.alloc(1);

/**
 * Where the certificate that a remote authority made goes beyond the plan (a TBSCertificate, DER); empty if it keeps to
 * it. The authority may add its own addresses and policies, and may give less: a shorter validity, fewer usages. It may
 * not give another key, other names, more usages or a CA.
 */
export function deviationsFromPlan(
  plannedTbs: Uint8Array,
  made: Certificate,
  issuer: Issuer,
): string[] {
  const planned = parseCertificate(
    assembleSigned(plannedTbs, issuer.signatureAlgorithm, NO_SIGNATURE),
  );
  const deviations: string[] = [];
  const expect = (isKept: boolean, deviation: string) => {
    if (!isKept) deviations.push(deviation);
  };
  expect(verifyIssuedBy(made, issuer.certificate), "it is not signed by the authority's issuer");
  expect(made.publicKeyInfo.equals(planned.publicKeyInfo), "it is for another key");
  expect(isSameName(made.subject, planned.subject), "its subject is another");
  expect(made.basicConstraints?.isCa !== true, "it is a CA's");
  expect(
    made.notAfter <= planned.notAfter + VALIDITY_TOLERANCE_MS,
    "it is valid for longer than planned",
  );
  expect(made.notBefore < made.notAfter, "its validity is empty");
  expect(
    isPart(made.keyUsage, planned.keyUsage),
    "it has further key usages, or no bounds on them",
  );
  expect(
    isPart(made.extendedKeyUsage, planned.extendedKeyUsage),
    "it has further extended key usages, or no bounds on them",
  );
  expect(sameNames(made, planned), "its alternative names are others");
  expect(made.sid === planned.sid, "its security identifier is another");
  return deviations;
}

/** Absent means unbounded, so it is part of nothing but what is absent too. */
function isPart(
  made: readonly string[] | undefined,
  planned: readonly string[] | undefined,
): boolean {
  if (planned === undefined) return true;
  return made !== undefined && made.length > 0 && made.every((each) => planned.includes(each));
}

function sameNames(made: Certificate, planned: Certificate): boolean {
  const [ours, theirs] = [planned, made].map((certificate) =>
    [...new Set((certificate.subjectAltNames ?? []).map(comparable))].sort().join("\n"),
  );
  return ours === theirs;
}

/** Host names and mail domains are the same in either case. */
function comparable(name: GeneralName): string {
  const text = JSON.stringify(name);
  return name.type === "dns" || name.type === "email" ? text.toLowerCase() : text;
}
