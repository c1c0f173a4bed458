import type { Refusal } from "./refusal.ts";

/** Who an authenticator says somebody is. */
export interface AuthenticatedUser {
  /** As policies, logs and accounts name the user: a user principal name where there is one. */
  readonly userName: string;
  /** Groups that the authenticator vouches for. */
  readonly groups: readonly string[];
}

/** One thing to ask of a user. `name` is unique within its form. */
export interface FormField {
  readonly name: string;
  readonly label: string;
  readonly kind: "text" | "password" | "hidden";
  readonly value?: string | undefined;
}

/** What is known before anything is asked. */
export interface LoginContext {
  readonly remoteAddress: string;
  readonly group: string;
  /** The name given so far, by an earlier authenticator or form. */
  readonly userName: string | undefined;
  /** `Authorization: Bearer`, where the client sent one. */
  readonly bearerToken: string | undefined;
  /** Own base URL, `https://host:port`, as the client addressed it. */
  readonly publicUrl: string;
  readonly deviceId: string | undefined;
  /**
   * `X-AnyConnect-STRAP-DH-Pubkey` of a client that hands logins to the system's browser: what the token is sealed to on its
   * way back. Undefined where the client has a browser of its own, or none.
   */
  readonly browserKey?: string | undefined;
}

/** Where an authentication stands. `state` stays in the gateway's memory between rounds, bound to the client's opaque token. */
export type AuthenticationStep =
  | {
      readonly kind: "ask";
      readonly message: string;
      readonly fields: readonly FormField[];
      readonly state: unknown;
    }
  /** The client opens `loginUrl` in a browser and comes back with the cookie `tokenCookie`. */
  | {
      readonly kind: "browse";
      readonly message: string;
      readonly loginUrl: string;
      readonly finalUrl: string;
      readonly tokenCookie: string;
      readonly errorCookie: string;
      readonly state: unknown;
    }
  | { readonly kind: "accepted"; readonly user: AuthenticatedUser }
  /** `isAttempt`: it counts against account and address. */
  | { readonly kind: "refused"; readonly refusal: Refusal; readonly isAttempt: boolean };

/** One way to authenticate, made from the local configuration. Time-outs and outages are refusals of code `authenticator-unreachable`. */
export interface Authenticator {
  readonly name: string;
  /** Whether `begin` is content with a `bearerToken`. */
  readonly takesToken?: boolean;
  begin(context: LoginContext, signal: AbortSignal): Promise<AuthenticationStep>;
  /** `answers` by field name; a `browse` step answers with the cookie's value under `tokenCookie`. */
  answer(
    state: unknown,
    answers: ReadonlyMap<string, string>,
    context: LoginContext,
    signal: AbortSignal,
  ): Promise<AuthenticationStep>;
  /** A page under the authenticator's own path (`/auth/<name>/...`), such as an OIDC redirect; undefined where it has none. */
  page?(request: AuthenticatorPageRequest, signal: AbortSignal): Promise<AuthenticatorPage>;
  /** Whether it can be reached, for `check`. Throws a ConnectorError that says what to do. */
  check(signal: AbortSignal): Promise<void>;
}

export interface AuthenticatorPageRequest {
  readonly method: string;
  readonly url: URL;
  readonly cookies: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface AuthenticatorPage {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** Each `name=value; attributes`. */
  readonly cookies: readonly string[];
  readonly body: string;
}
