import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type {
  EngineIdentity,
  EngineListenOptions,
  EngineSession,
  EngineTunnel,
  PacketLatency,
  SessionTraffic,
} from "../core/vpn-engine.ts";

/** What `npm run install` of this package leaves behind. */
const ADDON_FILE = new URL("../../native/build/tunnel.node", import.meta.url);
const BUILD_LOG = new URL("../../native/build/build.log", import.meta.url);

/** `[kind, id, text, bytes, ...numbers]`, as native/src/events.h lays out each kind; zeros at the end are left out. */
export type NativeEvent = readonly [
  kind: number,
  id: number,
  text: string,
  bytes: Buffer | undefined,
  ...numbers: number[],
];

/** The same with the identity's values beside the others, and nothing that is not the front's. */
type NativeListenOptions = Omit<EngineListenOptions, "identity" | "tunnels" | "handler"> &
  EngineIdentity;

interface NativeTunnel extends EngineTunnel {
  /** Empty without. */
  readonly firstIpv6: string;
  /** Entries of the packet thread's flow table. */
  readonly flows: number;
}

/** The addon's functions; native/src/addon.h has the same list. They throw on wrong arguments and otherwise return at once. */
export interface NativeAddon {
  start(handler: (events: readonly NativeEvent[]) => void): void;
  /** Ends all threads, and connections without a word. Returns the events that were not delivered. */
  stop(): readonly NativeEvent[];
  startWorkers(tunnels: readonly NativeTunnel[]): void;
  listen(options: NativeListenOptions): number;
  setIdentity(identity: EngineIdentity): void;
  write(connectionId: number, bytes: Uint8Array): void;
  stream(connectionId: number, isWanted: boolean): void;
  end(connectionId: number, isClean: boolean): void;
  attach(
    connectionId: number,
    tunnel: number,
    sessionId: number,
    head: Uint8Array,
    offer: number,
    id: Uint8Array,
    masterSecret: Uint8Array,
    cipher: string,
  ): void;
  forgetOffers(sessionId: number): void;
  setPolicy(policy: number, packedRules: Uint8Array): void;
  openSession(session: EngineSession): void;
  changeSession(session: EngineSession): void;
  closeSession(tunnel: number, sessionId: number, type: number, reason: string): void;
  /** Opens a TUN device as a packet thread does, and closes it; empty, or `ERRNO-NAME: step: words`. */
  tryTunnel(device: string): string;
  counters(): Record<string, number>;
  latencies(): PacketLatency[];
  sessions(): SessionTraffic[];
}

/** The addon, or why there is none: what its build said, or what loading it says. */
export function loadNativeAddon(): NativeAddon | { readonly reason: string } {
  try {
    return createRequire(import.meta.url)(fileURLToPath(ADDON_FILE)) as NativeAddon;
  } catch (error) {
    return { reason: buildFault() ?? (error instanceof Error ? error.message : String(error)) };
  }
}

function buildFault(): string | undefined {
  try {
    const log = readFileSync(BUILD_LOG, "utf8").trim();
    return log === "built" ? undefined : log;
  } catch {
    return "the native data path has not been built; run npm rebuild @isthmus/tunnel-gateway";
  }
}
