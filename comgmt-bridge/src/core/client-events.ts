import type { ClientEvent } from "@isthmus/shared/link/client-events";

/**
 * What passes between those who read the site's timelines of devices and the store, which knows of each device what its last answer
 * held: an event that was in it was told, one that was not is new.
 */

/** An event as it was read; `at` is undefined where the site says no time. */
export type ReadEvent = Omit<ClientEvent, "at"> & { readonly at: number | undefined };

export interface EventsOfDevice {
  /** ResourceID. */
  readonly key: number;
  /** All that the site has, each once, in the order in which they are to be told. */
  readonly events: readonly ReadEvent[];
}

/** Part of a walk over all devices that are known, in the order of their keys. */
export interface EventSweep {
  readonly keys: readonly number[];
  /** Where the next part begins; undefined at the end. */
  readonly through: number | undefined;
}

/** Operations of the store, each a transaction; `store/client-events.ts`. */
export interface ClientEventState {
  /** Those of the keys that are devices of the source and whose events were not read since `before`. */
  devicesDue(argument: {
    readonly source: string;
    readonly keys: readonly number[];
    readonly before: number;
  }): readonly number[];
  /** The same of the next devices behind a key. */
  sweepDevices(argument: {
    readonly source: string;
    readonly after: number;
    readonly before: number;
  }): EventSweep;
  /** Tells what the last answer did not hold; throws `lease-not-held`. Nothing where the device is not known. */
  applyEvents(
    argument: EventsOfDevice & {
      readonly source: string;
      readonly lease: number;
      readonly at: number;
    },
  ): { readonly told: number };
}

/** Where a source puts what happened on its clients, under the lease of one run. */
export interface ClientEventSink {
  due(keys: readonly number[], before: number): Promise<readonly number[]>;
  sweep(after: number, before: number): Promise<EventSweep>;
  apply(read: EventsOfDevice): Promise<void>;
  /** Tells an event of the source. */
  note(event: string, message: string): Promise<void>;
}
