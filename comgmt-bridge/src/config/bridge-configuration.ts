import { z } from "zod";
import { deletionGuardrails } from "./deletion-guardrails.ts";
import { queryGuardrails } from "./query-guardrails.ts";
import { site } from "./site.ts";

/** Keys of the local file besides the kernel's. Without a site the bridge keeps its connection and reports health. */
export const localConfiguration = z.strictObject({ site: site.optional() });
export type LocalConfiguration = z.infer<typeof localConfiguration>;

/**
 * What the control plane asks of the bridge. `sites` is there so that an empty configuration can be applied and
 * reported; a site is refused, since this version could not read it.
 */
export const desiredConfiguration = z.strictObject({
  sites: z
    .array(z.unknown())
    .max(0, "this version of the bridge reads no Configuration Manager site yet")
    .default([]),
});
export type DesiredConfiguration = z.infer<typeof desiredConfiguration>;

/** The bridge's section of the guardrails file. Without it nothing is allowed. */
export const guardrails = z.strictObject({
  queries: queryGuardrails.prefault({}),
  deletions: deletionGuardrails.prefault({}),
});
export type BridgeGuardrails = z.infer<typeof guardrails>;
