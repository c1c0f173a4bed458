/** What a member of a JSON object may be; `?` where it may be absent or null. */
type Kind = "string" | "number" | "boolean" | "text-or-list" | "list";
export type Shape = Readonly<Record<string, Kind | `${Kind}?`>>;

type Value<Of extends string> = Of extends "string"
  ? string
  : Of extends "number"
    ? number
    : Of extends "boolean"
      ? boolean
      : Of extends "list"
        ? readonly unknown[]
        : string | readonly string[];

/** Members as their shape says; those with `?` may be undefined. */
export type Members<Of extends Shape> = {
  readonly [Name in keyof Of]: Of[Name] extends `${infer Kind}?`
    ? Value<Kind> | undefined
    : Value<Of[Name]>;
};

/** The members of an object that has these and no others; otherwise the name of the one that is wrong. */
export function readMembers<Of extends Shape>(body: unknown, shape: Of): Members<Of> | string {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return "the body";
  const members = body as Readonly<Record<string, unknown>>;
  const foreign = Object.keys(members).find((name) => !Object.hasOwn(shape, name));
  const wrong =
    foreign ?? Object.keys(shape).find((name) => !fits(members[name], shape[name] ?? ""));
  return wrong ?? (members as Members<Of>);
}

function fits(value: unknown, kind: string): boolean {
  if (value === undefined || value === null) return kind.endsWith("?");
  switch (kind.replace("?", "")) {
    case "list":
      return Array.isArray(value);
    case "text-or-list":
      return (
        typeof value === "string" ||
        (Array.isArray(value) && value.every((each) => typeof each === "string"))
      );
    default:
      return typeof value === kind.replace("?", "");
  }
}
