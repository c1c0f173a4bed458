import { type ErrorWords, errorWords } from "@isthmus/shared/configmgr/error-words";

/**
 * The state of each application on a device, in the words of tenant attach, out of rows of SMS_AppDeploymentAssetDetails and of
 * SMS_AppDeploymentErrorAssetDetails. Rows are foreign: what is not as it should be is passed over.
 */

export const STATES_FACET = "applicationStates";
export const ERRORS_FACET = "applicationErrors";

/** Own limit: rows of one device. */
const MAX_ROWS = 5_000;

export type ApplicationStateName =
  | "available"
  | "installed"
  | "installing"
  | "failed"
  | "requirementsNotMet"
  | "notInstalled"
  | "restartPending"
  | "required"
  | "unknown";

export interface ApplicationState {
  /** What tells it from the device's others: revision of the application, deployment, deployment type and user. */
  readonly id: string;
  readonly name: string;
  readonly state: ApplicationStateName;
  readonly deploymentTypeName: string | undefined;
  readonly intent: "required" | "available" | "simulate" | undefined;
  readonly collectionId: string | undefined;
  readonly userName: string | undefined;
  /** As the site has it, and in words where public reports know it. */
  readonly enforcementState: number | undefined;
  readonly enforcementWords: string | undefined;
  readonly error: ErrorWords | undefined;
  /** Of the deployment, as the site writes it. */
  readonly startTime: string | undefined;
}

/** In the order of names. */
export function applicationStates(states: unknown, errors: unknown): readonly ApplicationState[] {
  const codes = new Map(rowsIn(errors).map((row) => [idOf(row), number(row, "ErrorCode")]));
  const byId = new Map(rowsIn(states).map((row) => [idOf(row), row]));
  const all = [...byId].map(([id, row]) => stateOf(id, row, codes.get(id)));
  return all.sort((one, other) =>
    compareTexts(`${one.name} ${one.id}`, `${other.name} ${other.id}`),
  );
}

function compareTexts(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

type ForeignRow = Readonly<Record<string, unknown>>;

function rowsIn(value: unknown): readonly ForeignRow[] {
  const list: readonly unknown[] = Array.isArray(value) ? value.slice(0, MAX_ROWS) : [];
  return list.filter((row): row is ForeignRow => typeof row === "object" && row !== null);
}

function idOf(row: ForeignRow): string {
  const parts = ["AppCI", "AssignmentID", "DTCI", "UserName"].map((name) => own(row, name));
  return parts.map((part) => (isPlain(part) ? String(part).slice(0, 256) : "")).join("/");
}

function stateOf(id: string, row: ForeignRow, code: number | undefined): ApplicationState {
  const enforcement = number(row, "EnforcementState");
  const intent = INTENTS[number(row, "DeploymentIntent") ?? 0];
  const state = nameOf(row, { enforcement, intent });
  const isFailed = state === "failed" && code !== undefined && code !== 0;
  return {
    ...{ id, state, intent, enforcementState: enforcement },
    name: text(row, "AppName") ?? `application ${number(row, "AppCI") ?? "without a name"}`,
    deploymentTypeName: text(row, "DTName"),
    collectionId: text(row, "CollectionID"),
    userName: text(row, "UserName"),
    enforcementWords: enforcement === undefined ? undefined : ENFORCEMENT.get(enforcement),
    error: isFailed ? errorWords(code) : undefined,
    startTime: text(row, "StartTime"),
  };
}

/** As public reports and the console read it; the SDK reference calls the same numbers Install, Uninstall and Preflight. */
const INTENTS: readonly ApplicationState["intent"][] = [
  undefined,
  "required",
  "available",
  "simulate",
];

/** AppStatusType (SDK reference). */
const [SUCCESS, IN_PROGRESS, REQUIREMENTS_NOT_MET, ERROR] = [1, 2, 3, 5];
/** InstalledState (SDK reference). */
const [UNINSTALLED, INSTALLED] = [1, 2];
/** EnforcementState: "restart required before installing" and "pending system restart" of the SDK reference, and those of public reports. */
const RESTARTS = new Set([5, 9, 2_003, 2_008]);

function nameOf(
  row: ForeignRow,
  of: Pick<ApplicationState, "intent"> & { readonly enforcement: number | undefined },
): ApplicationStateName {
  const status = number(row, "AppStatusType");
  const installed = number(row, "InstalledState");
  if (status === ERROR) return "failed";
  if (status === REQUIREMENTS_NOT_MET) return "requirementsNotMet";
  if (status === SUCCESS || status === IN_PROGRESS) {
    if (of.enforcement !== undefined && RESTARTS.has(of.enforcement)) return "restartPending";
    if (status === IN_PROGRESS) return "installing";
    return installed === UNINSTALLED ? "notInstalled" : "installed";
  }
  // The device has said nothing of this deployment yet.
  if (installed === INSTALLED) return "installed";
  if (of.intent === "required") return "required";
  if (installed === UNINSTALLED) return "notInstalled";
  return of.intent === "available" ? "available" : "unknown";
}

/** Of v_AppIntentAssetData as public reports have them; the SDK reference stops at 14, which are those of software updates. */
const ENFORCEMENT: ReadonlyMap<number, string> = new Map([
  [1_000, "success"],
  [1_001, "already compliant"],
  [1_002, "simulated success"],
  [2_000, "in progress"],
  [2_001, "waiting for content"],
  [2_002, "installing"],
  [2_003, "restart to continue"],
  [2_004, "waiting for a maintenance window"],
  [2_005, "waiting for its schedule"],
  [2_006, "downloading dependent content"],
  [2_007, "installing dependent content"],
  [2_008, "restart to complete"],
  [2_009, "content downloaded"],
  [2_010, "waiting for an update"],
  [2_011, "waiting for the user's session"],
  [2_012, "waiting for the user to sign out"],
  [2_013, "waiting for the user to sign in"],
  [2_014, "waiting to install"],
  [2_015, "waiting to try again"],
  [2_016, "waiting for the end of presentation mode"],
  [2_017, "waiting for orchestration"],
  [2_018, "waiting for the network"],
  [2_019, "its App-V environment is pending"],
  [2_020, "updating its App-V environment"],
  [3_000, "requirements not met"],
  [3_001, "not for this platform"],
  [4_000, "unknown"],
  [5_000, "deployment failed"],
  [5_001, "evaluation failed"],
  [5_002, "deployment failed"],
  [5_003, "content not found"],
  [5_004, "a dependency could not be installed"],
  [5_005, "dependent content could not be downloaded"],
  [5_006, "conflicts with another application"],
  [5_007, "waiting to try again"],
  [5_008, "what it supersedes could not be uninstalled"],
  [5_009, "what it supersedes could not be downloaded"],
  [5_010, "its App-V environment could not be updated"],
]);

/** As tenant attach shows them. */
export const APPLICATION_STATE_WORDS: Readonly<Record<ApplicationStateName, string>> = {
  available: "Available",
  installed: "Installed",
  installing: "Installing",
  failed: "Failed",
  requirementsNotMet: "Requirements not met",
  notInstalled: "Not installed",
  restartPending: "Restart pending",
  required: "Required",
  unknown: "Unknown",
};

/** A state in words, with what its code says: `Failed: 0x87D00324, the application was not detected after its installation`. */
export function applicationStateWords({ state, error }: ApplicationState): string {
  const words = APPLICATION_STATE_WORDS[state];
  return error === undefined ? words : `${words}: ${error.code}, ${error.message}`;
}

export interface ApplicationChange {
  readonly name: string;
  /** In words; undefined where it is not deployed to the device. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What differs, one line for each deployment of an application; at most `limit`. */
export function applicationChanges(
  before: readonly ApplicationState[],
  after: readonly ApplicationState[],
  limit: number,
): readonly ApplicationChange[] {
  const former = new Map(before.map((each) => [each.id, each]));
  const changes: ApplicationChange[] = [];
  for (const each of after) {
    const was = former.get(each.id);
    former.delete(each.id);
    const words = [was && applicationStateWords(was), applicationStateWords(each)] as const;
    if (words[0] !== words[1]) changes.push({ name: each.name, before: words[0], after: words[1] });
  }
  for (const was of former.values()) {
    changes.push({ name: was.name, before: applicationStateWords(was), after: undefined });
  }
  return changes.slice(0, limit);
}

function own(row: ForeignRow, name: string): unknown {
  return Object.hasOwn(row, name) ? row[name] : undefined;
}

function isPlain(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}

function number(row: ForeignRow, name: string): number | undefined {
  const value = own(row, name);
  return typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;
}

function text(row: ForeignRow, name: string): string | undefined {
  const value = own(row, name);
  return typeof value === "string" && value !== "" ? value.slice(0, 512) : undefined;
}
