import type { AuthenticatorPage, AuthenticatorPageRequest, FormField } from "../authenticator.ts";
import type { Refusal } from "../refusal.ts";
import type { DtlsOffer, EngineConnection } from "../vpn-engine.ts";

/**
 * What the protocol front asks of the VPN's core: who may have a session, and what the session is like. The front reads bytes
 * and writes bytes; everything it is told here it may say to the client as it stands.
 */
export interface VpnService {
  readonly login: VpnLogin;
  /** Judges a cookie, takes an address and opens the session in the engine; the front attaches the connection to it. */
  connect(request: TunnelRequest, signal: AbortSignal): Promise<TunnelAnswer>;
  /** Ends the session of a cookie at its user's wish. Unknown cookies are no fault. */
  logout(cookie: string): Promise<void>;
  /** A page below `/auth/<authenticator>/`; undefined where there is none. */
  page(
    authenticator: string,
    request: AuthenticatorPageRequest,
    signal: AbortSignal,
  ): Promise<AuthenticatorPage | undefined>;
}

export interface VpnLogin {
  /** Starts a login; nothing is known but what the connection shows and the client says. */
  begin(request: LoginRequest, signal: AbortSignal): Promise<LoginAnswer>;
  /** Goes on where the answer with this `opaque` stood, possibly on another connection; unknown ones begin anew. */
  answer(
    opaque: string,
    fields: ReadonlyMap<string, string>,
    request: LoginRequest,
    signal: AbortSignal,
  ): Promise<LoginAnswer>;
}

export interface LoginRequest {
  readonly connection: EngineConnection;
  readonly client: ClientFacts;
  /** As the client chose it: a name or a label of a group, or the path of its URL without slashes; undefined for the default. */
  readonly group: string | undefined;
  /** `Authorization: Bearer`. */
  readonly bearerToken: string | undefined;
  /** The client brings a token once it is asked for one; one that has none says so by coming again without this. */
  readonly canBringToken: boolean;
  /** The client says that it has no certificate to show (`client-cert-fail`). */
  readonly hasNoCertificate: boolean;
  /** `https://host[:port]` as the client addressed the gateway. */
  readonly publicUrl: string;
}

/** What a client says of itself. None of it is proved. */
export interface ClientFacts {
  readonly kind: "openconnect" | "anyconnect" | "other";
  /** The `User-Agent`; empty without. */
  readonly userAgent: string;
  readonly version: string | undefined;
  /** `win`, `linux-64`, `mac-intel`, `apple-ios`, `android`, ... */
  readonly platform: string | undefined;
  readonly platformVersion: string | undefined;
  readonly deviceType: string | undefined;
  /** The client's own number for its device (`unique-id`), not a device id of the cloud's. */
  readonly uniqueId: string | undefined;
  readonly isMobile: boolean;
  /** What a token is sealed to on its way from the system's browser (`LoginContext.browserKey`); unread. */
  readonly browserKey: string | undefined;
}

export interface LoginGroup {
  readonly name: string;
  readonly label: string;
}

export type LoginAnswer =
  | {
      readonly kind: "form";
      readonly opaque: string;
      readonly message: string;
      /** Why the last answer would not do. */
      readonly error?: string | undefined;
      readonly fields: readonly FormField[];
      /** To choose from; nothing is shown for fewer than two. */
      readonly groups: readonly LoginGroup[];
      /** The name of the group that the form is for. */
      readonly group: string;
    }
  /** The client's browser goes to `loginUrl`, ends at `finalUrl`, and the client answers with the cookie's value under `tokenCookie`. */
  | {
      readonly kind: "browse";
      readonly opaque: string;
      readonly message: string;
      readonly loginUrl: string;
      readonly finalUrl: string;
      readonly tokenCookie: string;
      readonly errorCookie: string;
      readonly groups: readonly LoginGroup[];
      readonly group: string;
    }
  /** The client shall come again and show a certificate, or say that it has none. */
  | { readonly kind: "certificate"; readonly opaque: string; readonly message: string }
  /** The client shall come again and bring a bearer token, or say that it has none. */
  | { readonly kind: "token"; readonly message: string }
  | {
      readonly kind: "accepted";
      /** The session's cookie: printable, without `;`, `,`, `"`, `\` and spaces. */
      readonly cookie: string;
      readonly userName: string;
      readonly group: string;
      readonly banner?: string | undefined;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** A request for a tunnel, by the holder of a cookie. */
export interface TunnelRequest {
  readonly cookie: string;
  readonly connection: EngineConnection;
  readonly client: ClientFacts;
  /** What the client calls its host. */
  readonly hostName: string | undefined;
  readonly wantsIpv4: boolean;
  /** The client can have IPv6 inside. It still gets none where the MTU that is decided on is under 1,280. */
  readonly wantsIpv6: boolean;
  /** The addresses of the tunnel that it had before. */
  readonly formerAddresses: readonly string[];
  /** Largest inner packet that fits the client's path by either transport; the session's is at most the one that it is to use. */
  readonly mtu: { readonly tls: number; readonly dtls: number };
  /** How the client could open DTLS; undefined where it cannot or UDP is off. */
  readonly dtls: DtlsWish | undefined;
}

export type DtlsWish =
  | { readonly kind: "psk" }
  | {
      readonly kind: "resumption";
      readonly masterSecret: Uint8Array;
      /** OpenSSL's name of a TLS 1.2 suite, chosen from what the client named. */
      readonly cipher: string;
    };

export type TunnelAnswer =
  | { readonly kind: "connected"; readonly tunnel: TunnelSettings }
  /** 401: log in again. 503: nothing to give now, come later. */
  | { readonly kind: "refused"; readonly status: 401 | 403 | 503; readonly refusal: Refusal };

/** Everything that a client is told about its session. */
export interface TunnelSettings {
  readonly sessionId: number;
  readonly ipv4: { readonly address: string; readonly netmask: string } | undefined;
  readonly ipv6: { readonly address: string; readonly prefixLength: number } | undefined;
  readonly mtu: number;
  readonly dnsServers: readonly string[];
  readonly defaultDomain: string | undefined;
  readonly splitDns: readonly string[];
  /** Whether all names go to `dnsServers`, whatever else is routed. */
  readonly tunnelAllDns: boolean;
  /** CIDR, either family; all goes through the tunnel where `routesInclude` is empty. */
  readonly routesInclude: readonly string[];
  readonly routesExclude: readonly string[];
  /** Whether a family that has no address in the tunnel may pass beside it. */
  readonly bypassesMissingFamily: boolean;
  readonly banner: string | undefined;
  /** Zero is off, or without end. */
  readonly dpdSeconds: number;
  readonly keepaliveSeconds: number;
  readonly idleSeconds: number;
  readonly sessionSeconds: number;
  readonly sessionSecondsLeft: number;
  readonly disconnectedSeconds: number;
  readonly rekeySeconds: number;
  /** How the client may open DTLS; undefined for TLS alone. */
  readonly dtls: DtlsOffer | undefined;
}
