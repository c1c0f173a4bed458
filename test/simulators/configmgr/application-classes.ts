import { type Device, FIRST_RESOURCE_ID } from "./device.ts";
import {
  alphabetical,
  type Column,
  date,
  type EntityClass,
  flag,
  int,
  text,
} from "./entity-class.ts";
import type { Fleet } from "./fleet.ts";
import { guidOf } from "./random-values.ts";
import { devicesIn } from "./system-classes.ts";

/** What the site says of the applications that are deployed to devices, row by row and counted. */

/** What an installation that was asked for has come to, by `<device>/<application>`. */
export type InstallStates = ReadonlyMap<string, InstallState>;
export type InstallState =
  | "Installing"
  | "Installed"
  | "Uninstalled"
  | "Failed"
  | "Restart pending"
  | "Requirements not met";

/** "The application was not detected after installation completed", signed. */
export const NOT_DETECTED = 0x87d00324 | 0;
export const FIRST_CI = 16_777_300;
const FIRST_ASSIGNMENT = 16_778_000;
const FIRST_TYPE_CI = 16_779_000;
const COLLECTION = "SMS00001";

interface Deployed {
  readonly device: Device;
  readonly number: number;
}

interface DeployedApplications {
  readonly fleet: Fleet;
  readonly count: number;
  readonly now: () => number;
  readonly nameOf: (number: number) => string;
  readonly stateOf: (device: Device, number: number) => string;
  /** What it was before anything was asked for. */
  readonly firstState: (device: Device, number: number) => string;
  /** Devices on which it was asked for, and what came of it. */
  readonly moved: (number: number) => Iterable<readonly [device: Device, state: string]>;
}

export function isDeployed(device: Device, number: number): boolean {
  return (device.bits(79) + number) % 4 !== 0;
}

/** AppStatusType: 1 success, 2 in progress, 3 requirements not met, 4 unknown, 5 error. The second number is what v_AppIntentAssetData has. */
const STATES: Readonly<Record<string, readonly [status: number, enforcement: number]>> = {
  Installed: [1, 1_000],
  Installing: [2, 2_002],
  "Restart pending": [2, 2_008],
  "Requirements not met": [3, 3_000],
  Available: [4, 4_000],
  "Not installed": [4, 4_000],
  Failed: [5, 5_000],
};
const INSTALLED_STATES: Readonly<Record<string, number>> = { Installed: 2, "Not installed": 1 };

export function applicationStateClasses(of: DeployedApplications): EntityClass[] {
  const columns = alphabetical(assetColumns(of));
  const errors = alphabetical([
    ...assetColumns(of).filter(({ name }) => name !== "InstalledState"),
    int<Deployed>("ErrorCode", () => NOT_DETECTED),
  ]);
  const isFailed = (row: Deployed) => of.stateOf(row.device, row.number) === "Failed";
  const classes = [
    assets(of, "SMS_AppDeploymentAssetDetails", columns, () => true),
    assets(of, "SMS_AppDeploymentErrorAssetDetails", errors, isFailed),
    summaries(of),
  ];
  return classes as unknown as EntityClass[];
}

function assets(
  { fleet, count }: DeployedApplications,
  name: string,
  columns: readonly Column<Deployed>[],
  has: (row: Deployed) => boolean,
): EntityClass<Deployed> {
  return {
    ...{ name, route: "wmi", keys: ["MachineID"], columns },
    rows: function* (ranges) {
      for (const device of devicesIn(fleet, ranges)) {
        for (let number = 0; number < count; number += 1) {
          if (isDeployed(device, number) && has({ device, number })) yield { device, number };
        }
      }
    },
    deviceOf: ({ device }) => device,
  };
}

function assetColumns(of: DeployedApplications): Column<Deployed>[] {
  const stateOf = ({ device, number }: Deployed) => of.stateOf(device, number);
  const [status, enforcement] = [0, 1].map(
    (n) => (row: Deployed) => STATES[stateOf(row)]?.[n] ?? 4,
  ) as [(row: Deployed) => number, (row: Deployed) => number];
  return [
    int("AppCI", ({ number }) => FIRST_CI + number),
    text("AppName", ({ number }) => of.nameOf(number)),
    int("AppStatusType", status),
    int("AssignmentID", ({ number }) => FIRST_ASSIGNMENT + number),
    text("AssignmentUniqueID", ({ number }) => deploymentId(number)),
    text("CollectionID", () => COLLECTION),
    text("CollectionName", () => "All Systems"),
    int("ComplianceState", (row) => (status(row) === 1 ? 1 : 2)),
    int("DeploymentIntent", ({ number }) => intentOf(number)),
    int("DTCI", ({ number }) => FIRST_TYPE_CI + number),
    int("DTModelID", ({ number }) => FIRST_TYPE_CI + number),
    text("DTName", ({ number }) => `${of.nameOf(number)} - Windows Installer (*.msi file)`),
    int("DTResultID", ({ device, number }) => device.id + number),
    int("EnforcementState", enforcement),
    int("ExtendedInfoDescriptionID", () => 0),
    int("ExtendedInfoID", () => 0),
    int("InstalledState", (row) => INSTALLED_STATES[stateOf(row)] ?? 3),
    flag("IsMachineAssignedToUser", () => false),
    flag("IsMachineChangesPersisted", () => true),
    flag("IsVM", () => false),
    int("MachineID", ({ device }) => device.id),
    text("MachineName", ({ device }) => device.name),
    int("PolicyModelID", ({ number }) => FIRST_ASSIGNMENT + number),
    int("Revision", () => 1),
    date("StartTime", () => of.fleet.options.since),
    int("StatusType", status),
    text("Technology", () => "MSI"),
    int("UpdateState", () => 0),
    text("UserName", () => "(SYSTEM)"),
    text("VMHostName", () => ""),
  ];
}

/** 1 where the device has to have it, 2 where it may. */
function intentOf(number: number): number {
  return number % 3 === 0 ? 1 : 2;
}

function deploymentId(number: number): string {
  return `{${guidOf(91, number)}}`;
}

interface Summary {
  readonly number: number;
  readonly counts: Readonly<Record<number, number>>;
}

/** Counted when it is asked for, and stamped where the counts are others than before. */
function summaries(of: DeployedApplications): EntityClass<Summary> {
  const stamps = new Map<number, { readonly counts: string; readonly at: number }>();
  const stampOf = ({ number, counts }: Summary) => {
    const text = JSON.stringify(counts);
    const known = stamps.get(number);
    if (known?.counts === text) return known.at;
    const at = known === undefined ? of.fleet.options.since : of.now();
    stamps.set(number, { counts: text, at });
    return at;
  };
  const count = (name: string, status: number) =>
    int<Summary>(name, ({ counts }) => counts[status] ?? 0);
  const total = ({ counts }: Summary) => Object.values(counts).reduce((sum, each) => sum + each, 0);
  const all = () =>
    Array.from({ length: of.count }, (_, number) => ({ number, counts: countsOf(of, number) }));
  return {
    name: "SMS_DeploymentSummary",
    route: "wmi",
    keys: ["DeploymentID"],
    columns: alphabetical<Summary>([
      text("ApplicationName", ({ number }) => of.nameOf(number)),
      int("AssignmentID", ({ number }) => FIRST_ASSIGNMENT + number),
      int("CI_ID", ({ number }) => FIRST_CI + number),
      text("CollectionID", () => COLLECTION),
      text("CollectionName", () => "All Systems"),
      text("DeploymentID", ({ number }) => deploymentId(number)),
      int("DeploymentIntent", ({ number }) => intentOf(number)),
      date("DeploymentTime", () => of.fleet.options.since),
      int("FeatureType", () => 1),
      count("NumberErrors", 5),
      count("NumberInProgress", 2),
      count("NumberOther", 3),
      count("NumberSuccess", 1),
      int("NumberTargeted", total),
      count("NumberUnknown", 4),
      text("SoftwareName", ({ number }) => of.nameOf(number)),
      date("SummarizationTime", stampOf),
    ]),
    rows: all,
  };
}

/** From the size of the fleet, and from the devices themselves where something was asked for: it is asked for every few seconds. */
function countsOf(of: DeployedApplications, number: number): Readonly<Record<number, number>> {
  const size = of.fleet.lastId - FIRST_RESOURCE_ID + 1;
  const counts: Record<number, number> = { 1: Math.ceil(size / 2), 4: Math.floor(size / 2) };
  const add = (state: string, by: number) => {
    const [status = 4] = STATES[state] ?? [];
    counts[status] = (counts[status] ?? 0) + by;
  };
  for (const [device, state] of of.moved(number)) {
    add(of.firstState(device, number), -1);
    add(state, 1);
  }
  return counts;
}
