import type { BoundaryGroup } from "./boundary-groups.ts";
import type { FacetValue, JoinedRecord, RecordDifferences } from "./inventory-views.ts";
import type { TimelineKind, TimelinePage } from "./timeline.ts";

/** What is read of the inventory besides lists; the store answers it on its reading thread. Times are ms since the epoch. */

/** The device of a source that an id in managedDevices stands for. */
export interface DeviceRecord {
  readonly recordId: number;
  /** Of the administrator's entry that is joined with it. */
  readonly entryId: string | null;
}

/** A facet of one of many devices. */
export interface DeviceFacet {
  readonly recordId: number;
  readonly deviceName: string | null;
  readonly source: string;
  readonly key: string;
  readonly at: number;
  /** JSON. */
  readonly text: string;
}

/** Of a software update on a device: `Status` and `LastEnforcementMessageID` as SMS_UpdateComplianceStatus has them. */
export interface UpdateState {
  readonly recordId: number | null;
  readonly key: string;
  readonly status: number | null;
  readonly enforcement: number | null;
  readonly displayName: string | null;
  readonly articleId: string | null;
}

/** The boundary groups of a device. */
export interface DeviceBoundaryGroups {
  readonly source: string;
  readonly groups: readonly BoundaryGroup[];
  /** Whether there are more than are told. */
  readonly isCut: boolean;
}

/** A record that has a key in a source. */
export interface KeyedRecord {
  readonly recordId: number;
  readonly source: string;
  readonly sourceType: string;
}

/** Deletions of a kind that wait for an approval at the bridge. */
export interface WaitingDeletions {
  readonly kind: string;
  readonly waiting: number;
  /** Records of the kind that the bridge has. */
  readonly of: number;
  /** When the bridge last said so, and since when some wait, by its clock. */
  readonly toldAt: number;
  readonly since: number;
  /** Somebody approved them; they go at the end of the next scan. */
  readonly approvedAt: number | undefined;
  /** The first of them; without a record where it is not known here. */
  readonly first: readonly {
    readonly key: string;
    readonly recordId: number | null;
    readonly name: string | null;
  }[];
}

export interface FacetHistoryQuery {
  readonly recordId: number;
  readonly facet: string;
  readonly before?: number;
  readonly limit: number;
}

export interface DifferencesQuery {
  readonly recordId: number;
  readonly from: number;
  readonly to: number;
  readonly limit: number;
  readonly withVolatile: boolean;
}

export interface TimelineQuery {
  readonly recordId: number;
  readonly kinds?: readonly TimelineKind[];
  readonly search?: string;
  /** From here on, and before here. */
  readonly from?: number;
  readonly until?: number;
  /** Only what was learnt before this place. */
  readonly before?: number;
  readonly limit: number;
}

export interface InventoryReads {
  /** By an id in managedDevices, the GUID of a record, or a ResourceID that one site alone has. */
  deviceRecord(id: string): Promise<DeviceRecord | undefined>;
  recordsOfKey(of: {
    readonly kind: string;
    readonly keys: readonly string[];
  }): Promise<readonly KeyedRecord[]>;
  waitingDeletions(source: string): Promise<readonly WaitingDeletions[]>;
  /** All facets with their values, as they were at a time, or now. */
  facetsAt(recordId: number, at: number | undefined): Promise<readonly FacetValue[]>;
  /** What a facet was, the newest first; those that came under a lower revision than `before`. */
  facetHistory(of: FacetHistoryQuery): Promise<{
    readonly values: readonly FacetValue[];
    readonly before: number | undefined;
  }>;
  differences(of: DifferencesQuery): Promise<RecordDifferences>;
  /** The facet of many devices, in the order of their numbers. */
  facetOfDevices(of: {
    readonly facet: string;
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly DeviceFacet[]>;
  /** What a directory has of the same device, found by its SID. */
  joinedBySid(recordId: number): Promise<readonly JoinedRecord[]>;
  updateStates(recordId: number): Promise<readonly UpdateState[]>;
  /** The boundary groups that its site says a device is in. */
  boundaryGroupsOf(recordId: number): Promise<DeviceBoundaryGroups>;
  timeline(query: TimelineQuery): Promise<TimelinePage>;
}
