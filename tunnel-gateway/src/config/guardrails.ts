import { z } from "zod";
import { destinationSchema } from "./desired-configuration.ts";

/**
 * The gateway's section of the guardrails file: what no desired configuration can exceed. What is left out is not
 * bounded beyond the default-deny list.
 */
export const guardrails = z.strictObject({
  /** The only destinations that any policy may open. */
  destinations: z.array(destinationSchema).max(10_000).optional(),
  /** Most that maximum age and grace of device states may come to. */
  maximumDeviceAgeMinutes: z.number().int().min(1).optional(),
  /** Most that the hard age of revocation knowledge may come to. */
  maximumRevocationAgeMinutes: z.number().int().min(1).optional(),
});
export type Guardrails = z.infer<typeof guardrails>;
