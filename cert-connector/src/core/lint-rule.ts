import type { Certificate } from "@isthmus/shared/x509/certificate";
import type { Issuer } from "./issuer.ts";
import type { Profile, PublicUrls } from "./profile.ts";

/** What the rules look at: the certificate as any relying party will parse it, and what it was meant to be. */
export interface LintSubject {
  readonly certificate: Certificate;
  readonly issuer: Issuer;
  readonly profile: Profile;
  readonly publicUrls: PublicUrls;
  readonly now: number;
}

/** One thing that a certificate of ours must be. */
export interface LintRule {
  readonly name: string;
  /** Where it is written, e.g. `RFC 5280 section 4.1.2.2`. */
  readonly source: string;
  /** What is wrong; undefined if nothing is. */
  fault(subject: LintSubject): string | undefined;
}
