import type { Act } from "./admin-records.ts";
import type { SiteCommandKind } from "./site-action.ts";

/** What passes between the store and those who ask for actions at sites. Times are ms since the epoch. */

/** On what an action is done: a device by its id in the API, or devices or a collection of a source. */
export type WantedTarget =
  | { readonly managedDeviceId: string }
  | { readonly source: string; readonly managedDeviceIds: readonly string[] }
  | { readonly source: string; readonly resourceIds: readonly number[] }
  | { readonly source: string; readonly collectionId: string };

export interface SiteActionRequest extends Act {
  /** A random GUID. */
  readonly id: string;
  readonly commandId: string;
  readonly target: WantedTarget;
  readonly kind: SiteCommandKind;
  /** What it does, as `deviceActionResults` name it: refreshMachinePolicy, runScript, install. */
  readonly action: string;
  readonly subject?: string;
  /** What else was said and may be shown and audited. */
  readonly details: Readonly<Record<string, unknown>>;
  /** The command's payload without source and target. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly expiresAt: number;
  /** Who asks again under the same key is answered with the same action. */
  readonly requestKey?: string;
  /** SHA-256 of what was asked, hex. */
  readonly requestHash: string;
  /** Of a recovery key: where its result is sealed to, see `recovery-key-seal.ts`. */
  readonly revealKey?: string;
}

export interface SiteActionCancellation extends Act {
  readonly id: string;
  readonly source: string;
  /** Id of the command that carries the cancellation where one is needed. */
  readonly cancelId: string;
  /** Whether actions of others may be cancelled. */
  readonly mayCancelOthers: boolean;
}

/** `withdrawn`: it never left. `requested`: the bridge is asked. */
export type SiteActionCancelled = "withdrawn" | "requested";

/** Rows of a query after one that was seen. */
export interface QueryRowsRequest {
  readonly actionId: string;
  readonly afterNumber: number;
  readonly limit: number;
}

export interface QueryRow {
  readonly number: number;
  /** ResourceID. */
  readonly key: string;
  readonly recordId: number | null;
  readonly deviceName: string | null;
  /** JSON. */
  readonly value: string;
}

/** What is read of actions besides lists, on the store's reading thread. */
export interface SiteActionReads {
  /** In the order in which they came. */
  queryRows(request: QueryRowsRequest): Promise<QueryRow[]>;
}

/** What is asked of the store by name about actions at sites. */
export interface SiteActionOperations {
  requestSiteAction(argument: SiteActionRequest): {
    readonly id: string;
    readonly isRepeated: boolean;
  };
  cancelSiteAction(argument: SiteActionCancellation): SiteActionCancelled;
  takeRevealedKey(argument: Act & { readonly id: string; readonly publicKey: string }): {
    readonly sealed: string;
  };
  maintainSiteActions(argument: { readonly now: number }): { readonly rerouted: number };
}
