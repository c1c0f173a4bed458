import type { KeyObject } from "node:crypto";
import {
  assembleSigned,
  encodeTbsCertificate,
  parseCertificate,
  type TbsCertificate,
} from "@isthmus/shared/x509/certificate";
import {
  type Extension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from "@isthmus/shared/x509/extensions";
import type { GeneralName } from "@isthmus/shared/x509/general-name";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { planCertificate } from "./certificate-plan.ts";
import { goodGrant, goodIssuer, goodProfile, goodPublicKeyInfo, NOON } from "./fixture.ts";
import type { Issuer } from "./issuer.ts";
import { lintFaults } from "./lint.ts";
import type { LintSubject } from "./lint-rule.ts";

export type LintContext = Partial<Omit<LintSubject, "certificate">>;

export const LINT_URLS = { crl: "http://pki.example/crl", ocsp: "http://pki.example/ocsp" };
export const DEVICE_NAME: GeneralName = { type: "uri", value: "urn:isthmus:device:device-1" };

/** A certificate that breaks no rule, as the planner writes it, and what one change to it breaks. */
export class LintBench {
  readonly issuer: Issuer;
  readonly issuerKey: KeyObject;
  readonly good: TbsCertificate;

  private constructor(issuer: Issuer, issuerKey: KeyObject, good: TbsCertificate) {
    this.issuer = issuer;
    this.issuerKey = issuerKey;
    this.good = good;
  }

  /** `extensions` go into the issuing CA's certificate. */
  static async make(extensions: readonly Extension[] = []): Promise<LintBench> {
    const { issuer, key } = await goodIssuer(extensions);
    const { tbs } = planCertificate({
      profile: goodProfile,
      grant: goodGrant,
      publicKeyInfo: goodPublicKeyInfo(),
      issuer,
      publicUrls: LINT_URLS,
      serialNumber: "40".repeat(20),
      now: NOON,
    });
    const { signatureAlgorithm } = issuer;
    const parsed = parseCertificate(assembleSigned(tbs, signatureAlgorithm, Buffer.alloc(1)));
    return new LintBench(issuer, key, { ...parsed, signatureAlgorithm });
  }

  context(changes: LintContext = {}): Omit<LintSubject, "certificate"> {
    const { issuer } = this;
    return { issuer, profile: goodProfile, publicUrls: LINT_URLS, now: NOON, ...changes };
  }

  tbs(changes: Partial<TbsCertificate>): Buffer {
    return encodeTbsCertificate({ ...this.good, ...changes });
  }

  /** Every broken rule as `name: what`. */
  faults(changes: Partial<TbsCertificate>, context: LintContext = {}): string[] {
    return this.faultsOf(this.tbs(changes), context);
  }

  faultsOf(tbs: Buffer, context: LintContext = {}): string[] {
    return lintFaults(tbs, this.context(context));
  }

  /** The good extensions with these in the place of their like. */
  with(...extensions: Extension[]): readonly Extension[] {
    const oids = extensions.map(({ oid }) => oid);
    return [...this.good.extensions.filter(({ oid }) => !oids.includes(oid)), ...extensions];
  }

  without(oid: string): readonly Extension[] {
    return this.good.extensions.filter((each) => each.oid !== oid);
  }

  withNames(...names: GeneralName[]) {
    return { extensions: this.with(subjectAltNameExtension(names)) };
  }

  withKey(publicKeyInfo: Buffer) {
    const identifier = subjectKeyIdentifierExtension(keyIdentifierOf(publicKeyInfo));
    return { publicKeyInfo, extensions: this.with(identifier) };
  }
}

/** The names of the rules in faults. */
export function rulesOf(faults: readonly string[]): (string | undefined)[] {
  return faults.map((fault) => fault.split(":")[0]);
}
