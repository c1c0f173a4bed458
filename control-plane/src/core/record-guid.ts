/**
 * The id of an inventory record in the API: a GUID, as Graph's ids of devices are, made of the record's row number and so found again
 * without an index. Row numbers are never used twice. In SQL: `printf('00000000-0000-4000-8000-%012x', id)`.
 */
const PREFIX = "00000000-0000-4000-8000-";

export function recordGuid(recordId: number): string {
  return PREFIX + recordId.toString(16).padStart(12, "0");
}

/** The row number of a record, or undefined for an id of something else. */
export function recordIdOfGuid(guid: string): number | undefined {
  const text = guid.toLowerCase();
  if (!/^[0-9a-f-]{36}$/.test(text) || !text.startsWith(PREFIX)) return undefined;
  const digits = text.slice(PREFIX.length);
  return /^[0-9a-f]{12}$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}
