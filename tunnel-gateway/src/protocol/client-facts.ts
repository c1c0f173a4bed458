import type { HttpFields } from "./http-head.ts";

/** What a client says of itself, in the fields of a request or in the XML of its login. None of it is proved. */
export interface ClientFacts {
  readonly kind: "openconnect" | "anyconnect" | "other";
  readonly userAgent: string;
  readonly version: string | undefined;
  readonly platform: string | undefined;
  readonly platformVersion: string | undefined;
  readonly deviceType: string | undefined;
  readonly uniqueId: string | undefined;
  readonly isMobile: boolean;
  readonly isIos: boolean;
  readonly hasBrowser: boolean;
  readonly hasExternalBrowser: boolean;
  /**
   * `X-AnyConnect-STRAP-DH-Pubkey` where the login goes on in the system's browser: with openconnect, whose command line has no
   * browser of its own. AnyConnect has one, and wants a package of its server's for the other.
   */
  readonly browserKey: string | undefined;
  /** openconnect 3 and older understand the first form of the login's XML alone. */
  readonly isOldOpenConnect: boolean;
}

/** The part of it that stands in the XML of a login. */
export interface StatedClient {
  readonly version?: string | undefined;
  readonly platform?: string | undefined;
  readonly platformVersion?: string | undefined;
  readonly deviceType?: string | undefined;
  readonly uniqueId?: string | undefined;
  readonly authMethods?: readonly string[];
}

/** Own limit on each of these texts: they go into logs and lists. */
const MAX_CHARACTERS = 256;

/** Joins what fields and XML say; the XML counts where both speak. */
export function readClientFacts(fields: HttpFields, stated: StatedClient = {}): ClientFacts {
  const field = (name: string) => fields.get(`X-AnyConnect-Identifier-${name}`);
  const userAgent = printable(fields.get("User-Agent")) ?? "";
  const platform = printable(
    stated.platform ?? field("Platform") ?? fields.get("X-AnyConnect-Platform"),
  );
  const methods = new Set(stated.authMethods);
  const isIos =
    platform?.startsWith("apple-ios") === true ||
    /^Cisco AnyConnect VPN Agent for Apple/i.test(userAgent);
  const kind = kindOf(userAgent);
  const hasExternalBrowser = methods.has("single-sign-on-external-browser");
  const key = kind === "openconnect" ? fields.get("X-AnyConnect-STRAP-DH-Pubkey") : undefined;
  return {
    kind,
    userAgent,
    version: printable(stated.version ?? field("ClientVersion")),
    platform,
    platformVersion: printable(stated.platformVersion ?? field("PlatformVersion")),
    deviceType: printable(stated.deviceType ?? field("DeviceType")),
    uniqueId: printable(stated.uniqueId ?? field("Device-UniqueID")),
    isMobile: isIos || platform?.startsWith("android") === true,
    isIos,
    hasBrowser: methods.has("single-sign-on-v2"),
    hasExternalBrowser,
    browserKey: hasExternalBrowser ? key : undefined,
    isOldOpenConnect: /^Open AnyConnect VPN Agent v[0-3](\D|$)/i.test(userAgent),
  };
}

/**
 * Later than 9.12 openconnect is an "AnyConnect-compatible OpenConnect VPN Agent"; Cisco's client is "AnyConnect ..." still,
 * though it is sold under another name.
 */
function kindOf(userAgent: string): ClientFacts["kind"] {
  if (/^Open AnyConnect VPN Agent|OpenConnect VPN Agent/i.test(userAgent)) return "openconnect";
  if (/^(?:Cisco )?(?:AnyConnect|Secure Client)/i.test(userAgent)) return "anyconnect";
  return "other";
}

function printable(text: string | undefined): string | undefined {
  const trimmed = text?.replace(/[^\x20-\x7e]/g, "?").trim();
  return trimmed === undefined || trimmed === "" || trimmed.length > MAX_CHARACTERS
    ? undefined
    : trimmed;
}
