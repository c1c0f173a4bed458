import { fileKey, ldapUrlKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";
import { localName } from "./names.ts";

/** Our own limits. */
const MAX_URLS = 8;
const MAX_DN_CHARACTERS = 1_024;
const MAX_FILTER_CHARACTERS = 1_024;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

const distinguishedName = z.string().min(3).max(MAX_DN_CHARACTERS);
const filter = z.string().min(3).max(MAX_FILTER_CHARACTERS);

const directory = z
  .strictObject({
    /** Domain controllers, the first that answers is used. `ldap:` is upgraded by StartTLS. */
    urls: z.array(ldapUrlKey()).min(1).max(MAX_URLS),
    /** PEM of the CAs that the controllers' certificates chain to, instead of the public ones. */
    caFile: fileKey().optional(),
    /** Off only for `ldap:` on loopback. */
    startTls: z.boolean().default(true),
    /** Accounts are looked for below this. */
    baseDn: distinguishedName,
    /** The service account; `dn` may be a user principal name, too. */
    bind: z.strictObject({
      dn: z.string().min(1).max(MAX_DN_CHARACTERS),
      passwordFile: secretFileKey(),
    }),
    timeoutMs: z.number().int().min(100).max(60_000).default(5_000),
    maxConnections: z.number().int().min(1).max(16).default(4),
    /** How an account is found by what the challenge proves; `{{variable:guid}}` is a GUID as the directory keeps it. */
    filters: z.strictObject({ user: filter.optional(), device: filter.optional() }).default({}),
    /** The entry that the embedded CA's revocation lists go to (`cRLDistributionPoint`); made where it is missing. */
    revocationListDn: distinguishedName.optional(),
  })
  .superRefine(({ urls, startTls }, context) => {
    if (startTls) return;
    for (const [index, url] of urls.entries()) {
      if (!url.startsWith("ldap:") || isLoopback(url)) continue;
      context.addIssue({
        code: "custom",
        path: ["urls", index],
        message:
          "a password goes through it: plain ldap is for loopback only, use ldaps or startTls",
      });
    }
  });

/** LDAP directories by name, for the variables of profiles. */
export const directories = z.record(localName, directory).default({});

/** How a check is named after a directory: lower case, only letters, digits and `-`. */
export function checkNameOf(directoryName: string): string {
  return `directory-${directoryName.toLowerCase().replaceAll(/[._]/g, "-")}`.slice(0, 64);
}

export type DirectorySettings = z.infer<typeof directory>;

function isLoopback(text: string): boolean {
  return LOOPBACK.test(URL.parse(text)?.hostname ?? "");
}
