/*
 * A group as an attribute names it: by its distinguished name (RFC 4514), of which the first part is looked at
 *
 *   cn=Sales\, North+uid=7,ou=Groups,dc=example      the common name is `Sales, North`
 *   cn=K\C3\B6ln,ou=Groups                           `Köln`: two hex digits are one byte of UTF-8
 *   staff                                            no distinguished name: the name itself
 */
const COMMON_NAME =
  /^(?:cn|2\.5\.4\.3) *= *((?:[^,+\\"<>;]|\\[0-9A-Fa-f]{2}|\\[^0-9A-Fa-f])+)(?=[,+]|$)/i;
const ESCAPED = /\\([0-9A-Fa-f]{2}|[^0-9A-Fa-f])/g;

/** The names that policies may use for a group: as it is given, and by its common name. */
export function directoryGroupNames(text: string): readonly string[] {
  const value = COMMON_NAME.exec(text)?.[1];
  if (value === undefined || value.startsWith("#")) return [text];
  const name = unescaped(value);
  return name === undefined || name === "" ? [text] : [text, name];
}

/** Undefined for bytes that are no UTF-8. */
function unescaped(value: string): string | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  for (const match of value.matchAll(ESCAPED)) {
    const [whole, escaped = ""] = match;
    parts.push(Buffer.from(value.slice(at, match.index)));
    parts.push(escaped.length === 2 ? Buffer.from(escaped, "hex") : Buffer.from(escaped));
    at = match.index + whole.length;
  }
  // Spaces at the end are none of the name unless they are escaped.
  parts.push(Buffer.from(value.slice(at).replace(/ +$/, "")));
  const bytes = Buffer.concat(parts);
  const text = bytes.toString("utf8");
  return Buffer.from(text).equals(bytes) ? text : undefined;
}
