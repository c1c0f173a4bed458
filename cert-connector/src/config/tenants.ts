import { z } from "zod";
import { localName } from "./names.ts";

/** Microsoft Intune tenants by name, for profiles whose challenges Intune validates. */
export const tenants = z.record(localName, z.strictObject({})).default({});
