import { z } from "zod";

/** Own limit. */
const MAX_MINIMUM = 10_000;

/**
 * How many records may be deleted because they are missing at their source, at the end of one scan of a kind, before somebody on this host has
 * to approve it. A source that suddenly shows less (a permission that was taken away, a moved scope) looks just like one that has less.
 */
export const deletionGuardrails = z.strictObject({
  /** Share of the kind's records. */
  maxShare: z.number().min(0).max(1).default(0.02),
  /** So many may go whatever their share, so that a small site need not approve each one. */
  minimum: z.number().int().min(0).max(MAX_MINIMUM).default(5),
});
