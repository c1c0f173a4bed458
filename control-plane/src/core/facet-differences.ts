/**
 * How two values of a facet differ, as a person reads it: one line for each field. Rows of a class have no order of their own, so
 * lists are compared as bags, and a row that went is shown beside the one that came in its place where a key of both says so.
 */

/** One field that differs. `path` is `OperatingSystem`, `DeviceID=C:/FreeSpace`, or empty for the whole value; what is absent is undefined. */
export interface FieldDifference {
  readonly facet: string;
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface Differences {
  readonly fields: readonly FieldDifference[];
  /** Whether there are more than were asked for. */
  readonly isCut: boolean;
}

/** Own limits: a value in a line is shortened to this, lists longer than that are told as one line, and so is what lies deeper. */
const MAX_VALUE_CHARACTERS = 512;
const MAX_LIST = 2_000;
const MAX_DEPTH = 6;

/** What tells one row of a class from another, the best first; the last of an application and of a software update. */
const ROW_KEYS: readonly RowKey[] = [
  ...[
    "GroupID",
    "InstanceKey",
    "DeviceID",
    "ProdID",
    "ProductID",
    "Index",
    "Name",
    "PropertyName",
  ].map(only),
  ["AppName", "AssignmentID", "DTCI", "UserName"],
  ["AppCI", "AssignmentID", "DTCI", "UserName"],
  only("CI_ID"),
];

type RowKey = readonly [named: string, ...besides: string[]];

function only(column: string): RowKey {
  return [column];
}

type Members = Readonly<Record<string, unknown>>;

/** At most `limit` fields in which `after` differs from `before`. */
export function facetDifferences(
  facet: string,
  before: unknown,
  after: unknown,
  limit: number,
): Differences {
  const found: FieldDifference[] = [];
  // One more than is shown tells whether there are more.
  const add = (path: string, was: unknown, is: unknown) => {
    if (found.length > limit) return;
    found.push({
      facet,
      path,
      ...(was !== undefined && { before: shortened(was) }),
      ...(is !== undefined && { after: shortened(is) }),
    });
  };
  compare({ add, isFull: () => found.length > limit }, "", before, after, 0);
  return { fields: found.slice(0, limit), isCut: found.length > limit };
}

interface Collector {
  readonly add: (path: string, before: unknown, after: unknown) => void;
  readonly isFull: () => boolean;
}

function compare(to: Collector, path: string, before: unknown, after: unknown, depth: number) {
  if (to.isFull() || isSame(before, after)) return;
  if (depth < MAX_DEPTH && isMembers(before) && isMembers(after)) {
    compareMembers(to, path, before, after, depth);
  } else if (depth < MAX_DEPTH && isShortList(before) && isShortList(after)) {
    compareLists(to, path, before, after, depth);
  } else {
    to.add(path, before, after);
  }
}

function compareMembers(
  to: Collector,
  path: string,
  before: Members,
  after: Members,
  depth: number,
) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  for (const name of names) {
    if (to.isFull()) return;
    compare(to, join(path, name), own(before, name), own(after, name), depth + 1);
  }
}

function compareLists(
  to: Collector,
  path: string,
  before: readonly unknown[],
  after: readonly unknown[],
  depth: number,
) {
  const came = bagOf(after);
  const gone: unknown[] = [];
  for (const item of before) if (!takeFrom(came, item)) gone.push(item);
  const left = [...came.values()].flat();
  const key = keyOf(gone, left);
  for (const item of gone) {
    if (to.isFull()) return;
    const partner = key === undefined ? -1 : left.findIndex((each) => sameKey(each, item, key));
    if (partner === -1) to.add(path, item, undefined);
    else {
      const [other] = left.splice(partner, 1);
      const named = key?.[0] ?? "";
      const row = `${named}=${String(own(item as Members, named)).slice(0, 64)}`;
      compare(to, join(path, row), item, other, depth + 1);
    }
  }
  for (const item of left) to.add(path, undefined, item);
}

function bagOf(items: readonly unknown[]): Map<string, unknown[]> {
  const bag = new Map<string, unknown[]>();
  for (const item of items) {
    const text = JSON.stringify(item);
    const same = bag.get(text);
    if (same === undefined) bag.set(text, [item]);
    else same.push(item);
  }
  return bag;
}

function takeFrom(bag: Map<string, unknown[]>, item: unknown): boolean {
  const text = JSON.stringify(item);
  const same = bag.get(text);
  if (same === undefined) return false;
  if (same.length > 1) same.pop();
  else bag.delete(text);
  return true;
}

/** A key that every row on both sides has. */
function keyOf(gone: readonly unknown[], came: readonly unknown[]): RowKey | undefined {
  if (gone.length === 0 || came.length === 0) return undefined;
  const has = (key: RowKey) => (item: unknown) =>
    isMembers(item) &&
    key.every((column) => ["string", "number"].includes(typeof own(item, column)));
  return ROW_KEYS.find((key) => gone.every(has(key)) && came.every(has(key)));
}

function sameKey(one: unknown, other: unknown, key: RowKey): boolean {
  return key.every((column) => own(one as Members, column) === own(other as Members, column));
}

function isSame(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isShortList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length <= MAX_LIST;
}

function own(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

function shortened(value: unknown): unknown {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text.length <= MAX_VALUE_CHARACTERS) return value;
  return `${text.slice(0, MAX_VALUE_CHARACTERS)}…`;
}
