import { accessSync, constants, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ConnectorError, ProtocolError } from "../errors.ts";
import { type KeytabKey, MAX_KEYTAB_BYTES, parseKeytab } from "./keytab.ts";
import { keysFault, keysRemedy } from "./keytab-words.ts";

/** The Kerberos library reads both once; two keytabs in one process it could not tell apart. */
const KEYTAB = "KRB5_CLIENT_KTNAME";
const CACHE = "KRB5CCNAME";

/** The cache that we chose; none where the machine says where tickets are. */
let ownCache: string | undefined;

/**
 * Tells the Kerberos library where our keys are, and keeps its tickets in a file in the state folder unless the machine
 * says otherwise. Throws ConnectorError `kerberos-keytabs` for a second keytab.
 */
export function useKeytab(keytabFile: string | undefined, stateFolder: string): void {
  if (process.env[CACHE] === undefined) {
    ownCache = join(stateFolder, "kerberos.ccache");
    process.env[CACHE] = `FILE:${ownCache}`;
  }
  if (keytabFile === undefined) return;
  const wanted = `FILE:${keytabFile}`;
  const inUse = process.env[KEYTAB];
  if (inUse !== undefined && inUse !== wanted && inUse !== keytabFile) {
    throw new ConnectorError(
      "kerberos-keytabs",
      `the configuration or the environment names the keytabs ${inUse} and ${keytabFile}; one connector uses one, put both accounts' keys into it`,
    );
  }
  process.env[KEYTAB] = wanted;
}

/** Why the keytab cannot be read now, which the Kerberos library says as "no credentials"; undefined where it can be, or none is named. */
function keytabFault(): string | undefined {
  const file = process.env[KEYTAB]?.replace(/^FILE:/, "");
  if (file === undefined) return undefined;
  try {
    accessSync(file, constants.R_OK);
    return undefined;
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    return isMissing
      ? `there is no keytab ${file}`
      : `the keytab ${file} may not be read by this user (uid ${process.getuid?.()})`;
  }
}

/**
 * What the keytab has to do with it that the KDC or the library gave no ticket. `fault` is what is wrong with it by itself, `remedy` when it is
 * wrong for this account; both undefined where no keytab is named.
 */
export function keytabWords(principal: string | undefined): {
  readonly fault?: string;
  readonly remedy?: string;
} {
  const unreadable = keytabFault();
  if (unreadable !== undefined) return { fault: unreadable };
  const file = process.env[KEYTAB]?.replace(/^FILE:/, "");
  if (file === undefined || principal === undefined) return {};
  const keys = keysIn(file);
  if (typeof keys === "string") return { fault: keys };
  const fault = keysFault(keys, principal);
  return fault === undefined ? { remedy: keysRemedy(keys, principal) } : { fault };
}

function keysIn(file: string): readonly KeytabKey[] | string {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) return `${file}: This is no keytab, and no file: name the keytab itself`;
    // Looked at before it is read: whatever somebody names by mistake is not taken into memory.
    if (stat.size > MAX_KEYTAB_BYTES) {
      return `${file}: This is no keytab: more than ${MAX_KEYTAB_BYTES} bytes; make it anew`;
    }
    return parseKeytab(readFileSync(file));
  } catch (error) {
    if (error instanceof ProtocolError) return `${file}: ${error.message}; make it anew`;
    return `the keytab ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
}

/** Removes all tickets, unless the cache is the machine's and not ours. Returns whether it did. */
export function removeOwnCache(): boolean {
  if (ownCache === undefined || process.env[CACHE] !== `FILE:${ownCache}`) return false;
  rmSync(ownCache, { force: true });
  return true;
}
