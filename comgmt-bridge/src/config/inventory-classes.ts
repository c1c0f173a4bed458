import { DEFAULT_INVENTORY_CLASSES } from "@isthmus/shared/link/desired-sites";

/** What the guardrails let the control plane ask for unless they say otherwise: hardware, the system, and what is installed. */
export const ALLOWED_INVENTORY_CLASSES: readonly string[] = [
  ...DEFAULT_INVENTORY_CLASSES,
  "SMS_G_System_ADD_REMOVE_PROGRAMS",
  "SMS_G_System_ADD_REMOVE_PROGRAMS_64",
  "SMS_G_System_BATTERY",
  "SMS_G_System_COMPUTER_SYSTEM_PRODUCT",
  "SMS_G_System_DISK",
  "SMS_G_System_ENCRYPTABLE_VOLUME",
  "SMS_G_System_FIRMWARE",
  "SMS_G_System_INSTALLED_SOFTWARE",
  "SMS_G_System_NETWORK_ADAPTER",
  "SMS_G_System_NETWORK_ADAPTER_CONFIGURATION",
  "SMS_G_System_PARTITION",
  "SMS_G_System_PHYSICAL_MEMORY",
  "SMS_G_System_PROCESSOR",
  "SMS_G_System_QUICK_FIX_ENGINEERING",
  "SMS_G_System_SYSTEM_ENCLOSURE",
  "SMS_G_System_TPM",
  "SMS_G_System_TPM_STATUS",
  "SMS_G_System_VIDEO_CONTROLLER",
  "SMS_G_System_WORKSTATION_STATUS",
  "SMS_G_System_X86_PC_MEMORY",
];
