import { z } from "zod";
import { localName } from "./names.ts";

/** Web services by name that a profile may have its challenges checked by. */
export const webhooks = z.record(localName, z.strictObject({})).default({});
