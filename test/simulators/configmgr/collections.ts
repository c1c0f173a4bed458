import type { Device } from "./device.ts";
import {
  alphabetical,
  complex,
  date,
  type EntityClass,
  flag,
  int,
  lazy,
  text,
} from "./entity-class.ts";
import type { Fleet } from "./fleet.ts";
import { share } from "./random-values.ts";
import { devicesIn } from "./system-classes.ts";

interface Collection {
  readonly id: string;
  readonly name: string;
  readonly limitingId: string;
  readonly has: (device: Device) => boolean;
  members: number | undefined;
  lastChange: number;
}

interface Membership {
  readonly device: Device;
  readonly collection: Collection;
}

/** Device collections: built-in ones, some by rule, and those that tests make of named devices. */
export class Collections {
  readonly #fleet: Fleet;
  readonly #now: () => number;
  readonly #all: Collection[];

  constructor(fleet: Fleet, now: () => number) {
    this.#fleet = fleet;
    this.#now = now;
    const { siteCode, since } = fleet.options;
    const named = (id: string, name: string, has: Collection["has"], limitingId = "SMS00001") => ({
      ...{ id, name, limitingId, has, members: undefined, lastChange: since },
    });
    this.#all = [
      named("SMS00001", "All Systems", () => true, ""),
      named("SMSDM003", "All Desktop and Server Clients", () => true),
      named(`${siteCode}00014`, "All Servers", ({ system }) => system[3] === "SRV"),
      named(`${siteCode}00015`, "All Workstations", ({ system }) => system[3] === "WKS"),
      named(`${siteCode}00016`, "Pilot", (device) => share(device.bits(70)) < 0.01),
      named(`${siteCode}00017`, "Ring 1", (device) => share(device.bits(70)) < 0.1),
      named(`${siteCode}00018`, "Berlin", ({ location }) => location === "Berlin"),
      named(`${siteCode}00019`, "Windows 10", ({ system }) => system[1] === "10.0.19045"),
    ];
  }

  find(id: string): Collection | undefined {
    return this.#all.find((each) => each.id === id);
  }

  contains(id: string, device: Device): boolean {
    return this.find(id)?.has(device) ?? false;
  }

  /** A collection of named devices; a second call with its id gives it others. */
  define(of: { readonly id: string; readonly name: string; readonly members: readonly number[] }) {
    const members = new Set(of.members);
    const index = this.#all.findIndex(({ id }) => id === of.id);
    const collection: Collection = {
      ...{ id: of.id, name: of.name, limitingId: "SMS00001", lastChange: this.#now() },
      has: ({ id }) => members.has(id),
      members: undefined,
    };
    this.#all.splice(index < 0 ? this.#all.length : index, 1, collection);
  }

  *members(id: string): Generator<Device> {
    const collection = this.find(id);
    if (collection === undefined) return;
    for (const device of this.#fleet.between(-Infinity, Infinity)) {
      if (collection.has(device)) yield device;
    }
  }

  /** Counts are forgotten, because the fleet changed. */
  recount(): void {
    for (const collection of this.#all) collection.members = undefined;
  }

  of(device: Device): Collection[] {
    return this.#all.filter(({ has }) => has(device));
  }

  #count(collection: Collection): number {
    if (collection.id === "SMS00001" || collection.id === "SMSDM003") return this.#fleet.size;
    if (collection.members === undefined) this.#countAll();
    return collection.members ?? 0;
  }

  #countAll(): void {
    const counts = this.#all.map((collection) => ({ collection, members: 0 }));
    for (const device of this.#fleet.between(-Infinity, Infinity)) {
      for (const count of counts) if (count.collection.has(device)) count.members += 1;
    }
    for (const { collection, members } of counts) collection.members = members;
  }

  classes(): EntityClass[] {
    const fleet = this.#fleet;
    const all = this.#all;
    const rules: EntityClass<Collection> = {
      name: "SMS_Collection",
      route: "wmi",
      keys: ["CollectionID"],
      columns: alphabetical<Collection>([
        text("CollectionID", ({ id }) => id),
        text("Name", ({ name }) => name),
        text("Comment", () => ""),
        int("CollectionType", () => 2),
        int("MemberCount", (collection) => this.#count(collection)),
        text("LimitToCollectionID", ({ limitingId }) => limitingId),
        date("LastChangeTime", ({ lastChange }) => lastChange),
        date("LastMemberChangeTime", ({ lastChange }) => lastChange),
        date("LastRefreshTime", ({ lastChange }) => lastChange),
        flag("IsBuiltIn", ({ id }) => id.startsWith("SMS")),
        int("RefreshType", () => 4),
        lazy(complex<Collection>("CollectionRules", () => [])),
      ]),
      rows: () => all,
      byKey: (key) => this.find(key),
    };
    const memberships: EntityClass<Membership> = {
      name: "SMS_FullCollectionMembership",
      route: "wmi",
      keys: ["ResourceID", "CollectionID"],
      columns: alphabetical<Membership>([
        text("CollectionID", ({ collection }) => collection.id),
        int("ResourceID", ({ device }) => device.id),
        text("Name", ({ device }) => device.name),
        text("Domain", () => "CORP"),
        text("SMSID", ({ device }) => device.smsId),
        text("SiteCode", () => fleet.options.siteCode),
        flag("IsClient", () => true),
        flag("IsActive", () => true),
        flag("IsDirect", () => false),
        flag("IsObsolete", () => false),
        int("ResourceType", () => 5),
      ]),
      rows: function* (ranges) {
        for (const device of devicesIn(fleet, ranges)) {
          for (const collection of all) if (collection.has(device)) yield { device, collection };
        }
      },
      deviceOf: ({ device }) => device,
    };
    const v1: EntityClass<Collection> = {
      ...rules,
      name: "Collections",
      route: "v1.0",
      columns: rules.columns.filter(({ isLazy }) => isLazy !== true),
    };
    return [rules, memberships, v1] as unknown as EntityClass[];
  }
}
