import { collectDefaultMetrics, Registry } from "prom-client";

/** Not every 10 ms, as it would be otherwise: that wakes a service that has nothing to do, which costs more than what it then does. */
export const EVENT_LOOP_LOOK_MS = 5_000;

const DELAYS = ["min", "max", "mean", "p50", "p90", "p99"].map(
  (name) => `nodejs_eventloop_lag_${name}_seconds`,
);
/** What Node's histogram gives as its minimum while it has no sample: the greatest number it could hold, in nanoseconds. */
const NO_SAMPLE_SECONDS = 2 ** 63 / 1e9;

/** A registry with the figures of this process. */
export function processMetrics(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS });
  for (const name of DELAYS) tellLagAlone(registry, name);
  return registry;
}

/** Node samples the time from one look to the next, of which the lag is what is over the period. */
function tellLagAlone(registry: Registry, name: string): void {
  const gauge = registry.getSingleMetric(name);
  if (gauge === undefined) return;
  const read = gauge.get.bind(gauge);
  gauge.get = async () => {
    const told = await read();
    const values = told.values.map((each) => ({ ...each, value: lagOf(each.value) }));
    return { ...told, values } as typeof told;
  };
}

/** Of a delay as it was sampled, in seconds; 0 where nothing was. */
export function lagOf(sampledSeconds: number): number {
  const isSampled = sampledSeconds < NO_SAMPLE_SECONDS;
  return isSampled ? Math.max(0, sampledSeconds - EVENT_LOOP_LOOK_MS / 1_000) : 0;
}
