import { z } from "zod";
import { parseWithWords } from "../core/body-faults.ts";

/** Parses a body; throws `body-invalid` with every fault and its property in one message. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  return parseWithWords(schema, body);
}

/** Building blocks of bodies. */
export const identifier = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, "letters, digits and . _ : - only, 1 to 128");
export const displayName = z.string().trim().min(1).max(200);
export const note = z.string().max(1_024);

/** Leaves out what is undefined, which the types of the store's arguments do not allow. */
export function given<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
