import { readFileSync } from "node:fs";
import {
  connectToDirectory,
  type DirectoryAddress,
} from "@isthmus/shared/directory/directory-connection";
import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { Client, Entry } from "ldapts";
import type {
  AuthenticatedUser,
  AuthenticationStep,
  Authenticator,
} from "../core/authenticator.ts";
import {
  askForCredentials,
  type Credentials,
  readCredentials,
  unreachable,
  wrongCredentials,
} from "./credentials-form.ts";

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

/** RFC 4511 appendix A.1: the name or the password is wrong, or there is no such entry. */
const INVALID_CREDENTIALS = 49;
const NO_SUCH_OBJECT = 32;
const SECOND_MS = 1_000;
/** Own limit on the groups of one user. */
const MAX_GROUPS = 1_000;

/**
 * A directory: our account finds the user's entry, then the user's own password is tried by a bind as that entry on a
 * connection of its own. Active Directory and every other LDAP server.
 */
export function ldapAuthenticator(name: string, options: LdapOptions): Authenticator {
  return {
    name,
    async begin(context) {
      return askForCredentials(context, "Enter your user name and password.");
    },
    async answer(_state, answers, context): Promise<AuthenticationStep> {
      const credentials = readCredentials(answers, context);
      if (!credentials) return wrongCredentials(name);
      try {
        const user = await authenticate(name, options, credentials);
        return user ? { kind: "accepted", user } : wrongCredentials(name);
      } catch {
        return unreachable(name);
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
): Promise<AuthenticatedUser | undefined> {
  const address = addressOf(name, options);
  const entry = await findEntry(address, options, credentials.userName);
  if (!entry) return undefined;
  const { password } = credentials;
  const isRight = await canBind({ ...address, bindDn: entry.dn, password: () => password });
  if (!isRight) return undefined;
  const [userName] = textsOf(entry, options.userNameAttribute);
  const groups = textsOf(entry, options.groupAttribute).slice(0, MAX_GROUPS).flatMap(groupNames);
  return { userName: userName ?? credentials.userName, groups };
}

/** The one entry of a name; several are none, for nobody could say whose password is tried. */
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
  return others.length === 0 ? entry : undefined;
}

async function canBind(address: DirectoryAddress): Promise<boolean> {
  try {
    await using _bound = await open(address);
    return true;
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (code === INVALID_CREDENTIALS || code === NO_SUCH_OBJECT) return false;
    throw error;
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

/** A group by its distinguished name and by its common name: policies may use either. */
export function groupNames(text: string): string[] {
  const commonName = /^cn=((?:[^,\\]|\\.)+)/i.exec(text)?.[1]?.replaceAll(/\\(.)/g, "$1");
  return commonName === undefined ? [text] : [text, commonName];
}

function textsOf(entry: Entry, attribute: string): string[] {
  const key = Object.keys(entry).find((one) => one.toLowerCase() === attribute.toLowerCase());
  const value = key === undefined ? [] : entry[key];
  return [value ?? []]
    .flat()
    .flatMap((one) => (typeof one === "string" && one !== "" ? [one] : []));
}
