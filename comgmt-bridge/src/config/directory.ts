import {
  authorityFileKey,
  ldapUrlKey,
  secretFileKey,
} from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";

/** Our own limits. */
const MAX_URLS = 8;
const MAX_DN_CHARACTERS = 1_024;

const limits = z.strictObject({
  /** Active Directory gives at most 1,000 rows at once (MaxPageSize), however many are asked for. */
  pageRows: z.int().min(10).max(1_000).default(500),
  /** Values of one attribute that are asked for at once: `member;range=0-1499`. */
  rangeValues: z.int().min(10).max(1_500).default(1_500),
  /** A larger group is told with the number of its members alone. */
  maxMembers: z.int().min(0).max(5_000).default(5_000),
  maxObjects: z.int().min(1).max(2_000_000).default(500_000),
  timeoutMs: z.int().min(100).max(300_000).default(60_000),
});

/** One domain of Active Directory whose computers, users and groups are read. */
const directory = z.strictObject({
  /** The domain's DNS name, which names the source too: `corp.example`. */
  name: z
    .string()
    .max(64)
    .regex(/^[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*$/, "has to be a DNS name in lower case"),
  /** Domain controllers, the first that answers is used. `ldap:` is always upgraded by StartTLS. */
  urls: z.array(ldapUrlKey()).min(1).max(MAX_URLS),
  /** PEM of the CAs that the controllers' certificates chain to, instead of the public ones. */
  caFile: authorityFileKey().optional(),
  /** The domain's own name; from `name` where it is absent. */
  baseDn: z.string().min(3).max(MAX_DN_CHARACTERS).optional(),
  bind: z.strictObject({
    /** A distinguished name or a user principal name. */
    dn: z.string().min(1).max(MAX_DN_CHARACTERS),
    passwordFile: secretFileKey(),
  }),
  kinds: z
    .array(z.enum(["device", "user", "group"]))
    .min(1)
    .max(3)
    .refine((kinds) => new Set(kinds).size === kinds.length, "names a kind twice")
    .default(["device", "user", "group"]),
  /** How often changes are asked for, by DirSync. */
  changesSeconds: z.int().min(5).max(3_600).default(60),
  /** How often everything is read and compared. */
  fullReadMinutes: z.int().min(15).max(10_080).default(1_440),
  /** The same where the account may not use DirSync: nothing else tells changes then. */
  fullReadWithoutDirSyncMinutes: z.int().min(5).max(10_080).default(60),
  /** Groups are read again so soon after a deletion, which takes members from them without a word of DirSync's. */
  groupsAfterDeletionMinutes: z.int().min(1).max(10_080).default(15),
  limits: limits.prefault({}),
});

export const directories = z
  .array(directory)
  .max(32)
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "names a domain twice")
  .default([]);

export type DirectoryConfiguration = z.infer<typeof directory>;
