import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import type { Store } from "@isthmus/shared/store/store";
import type { UnhealedDrift } from "../core/drift-rounds.ts";
import type { SourceFigures } from "../core/inventory-state.ts";
import type { BridgeOperations } from "../store/module.ts";
import type { Inventory } from "./inventory.ts";
import type { LeaseState } from "./lease-client.ts";
import type { SourceFault, SourceObserver } from "./source-observer.ts";

/** How far one source is. */
export interface SourceStatus {
  readonly source: string;
  readonly type: string;
  readonly lease: LeaseState;
  readonly backlogEntries: number;
  readonly totals: SourceObserver["totals"];
  readonly lastFault: SourceFault | undefined;
  /** Tables whose answers cannot be used, by name. */
  readonly leftOut: Readonly<Record<string, SourceFault>>;
  /** Records that differ from those of the control plane however often they are sent. */
  readonly drift: readonly UnhealedDrift[];
  readonly kinds: readonly KindStatus[];
}

export interface KindStatus
  extends Pick<SourceFigures, "records" | "missing" | "waiting" | "completeScans" | "lastScan"> {
  readonly kind: string;
  /** Of the scan that is under way. */
  readonly read: number | undefined;
  readonly expected: number | undefined;
}

const NO_FIGURES = { records: 0, missing: 0, waiting: 0, completeScans: 0, lastScan: undefined };

/** What the subcommand `sync` asks of the running bridge. */
export function syncControls(
  inventory: Inventory,
  store: Store<BridgeOperations>,
): ControlHandlers {
  return {
    async "sync.status"(): Promise<readonly SourceStatus[]> {
      const figures = await store.run("sourceFigures", {});
      return inventory.runners.map(({ source, observer, lease }) => ({
        source: source.name,
        type: source.type,
        lease,
        backlogEntries: observer.backlogEntries,
        totals: { ...observer.totals },
        lastFault: observer.lastFault,
        leftOut: Object.fromEntries(observer.tableFaults),
        drift: observer.drift.unhealed(),
        kinds: source.kinds.map((kind) => {
          const found = figures.find((each) => each.source === source.name && each.kind === kind);
          const { records, missing, waiting, completeScans, lastScan } = found ?? NO_FIGURES;
          const { read, expected } = observer.progressByKind.get(kind) ?? {};
          return { kind, records, missing, waiting, completeScans, lastScan, read, expected };
        }),
      }));
    },
  };
}
