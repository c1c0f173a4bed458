import type { Grant } from "./grant.ts";

/** Which kind of account a profile's certificates stand for. */
export type DirectoryLookUp = "user" | "device";

/**
 * An account as the organisation's directory describes it, found by what a challenge proves. It is read anew for each
 * certificate and never kept: at a renewal it may have another name, or be gone.
 */
export interface DirectoryEntry {
  /** RFC 4514. */
  readonly distinguishedName: string;
  /** `S-1-5-21-...`: what Active Directory maps a certificate to an account by. Undefined where it has none. */
  readonly securityIdentifier: string | undefined;
  /** By the names in lower case that `variables.ts` knows. */
  readonly variables: Readonly<Record<string, string>>;
}

/** A directory that accounts are looked up in. */
export interface DirectoryLookup {
  /**
   * The one account that the grant stands for; undefined where there is none. Throws RefusalError `directory-key-missing`
   * where the grant lacks what it is looked for by, `directory-ambiguous` where there are several; ConnectorError
   * `directory-unreachable`, `directory-busy` (retryable), `directory-credentials`, `directory-answer`.
   */
  find(lookUp: DirectoryLookUp, grant: Grant): Promise<DirectoryEntry | undefined>;
}
