/** Classes of hardware inventory: what is read unless somebody says otherwise, and how long their lists are. */

/** Read where the desired configuration names none. */
export const DEFAULT_INVENTORY_CLASSES: readonly string[] = [
  "SMS_G_System_COMPUTER_SYSTEM",
  "SMS_G_System_OPERATING_SYSTEM",
  "SMS_G_System_PC_BIOS",
  "SMS_G_System_LOGICAL_DISK",
];

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

/** About, so that the first pages are neither too long nor too short; readers learn what it really is. */
const ROWS_PER_DEVICE: Readonly<Record<string, number>> = {
  ADD_REMOVE_PROGRAMS: 64,
  ADD_REMOVE_PROGRAMS_64: 64,
  INSTALLED_SOFTWARE: 128,
  QUICK_FIX_ENGINEERING: 32,
  SERVICE: 256,
  NETWORK_ADAPTER: 16,
  NETWORK_ADAPTER_CONFIGURATION: 16,
  COMPUTER_SYSTEM: 1,
  COMPUTER_SYSTEM_PRODUCT: 1,
  OPERATING_SYSTEM: 1,
  PC_BIOS: 1,
  WORKSTATION_STATUS: 1,
  X86_PC_MEMORY: 1,
  TPM: 1,
  TPM_STATUS: 1,
};
const ROWS_PER_DEVICE_OF_OTHERS = 4;

const PREFIX = "SMS_G_System_";

/** 1 is only about here, too: a class may always have more rows. */
export function aboutRowsPerDevice(className: string): number {
  return ROWS_PER_DEVICE[className.slice(PREFIX.length)] ?? ROWS_PER_DEVICE_OF_OTHERS;
}
