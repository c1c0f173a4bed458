import type { z } from "zod";

type Schema = z.core.$ZodType;

/**
 * The keys that a schema allows in the object at `path`, e.g. at `["vpn", "groups", 0]`; none where it has no object there.
 * `input` is the value that is checked: it tells which form of a discriminated union was meant.
 */
export function keysAt(schema: Schema, path: readonly PropertyKey[], input: unknown): string[] {
  // Every schema that zod makes is one of these; the union has no common type that says so.
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const [key, ...rest] = path;
  const below = (inner: Schema | undefined) =>
    inner === undefined || key === undefined ? [] : keysAt(inner, rest, childOf(input, key));
  switch (def.type) {
    case "object":
      if (key === undefined) return Object.keys(def.shape);
      return below(def.shape[String(key)]);
    case "record":
      return below(def.valueType);
    case "array":
      return below(def.element);
    case "union":
      return formsOf(def, input).flatMap((form) => keysAt(form, path, input));
    case "pipe":
      return keysAt(def.in, path, input);
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "readonly":
      return keysAt(def.innerType, path, input);
    default:
      return [];
  }
}

function formsOf(def: z.core.$ZodUnionDef, input: unknown): readonly Schema[] {
  if (!("discriminator" in def)) return def.options;
  const discriminator = String(def.discriminator);
  const chosen = childOf(input, discriminator);
  return def.options.filter(({ _zod }) =>
    _zod.propValues?.[discriminator]?.has(chosen as z.core.util.Primitive),
  );
}

/** The value under one key, where there is one. */
export function childOf(value: unknown, key: PropertyKey): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<PropertyKey, unknown>)[key];
}
