import type { NotificationTarget } from "./notification.ts";
import type { AltName } from "./profile.ts";

/** How a device's id stands in its certificate: the one way in which gateways recognise it. */
export const DEVICE_URI_PREFIX = "urn:isthmus:device:";
/** Strong mapping of Active Directory ([KB5014754]): the URI that carries a security identifier. */
export const SID_URI_PREFIX = "tag:microsoft.com,2022-09-14:sid:";

/**
 * What a verified challenge (or the grant of the certificate being renewed) allows a device to be called. It is kept
 * with the certificate, so that a renewal asks for the same identity and never takes one from a request.
 */
export interface Grant {
  /** Of a one-time challenge: the id that may be used for one request only, and until when it is remembered. */
  readonly challenge?: { readonly id: string; readonly expiresAt: number } | undefined;
  readonly deviceId?: string | undefined;
  readonly userPrincipalName?: string | undefined;
  /** RFC 4514. */
  readonly subject?: string | undefined;
  readonly subjectAltNames: readonly AltName[];
  /** Further variables of templates by name, as far as the challenge proves them. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  /** The common name of the certification request, for profiles whose template asks for it. */
  readonly requestedCommonName?: string | undefined;
  /** The last time it was renewed with a certificate that had expired, and how often that was since the challenge. */
  readonly rescue?:
    | {
        readonly count: number;
        /** Serial number of the expired certificate; when it was issued and when it ended, ms. */
        readonly of: string;
        readonly issuedAt: number;
        readonly expiredAt: number;
      }
    | undefined;
  /** Who validated the challenge and is to hear what came of it, before the device does. */
  readonly notify?: NotificationTarget | undefined;
}

/** Whether a URI stands for a security identifier: compared without case, as a directory may. */
export function isSidUri(uri: string): boolean {
  return uri.toLowerCase().startsWith(SID_URI_PREFIX);
}
