import type { Clock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { ControlHandlers } from "@isthmus/shared/kernel/control-socket";
import { INVENTORY_STREAM, recordKind, sourceName } from "@isthmus/shared/link/inventory-messages";
import type { Store } from "@isthmus/shared/store/store";
import { z } from "zod";
import type { SourceFigures, WaitingDeletion } from "../core/inventory-state.ts";
import type { BridgeOperations } from "../store/module.ts";

/** Own limit on the keys that one answer lists of a kind. */
const MAX_LISTED_KEYS = 100;

/** Deletions of a kind that wait for an approval, or have it and wait for the next scan. */
export interface WaitingKind extends Pick<SourceFigures, "source" | "kind" | "records"> {
  readonly waiting: number;
  readonly approved: number;
  /** The first of them. */
  readonly first: readonly WaitingDeletion[];
}

const approveArgument = z.strictObject({
  source: sourceName,
  kind: recordKind,
  by: z.string().min(1).max(256),
});

/** What the subcommand `deletions` asks of the running bridge. */
export function deletionControls(parts: {
  readonly store: Store<BridgeOperations>;
  readonly clock: Clock;
  readonly wake: (stream: string) => void;
}): ControlHandlers {
  const { store, clock } = parts;
  return {
    async "deletions.list"(): Promise<WaitingKind[]> {
      const figures = await store.run("sourceFigures", {});
      const kinds = figures.filter(({ waiting, approved }) => waiting + approved > 0);
      return Promise.all(
        kinds.map(async ({ source, kind, records, waiting, approved }) => {
          const limit = MAX_LISTED_KEYS;
          const first = await store.run("waitingDeletions", { source, kind, limit });
          return { source, kind, records, waiting, approved, first };
        }),
      );
    },
    async "deletions.approve"(argument) {
      const { source, kind, by } = approveArgument.parse(argument);
      const approved = await store.run("approveDeletions", { source, kind, by, at: clock.now() });
      if (approved === 0) {
        throw new ConnectorError(
          "nothing-waits",
          `no deletion of ${source} ${kind} waits: comgmt-bridge deletions list shows what does`,
        );
      }
      parts.wake(INVENTORY_STREAM);
      return { source, kind, approved };
    },
  };
}
