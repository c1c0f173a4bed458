/** userPfxCertificate as the reference of Microsoft Graph (beta) and microsoft/Intune-Resource-Access have it. */

const PURPOSES = ["unassigned", "smimeEncryption", "smimeSigning", "vpn", "wifi"];
const PADDINGS = ["none", "oaepSha256", "oaepSha384", "oaepSha512"];
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

type Rule = (value: unknown) => boolean;
const matching =
  (pattern: RegExp): Rule =>
  (value) =>
    typeof value === "string" && pattern.test(value);
const oneOf =
  (values: readonly string[]): Rule =>
  (value) =>
    typeof value === "string" && values.includes(value);

const REQUIRED: Readonly<Record<string, Rule>> = {
  thumbprint: matching(/^[0-9a-f]{40}$/),
  intendedPurpose: oneOf(PURPOSES),
  userPrincipalName: matching(/^[^@\s]+@[^@\s]+$/),
  startDateTime: matching(MOMENT),
  expirationDateTime: matching(MOMENT),
  providerName: matching(/./),
  keyName: matching(/./),
  paddingScheme: oneOf(PADDINGS),
  encryptedPfxBlob: matching(BASE64),
  encryptedPfxPassword: matching(BASE64),
};
/** What the service sets; a client may send it. */
const OPTIONAL = ["@odata.type", "id", "createdDateTime", "lastModifiedDateTime"];

/** What is wrong with a new record, or undefined. */
export function faultOfNew(value: Readonly<Record<string, unknown>>): string | undefined {
  const missing = Object.keys(REQUIRED).find((name) => value[name] === undefined);
  return missing === undefined ? faultOfChange(value) : `${missing} is missing`;
}

/** What is wrong with a change, or undefined. */
export function faultOfChange(value: Readonly<Record<string, unknown>>): string | undefined {
  for (const [name, given] of Object.entries(value)) {
    if (OPTIONAL.includes(name)) continue;
    const rule = Object.hasOwn(REQUIRED, name) ? REQUIRED[name] : undefined;
    if (rule === undefined) return `there is no property ${name}`;
    if (!rule(given)) return `${name} is not as published`;
  }
  return undefined;
}
