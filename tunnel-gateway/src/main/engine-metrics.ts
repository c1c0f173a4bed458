import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { LATENCY_BOUNDS } from "../core/vpn/packet-latency.ts";
import type { EngineCounters, PacketLatency, VpnEngine } from "../core/vpn-engine.ts";

/** One metric and the engine's counters that it shows, by the label's value. */
interface Family {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly counters: Readonly<Record<string, string>>;
}

/** What packet threads and front count (native/src/worker.h, front.h, dtls-counters.h); sums since the process began. */
const FAMILIES: readonly Family[] = [
  {
    name: "packets_total",
    help: "Inner packets carried, up from clients and down to them",
    label: "direction",
    counters: { up: "packetsUp", down: "packetsDown" },
  },
  {
    name: "bytes_total",
    help: "Bytes of inner packets carried",
    label: "direction",
    counters: { up: "bytesUp", down: "bytesDown" },
  },
  {
    name: "packets_dropped_total",
    help: "Packets that were not carried, by why",
    label: "reason",
    counters: {
      spoofed: "droppedSpoofed",
      malformed: "droppedMalformed",
      denied: "droppedDenied",
      unsolicited: "droppedUnsolicited",
      backlog: "droppedBacklog",
      rate: "droppedRate",
      "no-session": "droppedNoSession",
      replayed: "droppedReplayed",
      forged: "droppedForged",
      "flow-limit": "droppedFlowLimit",
      "too-big": "droppedTooBig",
      unreachable: "droppedUnreachable",
    },
  },
  {
    name: "flows_unlogged_total",
    help: "Flows let through without a line in the access log, as they were too many in a second",
    label: "scope",
    counters: { all: "flowsUntold" },
  },
  {
    name: "packets_adjusted_total",
    help: "TCP segments whose MSS was lowered, and packets answered with packet-too-big",
    label: "how",
    counters: { "mss-clamped": "mssClamped", "too-big-answered": "tooBigAnswered" },
  },
  {
    name: "system_calls_total",
    help: "Reads and writes of the packet threads, and how often they woke",
    label: "call",
    counters: {
      "tun-read": "tunReads",
      "tun-write": "tunWrites",
      "tls-send": "tlsSends",
      "tls-receive": "tlsReceives",
      "udp-send": "udpSends",
      "udp-receive": "udpReceives",
      wakeup: "wakeups",
    },
  },
  {
    name: "control_frames_total",
    help: "Frames that are no packets: dead peer detection, keepalives, disconnects",
    label: "transport",
    counters: { all: "controlFrames" },
  },
  {
    name: "front_connections_total",
    help: "TCP connections of the front, by how far they came",
    label: "stage",
    counters: {
      accepted: "frontAccepted",
      "turned-away": "frontTooMany",
      handshake: "frontHandshakes",
      "handshake-failed": "frontHandshakesFailed",
      "handed-to-relay": "frontHanded",
      "became-session": "frontAttached",
    },
  },
  {
    name: "dtls_total",
    help: "Datagrams and handshakes of DTLS, by what became of them",
    label: "event",
    counters: {
      datagram: "dtlsDatagrams",
      malformed: "dtlsMalformed",
      unknown: "dtlsUnknown",
      limited: "dtlsLimited",
      "verify-sent": "dtlsVerifies",
      "bad-cookie": "dtlsBadCookies",
      repeated: "dtlsRepeated",
      "handshake-started": "dtlsStarted",
      "handshake-failed": "dtlsFailed",
      "handshake-completed": "dtlsCompleted",
    },
  },
];

/** Every counter of the engine that some metric shows. */
export const SHOWN_COUNTERS: ReadonlySet<string> = new Set([
  ...FAMILIES.flatMap(({ counters }) => Object.values(counters)),
  "flows",
  "frontPending",
  // `vpn_sessions_by_transport` says it from the side of identity.
  "sessions",
]);

/** Shows what the engine counts; it is read when the metrics are asked for. */
export function engineMetrics(
  registry: Registry,
  engine: Pick<VpnEngine, "counters" | "latencies">,
): void {
  const registers = [registry];
  const read = (): EngineCounters => engine.counters();
  new LatencyHistogram(registry, () => engine.latencies());
  for (const { name, help, label, counters } of FAMILIES) {
    new Counter({
      name: `tunnel_gateway_vpn_${name}`,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        const now = read();
        for (const [value, counter] of Object.entries(counters)) {
          this.inc({ [label]: value }, now[counter] ?? 0);
        }
      },
    });
  }
  const gauge = (name: string, help: string, counter: string) =>
    new Gauge({
      name: `tunnel_gateway_vpn_${name}`,
      help,
      registers,
      collect() {
        this.set(read()[counter] ?? 0);
      },
    });
  gauge("flows", "Flows that the packet threads remember", "flows");
  gauge("front_pending", "Connections that are no session yet", "frontPending");
}

const LATENCY = {
  name: "tunnel_gateway_vpn_packet_latency_seconds",
  help: "How long packets were inside, from when their thread woke for them to the write",
  labelNames: ["direction"],
} as const;
const MICROSECONDS = 1e6;

/** A histogram that the packet threads have counted: prom-client itself would have each packet told. */
class LatencyHistogram extends Histogram<"direction"> {
  readonly #read: () => readonly PacketLatency[];

  constructor(registry: Registry, read: () => readonly PacketLatency[]) {
    super({ ...LATENCY, registers: [registry] });
    this.#read = read;
  }

  /** What `get()` and the registry take a histogram's values from. */
  async getForPromString() {
    const { name, help } = LATENCY;
    const latencies = this.#read();
    const values = (["up", "down"] as const).flatMap((direction) =>
      seriesOf(
        { direction },
        latencies.filter((latency) => latency.direction === direction),
      ),
    );
    return { name, help, type: "histogram", values, aggregator: "sum" };
  }
}

function seriesOf(
  sharedLabels: Readonly<Record<string, string>>,
  latencies: readonly PacketLatency[],
) {
  const series = (metricName: string, value: number, labels = {}) => ({
    metricName: `${LATENCY.name}_${metricName}`,
    value,
    labels,
    sharedLabels,
  });
  const sum = (of: (latency: PacketLatency) => number) =>
    latencies.reduce((all, latency) => all + of(latency), 0);
  let below = 0;
  const buckets = [...LATENCY_BOUNDS, Number.POSITIVE_INFINITY].map((bound, bucket) => {
    below += sum(({ packets }) => packets[bucket] ?? 0);
    const le = Number.isFinite(bound) ? bound / MICROSECONDS : "+Inf";
    return series("bucket", below, { le });
  });
  const seconds = sum(({ microseconds }) => microseconds) / MICROSECONDS;
  return [...buckets, series("sum", seconds), series("count", below)];
}
