import { inventoryClassName } from "@isthmus/shared/link/desired-sites";
import { z } from "zod";
import { ALLOWED_INVENTORY_CLASSES } from "./inventory-classes.ts";

/** Own limit. */
const MAX_CLASSES = 500;

/** What of the inventory the control plane may ask for. */
export const inventoryGuardrails = z.strictObject({
  /** Classes of hardware inventory; `*` for every one. */
  classes: z
    .array(z.union([z.literal("*"), inventoryClassName]))
    .max(MAX_CLASSES)
    .default([...ALLOWED_INVENTORY_CLASSES]),
});
