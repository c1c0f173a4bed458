/**
 * What the connector and the process that owns the PKCS#11 module say to each other. One act after the other is answered
 * under its number; several may be under way, at most one per session.
 */

/** Where keys are and how the token is opened. */
export interface HsmPlace {
  /** The vendor's PKCS#11 library, e.g. `/usr/lib/softhsm/libsofthsm2.so`. */
  readonly module: string;
  readonly tokenLabel?: string | undefined;
  /** Number of the slot; where it is absent the token is looked for by its label. */
  readonly slot?: number | undefined;
  readonly pinFile: string;
  /** Sessions, and so operations under way at once. */
  readonly sessions: number;
}

/** A key in the token: by label, by CKA_ID (hex), or by both. */
export interface HsmKeyName {
  readonly label?: string | undefined;
  readonly id?: string | undefined;
}

export const HSM_KEY_ALGORITHMS = ["rsa-2048", "rsa-3072", "ec-p256", "ec-p384"] as const;
export type HsmKeyAlgorithm = (typeof HSM_KEY_ALGORITHMS)[number];

export type SigningDigest = "sha1" | "sha256" | "sha384" | "sha512";

/** An act and what it answers with. */
export interface HsmActs {
  open: { readonly place: HsmPlace };
  /** ECDSA answers with r and s, of one length. */
  sign: {
    readonly key: HsmKeyName;
    readonly scheme: "rsa" | "ecdsa";
    readonly digest: SigningDigest;
    readonly message: Uint8Array;
  };
  decryptRaw: { readonly key: HsmKeyName; readonly octets: Uint8Array };
  publicKey: { readonly key: HsmKeyName };
  generate: {
    readonly label: string;
    readonly algorithm: HsmKeyAlgorithm;
    readonly canDecrypt: boolean;
  };
}
export interface HsmAnswers {
  open: HsmToken;
  sign: Uint8Array;
  decryptRaw: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
  generate: Uint8Array;
}
export type HsmActKind = keyof HsmActs;

/** What a token says of itself. */
export interface HsmToken {
  readonly label: string;
  readonly model: string;
  readonly manufacturer: string;
  readonly serialNumber: string;
}

export type ToHsmProcess = {
  readonly [Kind in HsmActKind]: { readonly id: number; readonly kind: Kind } & HsmActs[Kind];
}[HsmActKind];

/** Why an act failed. A lost session is mended by opening the token anew; anything else is not. */
export interface HsmFault {
  readonly code: string;
  readonly message: string;
  readonly isSessionLost: boolean;
}

export type FromHsmProcess =
  | { readonly id: number; readonly answer: HsmAnswers[HsmActKind] }
  | { readonly id: number; readonly fault: HsmFault };
