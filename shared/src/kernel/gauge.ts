import { Gauge, type Registry } from "prom-client";

/** A Prometheus gauge with one label, read when it is asked for. Labels come from sets that the configuration closes. */
export function makeGauge<Label extends string>(
  registry: Registry,
  of: {
    readonly name: string;
    readonly help: string;
    readonly label: Label;
    /** All values that there are now, by the label's. */
    readonly read: () => Iterable<readonly [string, number]>;
  },
): void {
  const { name, help, label, read } = of;
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, number] of read()) {
        this.set({ [label]: value } as Record<Label, string>, number);
      }
    },
  });
}
