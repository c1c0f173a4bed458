import { makeGauge } from "@isthmus/shared/kernel/gauge";
import type { Store } from "@isthmus/shared/store/store";
import { Gauge, type Registry } from "prom-client";
import type { BridgeOperations } from "../store/module.ts";
import type { Inventory } from "./inventory.ts";
import type { SourceObserver } from "./source-observer.ts";

const TOTALS: Readonly<Record<keyof SourceObserver["totals"], readonly [string, string]>> = {
  requests: ["requests_total", "Requests to the source for inventory"],
  rows: ["rows_total", "Rows that were looked into"],
  changed: ["changed_records_total", "Records that were new or differed"],
  applied: ["ranges_read_total", "Ranges whose bytes were new"],
  passedOver: ["ranges_passed_over_total", "Ranges that came in the bytes of the last time"],
  faults: ["faults_total", "Faults of the source that were waited out"],
};

/** Figures of the synchronisation, by source and kind. */
export function publishSync(
  registry: Registry,
  inventory: Inventory,
  store: Store<BridgeOperations>,
): void {
  for (const [total, [name, help]] of Object.entries(TOTALS)) {
    const read = () =>
      inventory.runners.map(({ source, observer }) => {
        return [source.name, observer.totals[total as keyof typeof TOTALS]] as const;
      });
    makeGauge(registry, { name: `isthmus_inventory_${name}`, help, label: "source", read });
  }
  makeGauge(registry, {
    name: "isthmus_inventory_last_complete_seconds",
    help: "When the source was last read whole, in seconds since the epoch",
    label: "source",
    read: () =>
      inventory.runners.map(({ source, observer }) => {
        const all = source.kinds.map((kind) => observer.scanEndedAt.get(kind) ?? 0);
        return [source.name, Math.min(...all) / 1_000] as const;
      }),
  });
  const labelNames = ["source", "kind"] as const;
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const waiting = gauge(
    "isthmus_inventory_deletions_waiting",
    "Deletions that somebody on this host has to approve",
  );
  new Gauge({
    name: "isthmus_inventory_records",
    help: "Records that are known",
    labelNames,
    registers: [registry],
    async collect() {
      for (const of of await store.run("sourceFigures", {})) {
        const { source, kind } = of;
        this.set({ source, kind }, of.records);
        waiting.set({ source, kind }, of.waiting);
      }
    },
  });
}
