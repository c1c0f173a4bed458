/**
 * The state of a software update on a device, in words: `Status` of SMS_UpdateComplianceStatus (SDK reference; state messages of topic 500), and
 * `LastEnforcementMessageID`, how far its installation is (state messages of topic 402). A number that no document explains is kept, and called
 * unknown.
 */

export type UpdateStateName = "unknown" | "notApplicable" | "required" | "installed";

/** As tenant attach says it; of its words those that rows of single updates can come to. */
export type UpdateCompliance = "unknown" | "compliant" | "nonCompliant" | "error";

export interface UpdateStatus {
  readonly state: UpdateStateName;
  readonly words: string;
  readonly compliance: UpdateCompliance;
  /** Undefined where no installation was begun, or the site does not say. */
  readonly enforcementWords: string | undefined;
}

const STATES: readonly (readonly [UpdateStateName, string])[] = [
  ["unknown", "detection state unknown"],
  ["notApplicable", "update is not required"],
  ["required", "update is required"],
  ["installed", "update is installed"],
];

/** STATE_TOPICTYPE_SUM_CI_ENFORCEMENT; 0 is no message. */
const ENFORCEMENT: readonly string[] = [
  "",
  "enforcement started",
  "enforcement waiting for content",
  "waiting for another installation to complete",
  "waiting for the maintenance window before installing",
  "restart required before installing",
  "general failure",
  "pending installation",
  "installing update",
  "pending system restart",
  "successfully installed update",
  "failed to install the update",
  "downloading update",
  "downloaded update",
  "failed to download the update",
];
const FAILURES: ReadonlySet<number> = new Set([6, 11, 14]);

/** `null` for what the site does not say. */
export function updateStatus(status: number | null, enforcement: number | null): UpdateStatus {
  const [state, words] = STATES[status ?? 0] ?? (["unknown", `unknown (${status})`] as const);
  return {
    ...{ state, words },
    compliance: complianceOf(state, enforcement),
    enforcementWords:
      enforcement === null || enforcement === 0
        ? undefined
        : (ENFORCEMENT[enforcement] ?? `unknown (${enforcement})`),
  };
}

function complianceOf(state: UpdateStateName, enforcement: number | null): UpdateCompliance {
  switch (state) {
    case "unknown":
      return "unknown";
    case "notApplicable":
    case "installed":
      return "compliant";
    case "required":
      return enforcement !== null && FAILURES.has(enforcement) ? "error" : "nonCompliant";
  }
}
