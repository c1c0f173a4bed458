import { formatGuid, formatSecurityIdentifier } from "@isthmus/shared/directory/binary-identifiers";
import { RESULT, resultCodeOf } from "@isthmus/shared/directory/directory-error";
import { ConfigurationError, codeOf, RefusalError } from "@isthmus/shared/errors";
import type { Client, Entry, Filter } from "ldapts";
import type { DirectoryEntry, DirectoryLookUp, DirectoryLookup } from "../core/directory-entry.ts";
import type { Grant } from "../core/grant.ts";
import { filterFaults } from "../core/profile-faults.ts";
import { accountFilter, DEFAULT_FILTERS } from "./account-filter.ts";
import type { DirectoryPool } from "./directory-pool.ts";
import { type FilterTemplate, parseFilterTemplate, variablesOf } from "./filter-template.ts";

const BINARY_ATTRIBUTES = ["objectSid", "objectGUID"];
const TEXT_ATTRIBUTES = [
  "userPrincipalName",
  "sAMAccountName",
  "mail",
  "cn",
  "dNSHostName",
  "serialNumber",
];
/** One more than there may be, so that a second is seen. */
const MAX_ENTRIES = 2;
const MS_PER_SECOND = 1_000;

export interface AccountDirectoryOptions {
  readonly pool: DirectoryPool;
  readonly baseDn: string;
  readonly timeoutMs: number;
  readonly filters: { readonly user?: string | undefined; readonly device?: string | undefined };
}

/** Looks accounts up in Active Directory, by what a challenge proves. Throws ConfigurationError for a filter. */
export class AccountDirectory implements DirectoryLookup {
  readonly #options: AccountDirectoryOptions;
  readonly #filters: Readonly<Record<DirectoryLookUp, FilterTemplate>>;

  constructor(options: AccountDirectoryOptions) {
    this.#options = options;
    this.#filters = {
      user: templateOf("user", options),
      device: templateOf("device", options),
    };
  }

  async find(lookUp: DirectoryLookUp, grant: Grant): Promise<DirectoryEntry | undefined> {
    const { pool } = this.#options;
    const filter = accountFilter(this.#filters[lookUp], grant);
    const entries = await pool.run((client) => this.#search(client, filter));
    if (entries.length > 1) {
      throw new RefusalError(
        "directory-ambiguous",
        "profile.directory",
        `Directory ${pool.name} has several accounts for this ${lookUp}`,
      );
    }
    const [entry] = entries;
    return entry && accountOf(entry, lookUp);
  }

  /** Whether the directory answers a question about its base. */
  async probe(): Promise<void> {
    const { pool, baseDn } = this.#options;
    await pool.run((client) => client.search(baseDn, { scope: "base", attributes: ["1.1"] }));
  }

  /** Referrals come apart from the entries and are not followed: they may name any server. */
  async #search(client: Client, filter: Filter): Promise<readonly Entry[]> {
    const { baseDn, timeoutMs } = this.#options;
    try {
      const { searchEntries } = await client.search(baseDn, {
        scope: "sub",
        filter,
        sizeLimit: MAX_ENTRIES,
        timeLimit: Math.max(1, Math.ceil(timeoutMs / MS_PER_SECOND)),
        attributes: [...BINARY_ATTRIBUTES, ...TEXT_ATTRIBUTES],
        explicitBufferAttributes: BINARY_ATTRIBUTES,
      });
      return searchEntries;
    } catch (error) {
      if (resultCodeOf(error) !== RESULT.sizeLimitExceeded) throw error;
      return [{ dn: "" }, { dn: "" }];
    }
  }
}

function templateOf(
  lookUp: DirectoryLookUp,
  { pool, filters }: AccountDirectoryOptions,
): FilterTemplate {
  const faults: string[] = [];
  try {
    const template = parseFilterTemplate(filters[lookUp] ?? DEFAULT_FILTERS[lookUp]);
    faults.push(...filterFaults(variablesOf(template)));
    if (faults.length === 0) return template;
  } catch (error) {
    if (codeOf(error) !== "directory-filter") throw error;
    faults.push((error as Error).message);
  }
  const at = `directories.${pool.name}.filters.${lookUp}`;
  throw new ConfigurationError(
    "local configuration",
    faults.map((fault) => `${at}: ${fault}`),
  );
}

function accountOf(entry: Entry, lookUp: DirectoryLookUp): DirectoryEntry {
  const sid = bytesOf(entry["objectSid"]);
  const guid = bytesOf(entry["objectGUID"]);
  const common = {
    onprem_distinguished_name: entry.dn,
    onpremisessamaccountname: textOf(entry["sAMAccountName"]),
  };
  const variables =
    lookUp === "user"
      ? {
          ...common,
          userprincipalname: textOf(entry["userPrincipalName"]),
          emailaddress: textOf(entry["mail"]),
        }
      : {
          ...common,
          azureaddeviceid: guid && formatGuid(guid),
          devicename: textOf(entry["cn"]),
          fullyqualifieddomainname: textOf(entry["dNSHostName"]),
          serialnumber: textOf(entry["serialNumber"]),
        };
  return {
    distinguishedName: entry.dn,
    securityIdentifier: sid && formatSecurityIdentifier(sid),
    variables: present(variables),
  };
}

function present(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter((each): each is [string, string] => each[1] !== undefined),
  );
}

/** The one value; of several none is the right one. */
function single<T>(value: T | T[] | undefined): T | undefined {
  if (!Array.isArray(value)) return value;
  return value.length === 1 ? value[0] : undefined;
}

function textOf(value: Entry[string] | undefined): string | undefined {
  const text = single<string | Buffer>(value);
  return typeof text === "string" && text !== "" ? text : undefined;
}

function bytesOf(value: Entry[string] | undefined): Buffer | undefined {
  const bytes = single<string | Buffer>(value);
  return Buffer.isBuffer(bytes) ? bytes : undefined;
}
