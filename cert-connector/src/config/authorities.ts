import { z } from "zod";
import { localName } from "./names.ts";

/** Certification authorities elsewhere, by name; a profile's `ca` is such a name, or a label that several carry. */
export const authorities = z.record(localName, z.strictObject({})).default({});
