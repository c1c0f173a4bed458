import { guidBytes } from "@isthmus/shared/directory/binary-identifiers";
import { RefusalError } from "@isthmus/shared/errors";
import {
  AndFilter,
  EqualityFilter,
  ExtensibleFilter,
  type Filter,
  NotFilter,
  OrFilter,
  PresenceFilter,
} from "ldapts";
import type { Grant } from "../core/grant.ts";
import { variableNamed, variableValue } from "../core/variables.ts";
import type { FilterTemplate, ValuePart } from "./filter-template.ts";

/** Our own limit on a value that an account is looked for by. */
const MAX_VALUE_CHARACTERS = 512;

/** Active Directory: accounts that are not disabled (userAccountControl bit 2, [MS-ADTS] section 2.2.16). */
const IS_ENABLED = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))";

/** Users by their user principal name; devices by their object's GUID, which is the device id of a hybrid-joined one. */
export const DEFAULT_FILTERS = {
  user: `(&(objectCategory=person)(objectClass=user)(userPrincipalName={{userPrincipalName}})${IS_ENABLED})`,
  device: `(&(objectCategory=computer)(objectGUID={{deviceId:guid}})${IS_ENABLED})`,
} as const;

/**
 * The filter of a template with what the challenge proves in it. It is put together from parts and not from text, so a
 * value can be nothing but a value: there is nothing to escape, and `*`, `(` or NUL stand for themselves. (The texts of
 * ldapts have no way to write octets from 80 on, either: it takes them for characters.) Throws RefusalError
 * `directory-key-missing` where the grant lacks a value.
 */
export function accountFilter(template: FilterTemplate, grant: Grant): Filter {
  switch (template.kind) {
    case "and":
      return new AndFilter({ filters: template.filters.map((each) => accountFilter(each, grant)) });
    case "or":
      return new OrFilter({ filters: template.filters.map((each) => accountFilter(each, grant)) });
    case "not":
      return new NotFilter({ filter: accountFilter(template.filter, grant) });
    case "present":
      return new PresenceFilter({ attribute: template.attribute });
    case "equal": {
      const { attribute, rule } = template;
      const value = Buffer.concat(template.value.map((part) => octetsOf(part, grant)));
      return rule === undefined
        ? new EqualityFilter({ attribute, value })
        : new ExtensibleFilter({ matchType: attribute, rule, value: value.toString("utf8") });
    }
  }
}

function octetsOf(part: ValuePart, grant: Grant): Buffer {
  if (part.kind === "octets") return part.octets;
  const { name, form } = part;
  const variable = variableNamed(name);
  const value = variable && variableValue(variable, { grant });
  if (value === undefined || value === "" || value.length > MAX_VALUE_CHARACTERS) {
    throw refusal(`The challenge brings no ${name} to look the account up by`);
  }
  if (form === "text") return Buffer.from(value, "utf8");
  const guid = guidBytes(value);
  if (guid === undefined) throw refusal(`The ${name} of the challenge is no GUID`);
  return guid;
}

function refusal(message: string): RefusalError {
  return new RefusalError("directory-key-missing", "profile.directory", message);
}
