import { z } from "zod";
import { localName } from "./names.ts";

/** LDAP directories by name, for the variables of profiles. */
export const directories = z.record(localName, z.strictObject({})).default({});
