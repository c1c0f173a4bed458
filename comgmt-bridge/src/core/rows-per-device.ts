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
