import { Counter, Gauge, type Registry } from "prom-client";
import type { EngineCounters } from "../core/vpn-engine.ts";

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
export function engineMetrics(registry: Registry, read: () => EngineCounters): void {
  const registers = [registry];
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
