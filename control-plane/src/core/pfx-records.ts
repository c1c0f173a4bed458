import { createHash } from "node:crypto";
import type { Act } from "./admin-records.ts";

/** What passes between the store and those who keep users' PFX files and order deliveries. Times are ms since the epoch. */

/** A userPfxCertificate as it was sent: its secrets are encrypted, and nobody here has the key. */
export interface NewUserPfx extends Act {
  readonly userPrincipalName: string;
  /** SHA-1, lower-case hex. */
  readonly thumbprint: string;
  readonly intendedPurpose: string;
  readonly startsAt: number;
  readonly expiresAt: number;
  readonly providerName: string;
  readonly keyName: string;
  readonly paddingScheme: string;
  readonly encryptedPfxBlob: string;
  readonly encryptedPfxPassword: string;
}

/** Fields that are left out stay. `ifModifiedAt` refuses a change of what somebody else has changed since. */
export interface UserPfxChange extends Act, Partial<Omit<NewUserPfx, keyof Act | "thumbprint">> {
  readonly id: string;
  readonly ifModifiedAt?: number;
}

/** Whose key a delivery is encrypted to; where nothing is said, that of the device's newest certificate there. */
export type WantedRecipient =
  | { readonly kind: "issued"; readonly serialNumber: string }
  | { readonly kind: "listed"; readonly certificate: string }
  | undefined;

interface DeliveryRequest extends Act {
  readonly commandId: string;
  readonly requestId: string;
  readonly connectorId: string;
  readonly deviceId: string;
  readonly recipient: WantedRecipient;
}

export interface PkcsRequest extends DeliveryRequest {
  readonly profileId: string;
  readonly subject: string;
  readonly subjectAltNames: readonly { readonly type: string; readonly value: string }[];
}

export interface PfxDeliveryRequest extends DeliveryRequest {
  readonly userPfxCertificateId: string;
  readonly format: "legacy" | "modern";
}

/** The id of a userPfxCertificate: `{userId}-{thumbprint}`. A user is known here by name alone, so the id comes from that. */
export function userPfxId(userPrincipalName: string, thumbprint: string): string {
  const digest = createHash("sha256").update(userPrincipalName.toLowerCase()).digest("hex");
  const parts = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    digest.slice(12, 16),
    digest.slice(16, 20),
  ];
  return `${parts.join("-")}-${digest.slice(20, 32)}-${thumbprint}`;
}
