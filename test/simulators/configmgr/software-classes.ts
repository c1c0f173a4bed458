import {
  applicationStateClasses,
  FIRST_CI,
  type InstallStates,
  isDeployed,
  NOT_DETECTED,
} from "./application-classes.ts";
import type { Device } from "./device.ts";
import { alphabetical, date, type EntityClass, flag, int, lazy, text } from "./entity-class.ts";
import type { Fleet } from "./fleet.ts";
import { guidOf, mix } from "./random-values.ts";
import { devicesIn, perDevice } from "./system-classes.ts";

interface Listed {
  readonly number: number;
}
interface OnDevice extends Listed {
  readonly device: Device;
}

const UPDATES_PER_DEVICE = 8;
const LOCATIONS = ["Berlin", "Dublin", "Lyon", "Oslo", "Porto", "Turin", "Vienna", "Zagreb"];

/** Users, applications, deployments, software updates, boundary groups and custom properties. */
export class Software {
  readonly #fleet: Fleet;
  readonly #counts: {
    readonly users: number;
    readonly applications: number;
    readonly updates: number;
  };
  readonly #states: InstallStates;
  readonly #now: () => number;

  constructor(
    fleet: Fleet,
    counts: { readonly users: number; readonly applications: number; readonly updates: number },
    states: InstallStates,
    now: () => number,
  ) {
    this.#now = now;
    this.#fleet = fleet;
    this.#counts = counts;
    this.#states = states;
  }

  /** The number of the application with this CI guid. */
  applicationBy(guid: string): number | undefined {
    return this.#numbers(this.#counts.applications).find(
      ({ number }) => this.#applicationGuid(number) === guid.toLowerCase(),
    )?.number;
  }

  classes(): EntityClass[] {
    return [
      ...this.#users(),
      ...this.#applications(),
      ...this.#deployments(),
      ...this.#updates(),
      ...this.#boundaries(),
      this.#extensionData(),
    ] as unknown as EntityClass[];
  }

  /** `Device(id)/AvailableApplications`, with `Application` where it is expanded. */
  availableApplications(device: Device, isExpanded: boolean): readonly unknown[] {
    return this.#numbers(this.#counts.applications)
      .filter(({ number }) => isDeployed(device, number))
      .map(({ number }) => ({
        ApplicationId: this.#applicationGuid(number),
        Status: this.installState(device, number),
        ...(this.installState(device, number) === "Failed" && { ErrorCode: NOT_DETECTED }),
        ...(isExpanded && {
          Application: {
            CIGUID: this.#applicationGuid(number),
            LocalizedDisplayName: applicationName(number),
          },
        }),
      }));
  }

  /** Most devices are in one, some in two; a device that roams is in none. */
  boundaryGroupsOf(device: Device): { readonly GroupID: number; readonly Name: string }[] {
    const index = LOCATIONS.indexOf(device.location);
    const roll = device.bits(19) % 32;
    if (roll === 0) return [];
    const indices = roll < 4 ? [index, (index + 1) % LOCATIONS.length] : [index];
    return indices.map((at) => ({ GroupID: FIRST_CI + at, Name: LOCATIONS[at] ?? "" }));
  }

  installState(device: Device, number: number): string {
    const asked = this.#states.get(`${device.id}/${number}`);
    if (asked !== undefined) return asked === "Uninstalled" ? "Not installed" : asked;
    return firstState(device, number);
  }

  *#moved(number: number): Generator<readonly [Device, string]> {
    for (const key of this.#states.keys()) {
      const [id, application] = key.split("/").map(Number);
      const device = application === number ? this.#fleet.device(id ?? 0) : undefined;
      if (device !== undefined) yield [device, this.installState(device, number)];
    }
  }

  #numbers(count: number): Listed[] {
    return Array.from({ length: count }, (_, number) => ({ number }));
  }

  #applicationGuid(number: number): string {
    return guidOf(this.#fleet.options.seed + 90, number).toLowerCase();
  }

  #users(): EntityClass<Listed>[] {
    const { seed, since } = this.#fleet.options;
    const { users } = this.#counts;
    const first = 2_063_597_568;
    return [
      {
        name: "SMS_R_User",
        route: "wmi",
        keys: ["ResourceId"],
        columns: alphabetical<Listed>([
          int("ResourceId", ({ number }) => first + number),
          text("Name", ({ number }) => `CORP\\u${number} (User ${number})`),
          text("UserName", ({ number }) => `u${number}`),
          text("FullUserName", ({ number }) => `User ${number}`),
          text("UniqueUserName", ({ number }) => `CORP\\u${number}`),
          text("UserPrincipalName", ({ number }) => `u${number}@corp.test`),
          text("Mail", ({ number }) => `u${number}@corp.test`),
          text("WindowsNTDomain", () => "CORP"),
          text("AADUserID", ({ number }) => guidOf(seed + 100, number).toLowerCase()),
          text("SID", ({ number }) => `S-1-5-21-${seed}-1180699209-877415012-${5_000 + number}`),
          date("CreationDate", ({ number }) => since - (mix(seed, number) % 1_000) * 86_400_000),
          int("ResourceType", () => 4),
        ]),
        rows: function* (ranges) {
          for (const { min, max } of ranges) {
            const end = Math.min(max, first + users - 1);
            for (let id = Math.max(Math.ceil(min), first); id <= end; id += 1)
              yield { number: id - first };
          }
        },
        byKey: (key) => {
          const number = Number(key) - first;
          return number >= 0 && number < users ? { number } : undefined;
        },
      },
    ];
  }

  #applications(): EntityClass<Listed>[] {
    const all = this.#numbers(this.#counts.applications);
    const columns = [
      text<Listed>("LocalizedDisplayName", ({ number }) => applicationName(number)),
      text<Listed>("Manufacturer", () => "Contoso GmbH"),
      text<Listed>("SoftwareVersion", ({ number }) => `${1 + (number % 7)}.0`),
      int<Listed>("CI_ID", ({ number }) => FIRST_CI + number),
      flag<Listed>("IsDeployed", () => true),
      flag<Listed>("IsEnabled", () => true),
      flag<Listed>("IsExpired", () => false),
      int<Listed>("NumberOfDeployments", () => 1),
      date<Listed>("DateLastModified", () => this.#fleet.options.since),
    ];
    const byKey = (key: string) => {
      const number = this.applicationBy(key);
      return number === undefined ? undefined : { number };
    };
    return [
      {
        name: "Application",
        route: "v1.0",
        keys: ["CIGUID"],
        columns: [text("CIGUID", ({ number }) => this.#applicationGuid(number)), ...columns],
        rows: () => all,
        byKey,
      },
      {
        name: "SMS_Application",
        route: "wmi",
        keys: ["CI_ID"],
        columns: alphabetical<Listed>([
          ...columns,
          text(
            "CI_UniqueID",
            ({ number }) => `ScopeId_1/Application_${this.#applicationGuid(number)}/1`,
          ),
          text(
            "ModelName",
            ({ number }) => `ScopeId_1/Application_${this.#applicationGuid(number)}`,
          ),
          lazy(text<Listed>("SDMPackageXML", () => "<AppMgmtDigest/>")),
        ]),
        rows: () => all,
        byKey: (key) => all[Number(key) - FIRST_CI],
      },
    ];
  }

  #deployments(): EntityClass[] {
    const all = this.#numbers(this.#counts.applications);
    const fleet = this.#fleet;
    const deployments: EntityClass<Listed> = {
      name: "SMS_DeploymentInfo",
      route: "wmi",
      keys: ["DeploymentID"],
      columns: alphabetical<Listed>([
        text("DeploymentID", ({ number }) => `{${guidOf(91, number)}}`),
        text("DeploymentName", ({ number }) => `${applicationName(number)} to all`),
        text("CollectionID", () => "SMS00001"),
        text("TargetName", ({ number }) => applicationName(number)),
        int("DeploymentIntent", () => 2),
        int("FeatureType", () => 1),
        date("DeploymentTime", () => fleet.options.since),
      ]),
      rows: () => all,
    };
    const states = applicationStateClasses({
      ...{ fleet, count: all.length, now: this.#now, nameOf: applicationName, firstState },
      stateOf: (device, number) => this.installState(device, number),
      moved: (number) => this.#moved(number),
    });
    return [deployments as unknown as EntityClass, ...states];
  }

  #updates(): EntityClass[] {
    const fleet = this.#fleet;
    const { updates } = this.#counts;
    const all = this.#numbers(updates);
    const list: EntityClass<Listed> = {
      name: "SMS_SoftwareUpdate",
      route: "wmi",
      keys: ["CI_ID"],
      columns: alphabetical<Listed>([
        int("CI_ID", ({ number }) => FIRST_CI + 100_000 + number),
        text("ArticleID", ({ number }) => String(5_030_000 + number)),
        text("BulletinID", () => ""),
        text("LocalizedDisplayName", ({ number }) => `Cumulative Update (KB${5_030_000 + number})`),
        int("SeverityName", ({ number }) => 2 + (number % 4) * 2),
        flag("IsSuperseded", ({ number }) => number % 3 === 0),
        date("DateRevised", ({ number }) => fleet.options.since - number * 86_400_000),
      ]),
      rows: () => all,
      byKey: (key) => all[Number(key) - FIRST_CI - 100_000],
    };
    const compliance: EntityClass<OnDevice> = {
      name: "SMS_UpdateComplianceStatus",
      route: "wmi",
      keys: ["MachineID", "CI_ID"],
      columns: alphabetical<OnDevice>([
        int("MachineID", ({ device }) => device.id),
        int("CI_ID", ({ number }) => FIRST_CI + 100_000 + number),
        // 0 unknown, 1 not required, 2 required, 3 installed.
        int("Status", ({ device, number }) => (device.bits(110 + number) % 10 < 8 ? 3 : 2)),
        // State messages of topic 402: 10 for what is installed, else however far it is; 0 is none.
        int("LastEnforcementMessageID", ({ device, number }) =>
          device.bits(110 + number) % 10 < 8 ? 10 : device.bits(150 + number) % 15,
        ),
        date("LastStatusCheckTime", ({ device }) => device.lastHeartbeat),
        date("LastStatusChangeTime", ({ device }) => device.lastHeartbeat),
      ]),
      rows: function* (ranges) {
        for (const device of devicesIn(fleet, ranges)) {
          const count = Math.min(updates, UPDATES_PER_DEVICE);
          for (let number = 0; number < count; number += 1) yield { device, number };
        }
      },
      deviceOf: ({ device }) => device,
    };
    return [list, compliance] as unknown as EntityClass[];
  }

  #boundaries(): EntityClass[] {
    const combined = perDevice(this.#fleet, {
      name: "SMS_CombinedDeviceResources",
      route: "wmi",
      keys: ["ResourceID"],
      columns: alphabetical<Device>([
        int("ResourceID", ({ id }) => id),
        text("Name", ({ name }) => name),
        text("SMSID", ({ smsId }) => smsId),
        flag("IsBlocked", () => false),
        text("BoundaryGroups", (device) => {
          const names = this.boundaryGroupsOf(device).map(({ Name }) => Name);
          return names.length === 0 ? null : names.join(",");
        }),
      ]),
    });
    const groups: EntityClass<Listed>[] = [
      {
        name: "SMS_BoundaryGroup",
        route: "wmi",
        keys: ["GroupID"],
        columns: alphabetical<Listed>([
          int("GroupID", ({ number }) => FIRST_CI + number),
          text("Name", ({ number }) => LOCATIONS[number] ?? ""),
          text("DefaultSiteCode", () => this.#fleet.options.siteCode),
          int("MemberCount", () => 1),
        ]),
        rows: () => LOCATIONS.map((_, number) => ({ number })),
      },
    ];
    return [...groups, combined] as unknown as EntityClass[];
  }

  #extensionData(): EntityClass {
    const fleet = this.#fleet;
    interface Property {
      readonly device: Device;
      readonly name: string;
      readonly value: string;
    }
    const of: EntityClass<Property> = {
      name: "SMS_G_System_ExtensionData",
      route: "wmi",
      keys: ["ResourceID"],
      columns: alphabetical<Property>([
        int("ResourceID", ({ device }) => device.id),
        text("PropertyName", ({ name }) => name),
        text("PropertyValue", ({ value }) => value),
      ]),
      rows: function* (ranges) {
        for (const device of devicesIn(fleet, ranges)) {
          for (const [name, value] of Object.entries(device.change?.extensionData ?? {}))
            yield { device, name, value };
        }
      },
      deviceOf: ({ device }) => device,
    };
    return of as unknown as EntityClass;
  }
}

function firstState(device: Device, number: number): string {
  return device.bits(80 + number) % 3 === 0 ? "Available" : "Installed";
}

function applicationName(number: number): string {
  return `Contoso Application ${number}`;
}
