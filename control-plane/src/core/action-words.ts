import type { NOTIFICATIONS } from "@isthmus/shared/link/site-messages";

/** What the actions of devices are called, by their names in the API: on pages, and in timelines. */

type Notification = (typeof NOTIFICATIONS)[number];

const NOTIFICATION_WORDS: Readonly<Record<Notification, string>> = {
  refreshMachinePolicy: "Sync machine policy",
  refreshUserPolicy: "Sync user policy",
  appEvaluation: "App evaluation",
  wakeUpClient: "Wake up",
  quickScan: "Quick scan",
  fullScan: "Full scan",
  windowsDefenderUpdateSignatures: "Update Defender",
  hardwareInventory: "Hardware inventory",
  softwareInventory: "Software inventory",
  discoveryData: "Discovery data",
  softwareUpdateEvaluation: "Evaluate updates",
  complianceEvaluation: "Evaluate compliance",
  restart: "Restart",
  collectLogs: "Collect logs",
  deviceHealthAttestation: "Health attestation",
  enableVerboseLogging: "Verbose logging on",
  disableVerboseLogging: "Verbose logging off",
  switchSoftwareUpdatePoint: "Switch software update point",
};

const WORDS: Readonly<Record<string, string>> = {
  ...NOTIFICATION_WORDS,
  refreshInventory: "Read again",
  runScript: "Run script",
  runQuery: "CMPivot query",
  installApplication: "Install",
  uninstallApplication: "Uninstall",
  repairApplication: "Repair",
  reevaluateApplication: "Re-evaluate",
  revealRecoveryKey: "Recovery key",
  setProperties: "Custom properties",
};

/** A name that nobody knows is answered as it is. */
export function actionWords(name: string): string {
  return Object.hasOwn(WORDS, name) ? (WORDS[name] ?? name) : name;
}

/** The same with what it was done with: `Install Editor`, `Run script Clean up`. */
export function actionTitle(
  name: string,
  {
    scriptName,
    applicationName,
  }: { readonly scriptName?: unknown; readonly applicationName?: unknown } = {},
): string {
  const subject = applicationName ?? scriptName;
  const words = actionWords(name);
  return typeof subject === "string" && subject !== "" ? `${words} ${subject}` : words;
}
