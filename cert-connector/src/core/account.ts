import { ConnectorError, codeOf, RefusalError } from "@isthmus/shared/errors";
import type { DirectoryEntry, DirectoryLookup } from "./directory-entry.ts";
import type { Grant } from "./grant.ts";
import type { Profile } from "./profile.ts";

/** The directories of the local configuration by name. */
export type Directories = ReadonlyMap<string, DirectoryLookup>;

/**
 * The account that a grant stands for, as the profile's directory describes it now; undefined where the profile asks for
 * none, or can do without. Throws RefusalError `account-missing`, `directory-ambiguous`, `directory-key-missing`;
 * ConnectorError of the directory, which is retryable where it cannot be reached.
 */
export async function accountOf(
  { directory }: Profile,
  grant: Grant,
  directories: Directories,
): Promise<DirectoryEntry | undefined> {
  if (directory === undefined) return undefined;
  const { name, lookUp, required } = directory;
  const found = await findIn(name, directories)
    .find(lookUp, grant)
    .catch((error: unknown) => {
      if (required || codeOf(error) !== "directory-key-missing") throw error;
      return undefined;
    });
  if (found !== undefined || !required) return found;
  throw new RefusalError(
    "account-missing",
    "profile.directory",
    `Directory ${name} has no enabled account for the ${lookUp} that the challenge proves`,
  );
}

function findIn(name: string, directories: Directories): DirectoryLookup {
  const directory = directories.get(name);
  if (directory !== undefined) return directory;
  throw new ConnectorError(
    "directory-unknown",
    `the local configuration has no directory "${name}"`,
  );
}
