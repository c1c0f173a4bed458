import type { Clock } from "@isthmus/shared/clock";
import type { Authenticator } from "../core/authenticator.ts";
import type { OneTimeSteps } from "../core/one-time-steps.ts";
import { type LdapOptions, ldapAuthenticator } from "./ldap-authenticator.ts";
import { oidcAuthenticator } from "./oidc-authenticator.ts";
import type { OidcOptions } from "./oidc-provider.ts";
import { type RadiusOptions, radiusAuthenticator } from "./radius-authenticator.ts";
import { totpAuthenticator } from "./totp-authenticator.ts";
import { usersAuthenticator } from "./users-authenticator.ts";
import { WorkLimit } from "./work-limit.ts";

/** One authenticator of the local configuration. */
export type AuthenticatorOptions =
  | { readonly type: "users" | "totp"; readonly file: string }
  | ({ readonly type: "ldap" } & LdapOptions)
  | ({ readonly type: "radius" } & RadiusOptions)
  | ({ readonly type: "oidc" } & OidcOptions);

/** What authenticators need of the gateway. */
export interface AuthenticatorSurroundings {
  readonly clock: Clock;
  readonly steps: OneTimeSteps;
}

/** Own limit: a password's hash takes one of the four threads that files and names are read with, for 50 ms. */
const HASHES = { underWay: 2, waiting: 64 };

/** Makes every authenticator of the local configuration, by name. */
export function makeAuthenticators(
  configurations: Readonly<Record<string, AuthenticatorOptions>>,
  of: AuthenticatorSurroundings,
): ReadonlyMap<string, Authenticator> {
  const hashing = new WorkLimit(HASHES);
  const entries = Object.entries(configurations);
  return new Map(entries.map(([name, options]) => [name, make(name, options, of, hashing)]));
}

function make(
  name: string,
  options: AuthenticatorOptions,
  of: AuthenticatorSurroundings,
  hashing: WorkLimit,
): Authenticator {
  switch (options.type) {
    case "users":
      return usersAuthenticator(name, options.file, hashing);
    case "totp":
      return totpAuthenticator(name, options.file, of);
    case "ldap":
      return ldapAuthenticator(name, options);
    case "radius":
      return radiusAuthenticator(name, options);
    case "oidc":
      return oidcAuthenticator(name, options, of.clock);
  }
}
