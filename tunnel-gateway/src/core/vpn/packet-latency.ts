import type { PacketLatency } from "../vpn-engine.ts";

/** `LATENCY_FIRST_US` and `LATENCY_BUCKETS` of native/src/latency.h: each bucket ends at twice the one before, the last has no end. */
const FIRST_MICROSECONDS = 8;
const BUCKETS = 15;

/** Where the buckets end, in microseconds; one more has all that took longer. */
export const LATENCY_BOUNDS: readonly number[] = Array.from(
  { length: BUCKETS - 1 },
  (_, bucket) => FIRST_MICROSECONDS * 2 ** bucket,
);

/** Own choices: five minutes, as Microsoft Tunnel's health checks have it, of samples this far apart. */
export const SAMPLE_EVERY_MS = 10_000;
const SAMPLES = 30;
/** Own choice: one of a few packets that had to wait for a processor says nothing of the gateway. */
const PACKETS_AT_LEAST = 100;
/** Own choice: of so many packets the reason says how long they took. */
const MOST = 0.99;

/** How long packets were inside a packet thread in the last five minutes. */
export interface ThreadLatency {
  readonly tunnel: number;
  readonly meanMicroseconds: number;
  /** 99 of 100 packets took less; undefined where that is beyond the last bound. */
  readonly mostMicroseconds: number | undefined;
}

/** What is known of a packet thread, over both directions. */
interface Sum {
  readonly packets: readonly number[];
  readonly microseconds: number;
}

type Sample = ReadonlyMap<number, Sum>;

/** The latency of the last five minutes, out of what the engine has counted since it began. */
export class LatencyWindow {
  readonly #read: () => readonly PacketLatency[];
  /** The first stands for the engine's beginning, until there are samples of five minutes. */
  readonly #samples: Sample[] = [new Map()];

  constructor(read: () => readonly PacketLatency[]) {
    this.#read = read;
  }

  /** To be called every `SAMPLE_EVERY_MS`. */
  sample(): void {
    this.#samples.push(sumsOf(this.#read()));
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** The packet thread whose packets took longest on average; undefined while none carries enough of them. */
  get worst(): ThreadLatency | undefined {
    const [oldest] = this.#samples;
    const threads = [...sumsOf(this.#read())].flatMap(([tunnel, sum]) => {
      const latest = since(sum, oldest?.get(tunnel));
      return total(latest.packets) < PACKETS_AT_LEAST ? [] : threadLatency(tunnel, latest);
    });
    return threads.toSorted((one, other) => other.meanMicroseconds - one.meanMicroseconds)[0];
  }
}

function sumsOf(latencies: readonly PacketLatency[]): Sample {
  const sums = new Map<number, Sum>();
  for (const { tunnel, packets, microseconds } of latencies) {
    const before = sums.get(tunnel);
    const both = packets.map((number, bucket) => number + (before?.packets[bucket] ?? 0));
    sums.set(tunnel, { packets: both, microseconds: microseconds + (before?.microseconds ?? 0) });
  }
  return sums;
}

function since(now: Sum, before: Sum | undefined): Sum {
  const packets = now.packets.map((number, bucket) => number - (before?.packets[bucket] ?? 0));
  return { packets, microseconds: now.microseconds - (before?.microseconds ?? 0) };
}

function threadLatency(tunnel: number, { packets, microseconds }: Sum): ThreadLatency {
  const all = total(packets);
  let below = 0;
  const bucket = packets.findIndex((number) => {
    below += number;
    return below >= all * MOST;
  });
  return { tunnel, meanMicroseconds: microseconds / all, mostMicroseconds: LATENCY_BOUNDS[bucket] };
}

function total(packets: readonly number[]): number {
  return packets.reduce((sum, number) => sum + number, 0);
}
