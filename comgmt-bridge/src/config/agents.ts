import { pathKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";

const MIB = 1_048_576;

const limits = z.strictObject({
  maxFileBytes: z
    .int()
    .min(1_024)
    .max(64 * MIB)
    .default(16 * MIB),
  maxFiles: z.int().min(1).max(500_000).default(100_000),
  /** Files in `rejected`; further faulty ones stay where they are. */
  maxRejected: z.int().min(0).max(100_000).default(1_000),
});

/** Inventory documents of FusionInventory and GLPI agents, which something brings into a folder. */
export const agents = z.strictObject({
  /** Documents are read from here and stay here; nothing is listened on. */
  folder: pathKey(),
  /** The source's name: whoever reads the same documents gives it the same one. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
    .default("agents"),
  /** A device that wrote nothing for so long counts as missing. */
  maxAgeDays: z.int().min(1).max(3_650).default(30),
  /** How often the folder is looked at for new documents. */
  everySeconds: z.int().min(5).max(3_600).default(60),
  /** How often all documents together count as a scan: two without a device delete it. */
  scanMinutes: z.int().min(15).max(10_080).default(60),
  /** A file that was written to within this time may not be whole. */
  settleSeconds: z.int().min(1).max(600).default(10),
  /** So long a document that ends in the middle is waited for before it is rejected. */
  incompleteMinutes: z.int().min(1).max(1_440).default(15),
  limits: limits.prefault({}),
});

export type AgentsConfiguration = z.infer<typeof agents>;
