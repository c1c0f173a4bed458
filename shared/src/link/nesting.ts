/**
 * Whether objects and arrays lie at most `depth` deep within one another. JSON.parse reads any depth, and JSON.stringify of
 * what it read ends in a RangeError, at a depth that depends on the thread.
 */
export function isNestedAtMost(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((part) => isNestedAtMost(part, depth - 1));
}
