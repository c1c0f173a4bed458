/**
 * The entities of "CMPivot overview", those of the console alone among them. A site may have more: each class of its
 * hardware inventory is one.
 */

/** Entities that are read as they are. */
const PLAIN = `
  AadStatus Administrators AppCrash AppVClientApplication AppVClientPackage AutoStartSoftware BaseBoard Battery
  Bios BitLocker BitLockerEncryptionDetails BitLockerPolicy BootConfiguration BrowserHelperObject BrowserUsage
  CCMRAX CCMRecentlyUsedApplications CCMWebAppInstallInfo CDROM ClientEvents ComputerSystem ComputerSystemEx
  ComputerSystemProduct ConnectedDevice Connection Desktop DesktopMonitor Device Disk DMA DMAChannel DriverVxD
  EmbeddedDeviceInformation Environment EPStatus FileShare Firmware IDEController InstalledExecutable
  InstalledSoftware IPConfig IRQTable Keyboard LoadOrderGroup LogicalDisk MDMDevDetail Memory Modem Motherboard
  NetworkAdapter NetworkAdapterConfiguration NetworkClient NetworkLoginProfile NTEventlogFile
  Office365ProPlusConfigurations OfficeAddin OfficeClientMetric OfficeDeviceSummary OfficeDocumentMetric
  OfficeDocumentSolution OfficeMacroError OfficeProductInfo OfficeVbaRuleViolation OfficeVbaSummary
  OperatingSystem OperatingSystemEx OperatingSystemRecoveryConfiguration OptionalFeature OS PageFileSetting
  ParallelPort Partition PCMCIAController PhysicalDisk PhysicalMemory PNPDEVICEDRIVER PointingDevice
  PortableBattery Ports PowerCapabilities PowerClientOptOutSettings PowerConfigurations PowerManagementDaily
  PowerManagementInsomniaReasons PowerManagementMonthly PowerSettings PrinterConfiguration PrinterDevice
  PrintJobs Process Processor ProtectedVolumeInformation Protocol QuickFixEngineering SCSIController
  SerialPortConfiguration SerialPorts ServerFeature Service Services Shares SMBConfig SMSAdvancedClientPorts
  SMSAdvancedClientSSLConfigurations SMSAdvancedClientState SMSDefaultBrowser SMSSoftwareTag
  SMSWindows8Application SMSWindows8ApplicationUserInfo SoftwareShortcut SoftwareUpdate SoundDevices
  SWLicensingProduct SWLicensingService SystemAccount SystemBootData SystemBootSummary SystemConsoleUsage
  SystemConsoleUser SystemDevices SystemDrivers SystemEnclosure TapeDrive TimeZone TPM TPMStatus
  TSIssuedLicense TSLicenseKeyPack UninterruptiblePowerSupply USBController USBDevice User
  USMFolderRedirectionHealth USMUserProfile VideoController VirtualMachine VirtualMachine64 Volume
  WindowsUpdate WindowsUpdateAgentVersion WriteFilterState AccountSID NAPClient NAPSystemHealthAgent
`;

/** How far back a log is read where the query does not say: "within 24 hours (by default)". */
export const DEFAULT_WINDOW_MS = 86_400_000;

/** What an entity takes in parentheses: quoted text, and where it reads a log, how far back (24 hours unless given). */
export interface EntityParameters {
  /** What the text is, e.g. `path of a file`. */
  readonly text: string;
  readonly hasWindow: boolean;
}

const WITH_PARAMETERS: Readonly<Record<string, EntityParameters>> = {
  CcmLog: { text: "name of a log of the client", hasWindow: true },
  EventLog: { text: "name of an event log", hasWindow: true },
  File: { text: "path of files", hasWindow: false },
  FileContent: { text: "path of a file", hasWindow: false },
  ProcessModule: { text: "name of a process", hasWindow: false },
  Registry: { text: "path of a registry key", hasWindow: false },
  RegistryKey: { text: "path of a registry key", hasWindow: false },
  WinEvent: { text: "name of an event log", hasWindow: true },
};

export interface Entity {
  /** As the documentation spells it. */
  readonly name: string;
  /** Undefined for an entity that is read as it is. */
  readonly parameters: EntityParameters | undefined;
}

const BY_LOWER_CASE: ReadonlyMap<string, Entity> = new Map(
  [
    ...PLAIN.trim()
      .split(/\s+/)
      .map((name) => ({ name, parameters: undefined })),
    ...Object.entries(WITH_PARAMETERS).map(([name, parameters]) => ({ name, parameters })),
  ].map((entity) => [entity.name.toLowerCase(), entity]),
);

/** The documented entity of that name in any case; undefined for others. */
export function entityOf(name: string): Entity | undefined {
  return BY_LOWER_CASE.get(name.toLowerCase());
}

/** Names of all documented entities. */
export const ENTITY_NAMES: readonly string[] = [...BY_LOWER_CASE.values()].map(({ name }) => name);
