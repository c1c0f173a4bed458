import { BACKUP_FAULTS } from "./backup-faults.ts";
import type { ChaosFault } from "./fault.ts";
import { LINE_FAULTS } from "./line-faults.ts";
import { MACHINE_FAULTS } from "./machine-faults.ts";
import { SITE_FAULTS } from "./site-faults.ts";

/** All that can go wrong. */
export const FAULTS: readonly ChaosFault[] = [
  ...MACHINE_FAULTS,
  ...LINE_FAULTS,
  ...SITE_FAULTS,
  ...BACKUP_FAULTS,
];
