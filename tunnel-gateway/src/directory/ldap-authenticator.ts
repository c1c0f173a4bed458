import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  connectToDirectory,
  type DirectoryAddress,
} from "@isthmus/shared/directory/directory-connection";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { type Client, type Entry, ResultCodeError } from "ldapts";
import type { AuthenticationStep, Authenticator } from "../core/authenticator.ts";
import { type BindRefusal, bindRefusalOf } from "../protocol/bind-refusal.ts";
import { directoryGroupNames } from "../protocol/directory-group.ts";
import {
  askForCredentials,
  type Credentials,
  failed,
  isUserName,
  readCredentials,
  refused,
  wrongCredentials,
} from "./credentials-form.ts";
import { WorkLimit } from "./work-limit.ts";

/** As the local configuration has them. */
export interface LdapOptions {
  readonly url: string;
  readonly startTls: boolean;
  readonly caFile?: string | undefined;
  readonly bindDn: string;
  readonly passwordFile: string;
  readonly baseDn: string;
  readonly userFilter: string;
  readonly userNameAttribute: string;
  readonly groupAttribute: string;
  readonly timeoutSeconds: number;
}

/**
 * RFC 4511 appendix A.1: no such entry, no password, a wrong one, and what servers say of locked accounts. All are told in the
 * same words: who may not log in learns nothing about an account.
 */
const REFUSALS: ReadonlySet<unknown> = new Set([19, 32, 48, 49, 53]);
const SECOND_MS = 1_000;
/** Own limits: groups of one user, and logins at the directory at once and waiting. */
const MAX_GROUPS = 1_000;
const WORK = { underWay: 16, waiting: 128 };

/**
 * A directory: our account finds the user's entry, then the user's own password is tried by a bind as that entry on a
 * connection of its own. Active Directory and every other LDAP server.
 */
export function ldapAuthenticator(name: string, options: LdapOptions): Authenticator {
  const work = new WorkLimit(WORK);
  return {
    name,
    async begin(context) {
      return askForCredentials(context, "Enter your user name and password.");
    },
    async answer(_state, answers, context, signal): Promise<AuthenticationStep> {
      const credentials = readCredentials(answers, context);
      if (!credentials) return wrongCredentials(name);
      try {
        return await work.run(() => authenticate(name, options, credentials), signal);
      } catch {
        return failed(name, signal);
      }
    },
    async check() {
      await using directory = await open(addressOf(name, options));
      await directory.client.search(options.baseDn, { scope: "base", attributes: ["1.1"] });
    },
  };
}

async function authenticate(
  name: string,
  options: LdapOptions,
  credentials: Credentials,
): Promise<AuthenticationStep> {
  const address = addressOf(name, options);
  const entry = await findEntry(address, options, credentials.userName);
  const { password } = credentials;
  // Nobody's password is tried as well, on an entry that is not there: names cannot be guessed by the time it takes.
  const bindDn = entry?.dn ?? `cn=${randomBytes(12).toString("hex")},${options.baseDn}`;
  const bind = await tryToBind({ ...address, bindDn, password: () => password });
  if (!entry) return wrongCredentials(name, "no-single-entry");
  return bind.isRefused ? wrongCredentials(name, bind.detail) : stepOf(name, options, entry);
}

/** Who the entry is. What the user typed is no name: whoever may write an attribute of the filter could type another's. */
function stepOf(name: string, options: LdapOptions, entry: Entry): AuthenticationStep {
  const { userNameAttribute, groupAttribute } = options;
  const [userName = ""] = textsOf(entry, userNameAttribute);
  if (!isUserName(userName)) {
    const message = `the directory's entry of the user has no ${userNameAttribute}`;
    return refused("user-mismatch", name, message, false);
  }
  const groups = textsOf(entry, groupAttribute);
  if (groups.length > MAX_GROUPS || isCutShort(entry, groupAttribute)) {
    const message = `the user is in more than ${MAX_GROUPS} groups, which nobody can judge by`;
    return refused("group-not-member", name, message, false);
  }
  return { kind: "accepted", user: { userName, groups: groups.flatMap(directoryGroupNames) } };
}

/** The one entry of a name; several are none, for nobody could say whose password is tried. Referrals are not followed. */
async function findEntry(
  address: DirectoryAddress,
  options: LdapOptions,
  userName: string,
): Promise<Entry | undefined> {
  await using directory = await open(address);
  const { userNameAttribute, groupAttribute, userFilter } = options;
  const { searchEntries } = await directory.client.search(options.baseDn, {
    scope: "sub",
    filter: userFilter.replaceAll("{user}", () => escapeFilterValue(userName)),
    attributes: [userNameAttribute, groupAttribute],
    sizeLimit: 2,
    timeLimit: options.timeoutSeconds,
  });
  const [entry, ...others] = searchEntries;
  // A bind without a name is anonymous, whatever the password.
  return others.length === 0 && entry?.dn !== "" ? entry : undefined;
}

/** `detail`: why not, where the directory is Active Directory and says so. */
type Bind =
  | { readonly isRefused: false }
  | { readonly isRefused: true; readonly detail: BindRefusal | undefined };

async function tryToBind(address: DirectoryAddress): Promise<Bind> {
  try {
    await using _bound = await open(address);
    return { isRefused: false };
  } catch (error) {
    if (!(error instanceof ResultCodeError) || !REFUSALS.has(error.code)) throw error;
    return { isRefused: true, detail: bindRefusalOf(error.message) };
  }
}

interface Opened extends AsyncDisposable {
  readonly client: Client;
}

async function open(address: DirectoryAddress): Promise<Opened> {
  const client = await connectToDirectory(address);
  return { client, [Symbol.asyncDispose]: () => client.unbind().catch(() => undefined) };
}

function addressOf(name: string, options: LdapOptions): DirectoryAddress {
  if (options.url.startsWith("ldap:") && !options.startTls) {
    throw new ConnectorError(
      "ldap-in-the-clear",
      `authenticator ${name}: passwords would travel in the clear; use ldaps:// or startTls`,
    );
  }
  return {
    name,
    urls: [options.url],
    ca: options.caFile === undefined ? undefined : readFileSync(options.caFile, "utf8"),
    startTls: options.startTls,
    bindDn: options.bindDn,
    password: () => readSecretFile(options.passwordFile),
    timeoutMs: options.timeoutSeconds * SECOND_MS,
  };
}

/** RFC 4515 section 3. */
export function escapeFilterValue(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      /[A-Za-z0-9@._-]/.test(String.fromCharCode(byte))
        ? String.fromCharCode(byte)
        : `\\${byte.toString(16).padStart(2, "0")}`,
    )
    .join("");
}

/** Active Directory gives long lists in parts: `memberOf;range=0-1499`. */
function isCutShort(entry: Entry, attribute: string): boolean {
  const start = `${attribute.toLowerCase()};range=`;
  return Object.keys(entry).some((key) => key.toLowerCase().startsWith(start));
}

function textsOf(entry: Entry, attribute: string): string[] {
  const key = Object.keys(entry).find((one) => one.toLowerCase() === attribute.toLowerCase());
  const value = key === undefined ? [] : entry[key];
  return [value ?? []]
    .flat()
    .flatMap((one) => (typeof one === "string" && one !== "" ? [one] : []));
}
