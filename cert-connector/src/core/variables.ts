import type { DirectoryEntry } from "./directory-entry.ts";
import type { Grant } from "./grant.ts";

/** Where the value of a variable may come from. A certification request is a source of `requestedCommonName` alone. */
export interface VariableSources {
  readonly grant: Grant;
  /** What the directory says about the account that the challenge proves. */
  readonly entry?: DirectoryEntry | undefined;
}

/** The name of a whole entry: alone in a subject template it stands for the whole subject. */
export const DISTINGUISHED_NAME_VARIABLE = "onprem_distinguished_name";
/** Comes from the directory alone, and goes into a URI alone. */
export const SECURITY_IDENTIFIER_VARIABLE = "onpremisessecurityidentifier";
/** What the request says and nobody has proven. */
export const REQUESTED_NAME_VARIABLE = "requestedcommonname";

/** Variables that a challenge may bring as attributes, or a directory, under the one name that is used inside. */
const ATTRIBUTES: readonly string[] = [
  "emailaddress",
  "azureaddeviceid",
  "serialnumber",
  "imei",
  "meid",
  "wifimacaddress",
  "devicename",
  "fullyqualifieddomainname",
  DISTINGUISHED_NAME_VARIABLE,
  "onpremisessamaccountname",
];

/** What each of these is also called (Microsoft Intune, SCEP and PKCS certificate profiles). */
const ALIASES: Readonly<Record<string, string>> = {
  aad_device_id: "azureaddeviceid",
  device_serial: "serialnumber",
  imeinumber: "imei",
  device_imei: "imei",
  onpremisesdistinguishedname: DISTINGUISHED_NAME_VARIABLE,
};

/** Ours, from the fields of a grant. `userName` and `userDomain` are the halves of the user principal name. */
const GRANT_FIELDS: ReadonlyMap<string, (grant: Grant) => string | undefined> = new Map([
  ["deviceid", (grant: Grant) => grant.deviceId],
  ["userprincipalname", (grant: Grant) => grant.userPrincipalName],
  ["username", (grant: Grant) => grant.userPrincipalName?.split("@")[0]],
  ["userdomain", (grant: Grant) => grant.userPrincipalName?.split("@")[1]],
  [REQUESTED_NAME_VARIABLE, (grant: Grant) => grant.requestedCommonName],
]);

/** The one name of a variable, whatever its case or alias; undefined for one that does not exist. */
export function variableNamed(name: string): string | undefined {
  const lower = name.trim().toLowerCase();
  const canonical = Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : lower;
  if (canonical === undefined) return undefined;
  const isKnown =
    GRANT_FIELDS.has(canonical) ||
    ATTRIBUTES.includes(canonical) ||
    canonical === SECURITY_IDENTIFIER_VARIABLE;
  return isKnown ? canonical : undefined;
}

/**
 * The value of a variable by its one name. The directory's word counts before the challenge's for what both know: it is
 * the organisation's own, on its own ground. Undefined where neither has it.
 */
export function variableValue(
  variable: string,
  { grant, entry }: VariableSources,
): string | undefined {
  if (variable === SECURITY_IDENTIFIER_VARIABLE) return entry?.securityIdentifier;
  const field = GRANT_FIELDS.get(variable);
  return (
    field?.(grant) ||
    own(entry?.variables, variable) ||
    (field === undefined ? own(attributesOf(grant), variable) : undefined)
  );
}

/** A challenge may use any of a variable's names, in any case. */
function attributesOf({ attributes = {} }: Grant): Readonly<Record<string, string>> {
  const named = Object.entries(attributes).flatMap(([name, value]) => {
    const variable = variableNamed(name);
    return variable === undefined ? [] : [[variable, value] as const];
  });
  return Object.fromEntries(named);
}

function own(
  record: Readonly<Record<string, string>> | undefined,
  key: string,
): string | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
