/*
 * Why Active Directory does not let an account bind: the text beside LDAP result 49, which has the Windows error in hex
 *
 *   80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1
 *                                                                                 ^^^
 * [MS-ADTS] section 5.1.1 gives no other way to tell them; the numbers are of [MS-ERREF] section 2.2.
 */
const DATA = /\bAcceptSecurityContext error, data ([0-9a-f]{1,8})\b/i;
/** Own limit: what a server may say is no end. */
const MAX_CHARACTERS = 1_024;

const REASONS: ReadonlyMap<number, BindRefusal> = new Map([
  [0x525, "account-unknown"],
  [0x52e, "password-wrong"],
  [0x52f, "account-restricted"],
  [0x530, "logon-hours"],
  [0x531, "logon-workstation"],
  [0x532, "password-expired"],
  [0x533, "account-disabled"],
  [0x568, "too-many-groups"],
  [0x701, "account-expired"],
  [0x773, "password-must-change"],
  [0x775, "account-locked"],
]);

/** For the log alone; users hear the same words for all of them. */
export type BindRefusal =
  | "account-unknown"
  | "password-wrong"
  | "account-restricted"
  | "logon-hours"
  | "logon-workstation"
  | "password-expired"
  | "account-disabled"
  | "too-many-groups"
  | "account-expired"
  | "password-must-change"
  | "account-locked";

/** What the text of a refused bind says; undefined for texts of other servers and numbers that are not known. */
export function bindRefusalOf(text: string): BindRefusal | undefined {
  if (text.length > MAX_CHARACTERS) return undefined;
  const data = DATA.exec(text)?.[1];
  return data === undefined ? undefined : REASONS.get(Number.parseInt(data, 16));
}
