import { join } from "node:path";
import { ConnectorError } from "@isthmus/shared/errors";

/** The Kerberos library reads both once; two keytabs in one process it could not tell apart. */
const KEYTAB = "KRB5_CLIENT_KTNAME";
const CACHE = "KRB5CCNAME";

/**
 * Tells the Kerberos library where our keys are, and keeps its tickets in a file in the state folder unless the machine
 * says otherwise. Throws ConnectorError `kerberos-keytabs` for a second keytab.
 */
export function useKeytab(keytabFile: string | undefined, stateFolder: string): void {
  process.env[CACHE] ??= `FILE:${join(stateFolder, "kerberos.ccache")}`;
  if (keytabFile === undefined) return;
  const wanted = `FILE:${keytabFile}`;
  const inUse = process.env[KEYTAB];
  if (inUse !== undefined && inUse !== wanted && inUse !== keytabFile) {
    throw new ConnectorError(
      "kerberos-keytabs",
      `authorities name the keytabs ${inUse} and ${keytabFile}; one connector uses one, put both accounts' keys into it`,
    );
  }
  process.env[KEYTAB] = wanted;
}
