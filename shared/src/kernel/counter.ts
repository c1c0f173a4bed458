import { Counter, type Registry } from "prom-client";

/** A Prometheus counter. Labels come from closed sets; identifiers of devices or users go to logs. */
export function makeCounter<Label extends string>(
  registry: Registry,
  of: { readonly name: string; readonly help: string; readonly labels: readonly Label[] },
): (labels: Readonly<Record<Label, string>>) => void {
  const { name, help, labels: labelNames } = of;
  const counter = new Counter({ name, help, labelNames, registers: [registry] });
  return (labels) => counter.inc(labels);
}
