import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";

/** The one thing to do first, by the code of what failed; the reason says the rest. */
const REMEDIES: Readonly<Record<string, string>> = {
  "site-unreachable": "correct site.url, or open the way from this host to the SMS provider",
  "site-certificate": `name the site's "SMS Issuing" root as site.caFile, or its key as site.pin`,
  "site-pin": "compare the keys with the provider's own, and correct site.pin if they are its",
  "site-timeout": "restart or repair the SMS provider (SMS_REST_PROVIDER)",
  "site-class-silent": "look at this class at the site (Resource Explorer, SMSProv.log)",
  "site-class-unavailable":
    "look at this class at the site (SMSProv.log), and at what stands in front of the provider",
  "site-class-interrupted":
    "look at this class at the site (SMSProv.log), and at what ends connections on the way",
  "site-unavailable": "restart or repair the SMS provider (SMS_REST_PROVIDER)",
  "site-interrupted": "look for what ends connections on the way: firewall, proxy, provider",
  "site-unauthorized": "renew the token, and see that its account is an administrator of the site",
  "site-forbidden": "give the account's security role the right to read this class",
  "site-mfa-demanded":
    "give the account's security role the right; where it has it, exclude the account from the provider's authentication level",
  "site-security-exception": "add the account to the site under its on-premises name",
  "site-not-found": "update the site, or see that the account may see this class",
  "site-page": "set site.url to the SMS provider itself",
  "site-redirect": "set site.url to the SMS provider itself",
  "site-token": "write a bearer token into site.tokenFile",
  "secret-unreadable":
    "write a bearer token into site.tokenFile, and let the service's user read it",
  "kerberos-unavailable":
    "build the image anew, or install libkrb5-dev and a C++ compiler and run npm rebuild kerberos",
  "kerberos-credentials": "see docs/comgmt-bridge/kerberos.md: keytab, principal, krb5.conf, KDC",
  "kerberos-cache": "see docs/comgmt-bridge/kerberos.md: krb5.conf and KRB5CCNAME",
  "kerberos-key": "let the provider's account have AES keys (msDS-SupportedEncryptionTypes)",
  "site-ticket-refused": "put HTTP/FQDN of the provider on the one account it runs as (setspn -X)",
  "site-clock-skew": "synchronise this host's clock and the provider's (NTP)",
  "site-server-unproven": "find out who answers in the provider's place",
  "site-circuit-open": "mend what the last attempt says; it is tried again by itself",
};

/** What a check of the site says of what it throws; `remedies` go before the usual ones. Throws on what is not ours. */
export function failedSiteCheck(
  error: unknown,
  remedies: Readonly<Record<string, string>> = {},
): CheckResult {
  if (!(error instanceof ConnectorError)) throw error;
  const code = codeOf(error);
  const remedy =
    remedies[code] ?? REMEDIES[code] ?? "see the reason, and AdminService.log on the provider";
  return { status: "unhealthy", reason: error.message, remedy };
}

/** Where even the first list is not there, most often something else answers than the AdminService. */
export const IDENTITY_REMEDIES = {
  "site-not-found":
    "set site.url to the SMS provider itself; where it is that, see that the account may see devices",
} as const;

/** The permission of a security role that reading a class takes (docs/comgmt-bridge/guide.md). */
const PERMISSIONS: readonly (readonly [RegExp, string])[] = [
  [/^SMS_(Application|App|Deployment)/, "Read on Application"],
  [/Update/, "Read on Software Updates"],
  [/^SMS_Scripts/, "Read on SMS Scripts"],
  [/^SMS_BoundaryGroup/, "Read on Boundary Group"],
];

export function rightsRemedies(className: string): Readonly<Record<string, string>> {
  const found = PERMISSIONS.find(([pattern]) => pattern.test(className))?.[1];
  const permission = found ?? "Read and Read Resource on Collection";
  return { "site-forbidden": `give the account's security role ${permission}` };
}
