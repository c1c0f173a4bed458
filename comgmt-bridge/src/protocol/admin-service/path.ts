import { ProtocolError } from "@isthmus/shared/errors";

/**
 * Paths below `https://FQDN/AdminService/` (memdocs, develop/adminservice/usage): names of classes, properties and methods are
 * case-sensitive, keys stand in parentheses.
 */

/** `v1.0` has the classes that were made for the service, `wmi` every class of the provider. */
export type Route = "v1.0" | "wmi";

/** A number as it is; text in quotes; a GUID, which OData writes without them. */
export type Key = number | string | { readonly guid: string };

export interface ClassName {
  readonly route: Route;
  readonly name: string;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** `wmi/SMS_R_System`. Throws ProtocolError `admin-service-name`. */
export function classPath({ route, name }: ClassName): string {
  return `${route}/${checkedName(name)}`;
}

/** `v1.0/Device(16777220)`, `v1.0/Collections('SMS00001')`. Throws ProtocolError `admin-service-name`, `admin-service-key`. */
export function objectPath(of: ClassName, key: Key): string {
  return `${classPath(of)}(${keyText(key)})`;
}

/** What is asked for, whichever object it is asked of: `v1.0/Device()/Events` of `v1.0/Device(16777220)/Events?$top=1`. */
export function pathWithoutKeys(path: string): string {
  return (path.split("?", 1)[0] ?? path).replace(/\((?:'(?:[^']|'')*'|[^)']*)\)/g, "()");
}

/** A name of the provider's, as it may stand in a path or a query. */
export function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  throw new ProtocolError(
    "admin-service-name",
    `${JSON.stringify(name.slice(0, 200))} is no name of a class, property or method: letters, digits and _ only`,
  );
}

/** GUIDs stand in OData without quotes. Throws ProtocolError `admin-service-key`. */
export function guidText(guid: string): string {
  if (GUID.test(guid)) return guid.toLowerCase();
  throw badKey(`${JSON.stringify(guid.slice(0, 100))} is no GUID`);
}

function keyText(key: Key): string {
  if (typeof key === "number") {
    if (Number.isSafeInteger(key)) return String(key);
    throw badKey(`${key} is no whole number`);
  }
  return typeof key === "string" ? encodeURIComponent(quoted(key)) : guidText(key.guid);
}

/** OData 4.01 part 2, section 5.1.1.6.1: a quote within is doubled. Throws ProtocolError `admin-service-key`. */
export function quoted(text: string): string {
  // A lone surrogate has no UTF-8, and control characters are in no name of the site.
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) {
    throw badKey("a text value holds control characters or half a character");
  }
  return `'${text.replaceAll("'", "''")}'`;
}

function badKey(message: string): ProtocolError {
  return new ProtocolError("admin-service-key", message);
}
