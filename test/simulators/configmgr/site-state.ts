import type { InstallState } from "./application-classes.ts";
import { Changes } from "./changes.ts";
import { Collections } from "./collections.ts";
import type { Device } from "./device.ts";
import type { EntityClass } from "./entity-class.ts";
import { Fleet } from "./fleet.ts";
import { inventoryClasses } from "./inventory-classes.ts";
import { operationClasses } from "./operation-classes.ts";
import { type Operation, Operations, type Outcome } from "./operations.ts";
import { Scripts } from "./scripts.ts";
import type { Principal, SiteOptions } from "./site-options.ts";
import { Software } from "./software-classes.ts";
import { systemClasses } from "./system-classes.ts";

/** Types of client notification that leave a trace in the site's data (community, two sources). */
const DISCOVERY_DATA = 10;
const HARDWARE_INVENTORY = 12;

/** Everything the site knows, without the wire. */
export class SiteState {
  readonly options: SiteOptions;
  readonly fleet: Fleet;
  readonly collections: Collections;
  readonly operations: Operations;
  readonly scripts: Scripts;
  readonly software: Software;
  readonly changes: Changes;
  readonly classes: ReadonlyMap<string, EntityClass>;
  /** How far the provider's clock is ahead. */
  skewMs = 0;
  /** Devices that nobody sees for now. */
  hidden: ((device: Device) => boolean) | undefined;
  /** How often one of them was passed over. */
  hiddenRows = 0;
  #installs = new Map<string, InstallState>();

  constructor(options: SiteOptions) {
    this.options = options;
    const now = () => this.now();
    const { seed = 1, siteCode = "CM1", devices = 100 } = options;
    const since = options.since ?? now();
    this.fleet = new Fleet(
      {
        ...{ seed, siteCode, devices, since, natural: options.natural ?? {} },
        ...{ onlineShare: options.onlineShare ?? 0.8 },
        programsPerDevice: options.programsPerDevice ?? 40,
      },
      now,
    );
    this.collections = new Collections(this.fleet, now);
    this.operations = new Operations(
      this.fleet,
      now,
      options.behaviour ?? {},
      (operation, outcome) => this.#wasDone(operation, outcome),
    );
    this.scripts = new Scripts(options.scripts ?? [], now);
    const { users = Math.ceil(devices / 2), applications = 20, updates = 50 } = options;
    this.software = new Software(this.fleet, { users, applications, updates }, this.#installs, now);
    this.changes = new Changes({
      ...{ fleet: this.fleet, collections: this.collections, operations: this.operations },
      ...{ now, script: options.changes },
    });
    this.classes = new Map(this.#classes().map((of) => [`${of.route}/${of.name}`, of]));
  }

  now(): number {
    return (this.options.clock?.now() ?? Date.now()) + this.skewMs;
  }

  /** What has happened since somebody last looked. */
  catchUp(): void {
    this.changes.catchUp();
    this.operations.catchUp();
  }

  isVisible(principal: Principal, device: Device): boolean {
    if (this.hidden?.(device) === true) {
      this.hiddenRows += 1;
      return false;
    }
    return (
      principal.collection === undefined || this.collections.contains(principal.collection, device)
    );
  }

  askForApplication(key: string): void {
    this.#installs.set(key, "Installing");
  }

  /** As if the device had done it by itself, or a person on it. */
  applicationComesTo(resourceId: number, application: number, state: InstallState): void {
    this.#installs.set(`${resourceId}/${application}`, state);
  }

  backup() {
    this.catchUp();
    return {
      fleet: this.fleet.state(),
      operations: this.operations.state(),
      scripts: this.scripts.state(),
      installs: new Map(this.#installs),
    };
  }

  restore(backup: ReturnType<SiteState["backup"]>): void {
    this.catchUp();
    this.fleet.restore(backup.fleet);
    this.operations.restore(backup.operations);
    this.scripts.restore(backup.scripts);
    this.#installs.clear();
    for (const [key, state] of backup.installs) this.#installs.set(key, state);
    this.collections.recount();
  }

  #classes(): EntityClass[] {
    return [
      ...systemClasses(this.fleet, this.options),
      ...inventoryClasses(this.fleet),
      ...this.collections.classes(),
      ...this.software.classes(),
      ...this.scripts.classes(),
      ...operationClasses(this.operations, this.fleet, this.options.scriptOutput === "quoted"),
      this.#site(),
    ];
  }

  #site(): EntityClass {
    const column = (name: string, get: () => unknown) => ({
      ...{ name, type: "Edm.String" as const, get },
    });
    const code = () => this.fleet.options.siteCode;
    return {
      name: "SMS_Site",
      route: "wmi",
      keys: ["SiteCode"],
      columns: [
        column("BuildNumber", () => "9141"),
        column("ServerName", () => this.options.providerFqdn ?? "cm1.corp.test"),
        column("SiteCode", code),
        column("SiteName", () => "Simulated site"),
        column("Version", () => "5.00.9141.1000"),
      ],
      rows: () => [this],
      byKey: (key) => (key === code() ? this : undefined),
    };
  }

  #wasDone({ task }: Operation, { resourceId, at, isFailed }: Outcome): void {
    if (task.kind === "application") {
      const done = task.action === "Uninstall" ? "Uninstalled" : "Installed";
      const state = isFailed ? "Failed" : done;
      this.#installs.set(`${resourceId}/${task.application}`, state);
    }
    if (isFailed) return;
    const type = task.kind === "notification" ? task.type : undefined;
    if (type === DISCOVERY_DATA) this.fleet.change(resourceId, { lastHeartbeat: at });
    if (type === HARDWARE_INVENTORY) {
      const { scans = 0 } = this.fleet.overlayOf(resourceId);
      this.fleet.change(resourceId, { scans: scans + 1, lastHardwareScan: at, lastHeartbeat: at });
    }
  }
}
