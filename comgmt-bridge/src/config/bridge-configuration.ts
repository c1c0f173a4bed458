import { z } from "zod";
import { actionGuardrails } from "./action-guardrails.ts";
import { agents } from "./agents.ts";
import { deletionGuardrails } from "./deletion-guardrails.ts";
import { directories } from "./directory.ts";
import { inventoryGuardrails } from "./inventory-guardrails.ts";
import { queryGuardrails } from "./query-guardrails.ts";
import { site } from "./site.ts";

/** Own limit. */
const MAX_SITES = 16;

/** Keys of the local file besides the kernel's. Without a site the bridge keeps its connection and reports health. */
export const localConfiguration = z.strictObject({
  site: site.optional(),
  /** Further sites. */
  sites: z.array(site).max(MAX_SITES).default([]),
  /** Domains of Active Directory. */
  directories,
  /** Inventory documents of FusionInventory and GLPI agents. */
  agents: agents.optional(),
});
export type LocalConfiguration = z.infer<typeof localConfiguration>;

/** The bridge's section of the guardrails file. Without it nothing is allowed. */
export const guardrails = z.strictObject({
  queries: queryGuardrails.prefault({}),
  actions: actionGuardrails.prefault({}),
  deletions: deletionGuardrails.prefault({}),
  inventory: inventoryGuardrails.prefault({}),
});
export type BridgeGuardrails = z.infer<typeof guardrails>;
