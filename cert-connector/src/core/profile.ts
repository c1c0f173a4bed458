import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { DirectoryLookUp } from "./directory-entry.ts";

/** A kind of alternative name that profiles and challenges speak of; `upn` is Microsoft's user principal name. */
export type AltNameType = "uri" | "dns" | "email" | "upn";

export interface AltName {
  readonly type: AltNameType;
  readonly value: string;
}

/**
 * What a certificate is to be. It decides everything in it: a certification request is only a request. Key usages have
 * the names of RFC 5280, extended key usages those of `EXTENDED_KEY_USAGE_OIDS`.
 */
export interface Profile {
  readonly id: string;
  readonly scepPath?: string | undefined;
  readonly ndesPath: boolean;
  /** An authority's name, or a label that several carry. */
  readonly ca: string;
  readonly subject: "fromChallenge" | { readonly template: string };
  readonly subjectAltNames: readonly { readonly type: AltNameType; readonly template: string }[];
  readonly challengeSubjectAltNames: readonly AltNameType[];
  readonly keyUsage: readonly ProfileKeyUsage[];
  readonly extendedKeyUsage: readonly ExtendedKeyUsage[];
  readonly validityDays: number;
  readonly renewalWindowPercent: number;
  readonly keyFloor: { readonly rsaBits: number; readonly curves: readonly Curve[] };
  readonly challenge:
    | { readonly kind: "signed" }
    | {
        readonly kind: "static";
        readonly secretName: string;
        readonly deviceId: "none" | "requestedCommonName";
      }
    | {
        readonly kind: "intune";
        readonly tenant: string;
        readonly deviceId: "none" | "requestedCommonName";
      }
    | { readonly kind: "webhook"; readonly name: string };
  /** Where variables come from that no challenge brings, and where certificates may be published to. */
  readonly directory?:
    | {
        readonly name: string;
        readonly lookUp: DirectoryLookUp;
        /** Without an entry nothing is issued; else only what the templates need is missing. */
        readonly required: boolean;
        /** The certificate is added to the entry's `userCertificate`, and taken off when it is revoked or expired. */
        readonly publish: boolean;
      }
    | undefined;
  /** Strong mapping of Active Directory: `directory` puts the account's SID into the certificate. */
  readonly securityIdentifier: "none" | "directory";
  /** `single`: GetCACert gives the issuing CA's certificate alone, whose key is its own RA. `chain` where absent. */
  readonly caCertificates?: "chain" | "single" | undefined;
  readonly renewalSpreadPercent?: number | undefined;
  readonly rescueDays?: number | undefined;
  /** `new`: a renewal has to bring another key than the certificate it renews. `any` where absent. */
  readonly renewalKey?: "any" | "new" | undefined;
  readonly legacyAlgorithms: boolean;
  readonly approval: boolean;
  /** Keys made on the connector and delivered as PFX; absent: the profile makes none. */
  readonly pfx?: PfxSettings | undefined;
  readonly maxPerHour: number;
}

/** How a private key that is made here reaches its device. */
export interface PfxSettings {
  readonly format: "legacy" | "modern";
  readonly keyType: "rsa-2048" | "rsa-3072";
}

export type Curve = "P-256" | "P-384" | "P-521";
export type ProfileKeyUsage =
  | "digitalSignature"
  | "nonRepudiation"
  | "keyEncipherment"
  | "dataEncipherment"
  | "keyAgreement";

/** RFC 5280 section 4.2.1.12; smartcardLogon: [MS-WCCE]; ipsecIke: RFC 4945. */
export const EXTENDED_KEY_USAGE_OIDS = {
  serverAuth: OID.serverAuth,
  clientAuth: OID.clientAuth,
  emailProtection: OID.emailProtection,
  ipsecIke: OID.ipsecIke,
  smartcardLogon: OID.smartcardLogon,
} as const;
export type ExtendedKeyUsage = keyof typeof EXTENDED_KEY_USAGE_OIDS;

/** Where relying parties find lists, responders and CA certificates; the file name is added. */
export interface PublicUrls {
  readonly crl?: string | undefined;
  readonly ocsp?: string | undefined;
  readonly ca?: string | undefined;
}

/** The last segment of the profile's SCEP address. */
export function scepPathOf(profile: Pick<Profile, "id" | "scepPath">): string {
  return profile.scepPath ?? profile.id;
}
