import type { Clock } from "@isthmus/shared/clock";
import type { Authenticator } from "../core/authenticator.ts";
import { type LdapOptions, ldapAuthenticator } from "./ldap-authenticator.ts";
import { oidcAuthenticator } from "./oidc-authenticator.ts";
import type { OidcOptions } from "./oidc-provider.ts";
import { type RadiusOptions, radiusAuthenticator } from "./radius-authenticator.ts";
import { totpAuthenticator } from "./totp-authenticator.ts";
import { usersAuthenticator } from "./users-authenticator.ts";

/** One authenticator of the local configuration. */
export type AuthenticatorOptions =
  | { readonly type: "users" | "totp"; readonly file: string }
  | ({ readonly type: "ldap" } & LdapOptions)
  | ({ readonly type: "radius" } & RadiusOptions)
  | ({ readonly type: "oidc" } & OidcOptions);

/** Makes every authenticator of the local configuration, by name. */
export function makeAuthenticators(
  configurations: Readonly<Record<string, AuthenticatorOptions>>,
  clock: Clock,
): ReadonlyMap<string, Authenticator> {
  const entries = Object.entries(configurations);
  return new Map(entries.map(([name, options]) => [name, make(name, options, clock)]));
}

function make(name: string, options: AuthenticatorOptions, clock: Clock): Authenticator {
  switch (options.type) {
    case "users":
      return usersAuthenticator(name, options.file);
    case "totp":
      return totpAuthenticator(name, options.file, clock);
    case "ldap":
      return ldapAuthenticator(name, options);
    case "radius":
      return radiusAuthenticator(name, options);
    case "oidc":
      return oidcAuthenticator(name, options, clock);
  }
}
