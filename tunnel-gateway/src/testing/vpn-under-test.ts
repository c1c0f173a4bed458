import { X509Certificate } from "node:crypto";
import { systemRandom } from "@isthmus/shared/random";
import { openStore, type Store } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { z } from "zod";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import { vpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import { AccessControl } from "../core/access.ts";
import type { Authenticator } from "../core/authenticator.ts";
import { compileRules } from "../core/compile-rules.ts";
import { type Device, DeviceDirectory } from "../core/device.ts";
import { compileEgress } from "../core/egress.ts";
import { Enforcement } from "../core/enforcement.ts";
import { DEFAULT_DEVICE_ID_PREFIX, type TrustAnchor } from "../core/identity.ts";
import { PeerCertificates } from "../core/peer-certificates.ts";
import type { RevocationAsker } from "../core/ports.ts";
import { RevocationKnowledge } from "../core/revocation.ts";
import { tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import type { VpnObserver } from "../core/vpn/vpn-ports.ts";
import { Vpn, type VpnParts } from "../core/vpn/vpn-service.ts";
import type { ClientFacts, LoginRequest, TunnelRequest } from "../core/vpn/vpn-service-port.ts";
import type { EngineConnection } from "../core/vpn-engine.ts";
import { scoreStore, sessionStore } from "../main/stores.ts";
import { vpnCore, vpnFacilities } from "../main/vpn-core.ts";
import type { GatewayOperations } from "../store/gateway-store.ts";
import { FakeEngine } from "./fake-engine.ts";
import {
  type DeviceAuthority,
  makeDeviceAuthority,
  type PemIdentity,
} from "./test-certificates.ts";

export type DesiredInput = z.input<typeof desiredConfiguration>;
export type GroupInput = NonNullable<NonNullable<DesiredInput["vpn"]>["groups"]>[number];

/** What the observer was told, as `event detail`, in order. */
type Told = string[];

export const CLIENT: ClientFacts = {
  kind: "openconnect",
  userAgent: "Open AnyConnect VPN Agent v9.12",
  version: "9.12",
  platform: "linux-64",
  platformVersion: undefined,
  deviceType: undefined,
  uniqueId: undefined,
  isMobile: false,
  browserKey: undefined,
};

/** The VPN's core with a real store and real certificates; engine and clock are the test's. */
export interface VpnUnderTest extends AsyncDisposable {
  readonly engine: FakeEngine;
  readonly clock: FakeClock;
  readonly vpn: Vpn;
  readonly parts: VpnParts;
  readonly access: AccessControl;
  readonly enforcement: Enforcement;
  readonly devices: DeviceDirectory;
  readonly knowledge: RevocationKnowledge;
  readonly authority: DeviceAuthority;
  readonly store: Store<GatewayOperations>;
  readonly told: Told;
  /** Of the enforcement: what was cut. */
  readonly cuts: string[];
  configure(desired: DesiredInput): void;
  /** Another core on the same store, as after a kill. */
  restart(): Promise<VpnUnderTest>;
}

export const authority = await makeDeviceAuthority();

export async function startVpn(
  options: {
    readonly local?: Readonly<Record<string, unknown>>;
    readonly authenticators?: readonly Authenticator[];
    readonly devices?: readonly Device[];
    readonly desired?: DesiredInput;
    /** Answers about certificates; without it nobody is asked. */
    readonly revocation?: RevocationAsker;
  } = {},
): Promise<VpnUnderTest> {
  const folder = temporaryFolder();
  const place = await newStorePlace(folder.path);
  const module = new URL("../store/gateway-store.ts", import.meta.url);
  const clock = new FakeClock(Date.now());
  const start = async (): Promise<VpnUnderTest> => {
    const store = await openStore<GatewayOperations>({ ...place, module });
    const made = await make(options, clock, store);
    return {
      ...made,
      restart: async () => {
        await store[Symbol.asyncDispose]();
        return start();
      },
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]();
        folder[Symbol.dispose]();
      },
    };
  };
  return start();
}

async function make(
  options: NonNullable<Parameters<typeof startVpn>[0]>,
  clock: FakeClock,
  store: Store<GatewayOperations>,
) {
  const local = vpnLocalConfiguration.parse({ network: "10.98.0.0/28", ...options.local });
  const names = (options.authenticators ?? []).map((one) => [one.name, one] as const);
  const facilities = {
    ...vpnFacilities(local),
    authenticators: new Map(names.map(([name]) => [name, "first" as const])),
  };
  const anchor: TrustAnchor = {
    name: "devices",
    authorities: [authority.issuing.certificate, authority.root.certificate],
    mayAssert: ["deviceId", "userPrincipalName"],
    deviceIdPrefix: DEFAULT_DEVICE_ID_PREFIX,
    revocation: { hasLists: false, hasOcsp: options.revocation !== undefined },
  };
  const peers = new PeerCertificates([anchor]);
  const devices = new DeviceDirectory();
  devices.replace(options.devices ?? []);
  const knowledge = new RevocationKnowledge();
  const compile = (desired: DesiredInput) =>
    compileRules(desiredConfiguration.parse(desired), { destinations: undefined, vpn: facilities });
  const access = new AccessControl({
    rules: compile({}),
    local: { anchors: new Map([["devices", anchor]]), egress: NO_EGRESS, bound: undefined },
    clock,
    devices: () => devices,
    knowledge,
    deviceFreshness: () => ({ source: "list" }),
  });
  const engine = new FakeEngine();
  const told: Told = [];
  const parts = vpnCore({
    local,
    slices: tunnelSlices(local),
    engine,
    authenticators: new Map(names),
    access,
    revocation: options.revocation ?? { ask: async () => {} },
    peers: () => peers,
    store: sessionStore(store),
    scoreStore: scoreStore(store),
    observer: notingObserver(told),
    clock,
    random: systemRandom,
  });
  const vpn = new Vpn(parts);
  const cuts: string[] = [];
  const enforcement = new Enforcement({
    access,
    connections: parts.sessions.table,
    onCut: (all) => cuts.push(...all.map(({ refusal }) => refusal.code)),
  });
  const configure = (desired: DesiredInput) => {
    access.rules = compile(desired);
    enforcement.all();
    vpn.configured(peers);
  };
  await engine.listen({ handler: handlerOf(parts) } as never);
  await vpn.load();
  if (options.desired) configure(options.desired);
  const known = { devices, knowledge, authority, store, told, cuts };
  return { engine, clock, vpn, parts, access, enforcement, ...known, configure };
}

const NO_EGRESS = compileEgress({
  allowedInternal: [],
  controlNetwork: [],
  ownAddresses: [],
  broadcastAddresses: [],
  ownListeners: [],
});

function handlerOf({ sessions }: VpnParts) {
  return { sessionEvent: sessions.onEvent.bind(sessions) };
}

function notingObserver(told: Told): VpnObserver {
  return {
    loginRefused: ({ refusal, isAttempt, isBanned }) => {
      const how = isBanned ? " banned" : isAttempt ? " attempt" : "";
      told.push(`login-refused ${refusal.code}${how}`);
    },
    loginAccepted: ({ record }) => told.push(`login ${record.userName}`),
    banned: ({ kind, key }) => told.push(`banned ${kind} ${key}`),
    connectRefused: ({ code }) => told.push(`connect-refused ${code}`),
    connected: (session, isReturn) =>
      told.push(`connected ${session.remoteAddress}${isReturn ? " again" : ""}`),
    disconnected: (_, reason) => told.push(`disconnected ${reason}`),
    dtlsUp: (_, cipher) => told.push(`dtls-up ${cipher}`),
    dtlsDown: (_, reason) => told.push(`dtls-down ${reason}`),
    ended: ({ carried }, end, refusal) =>
      told.push(`ended ${end}${refusal ? ` ${refusal.code}` : ""} ${carried.bytesUp}`),
    allowed: (_, { rule, address }, untold) => told.push(`allowed ${rule} ${address} ${untold}`),
    denied: (_, { rule, address }) => told.push(`denied ${rule} ${address}`),
    failed: (event, error) => told.push(`failed ${event} ${error}`),
  };
}

/** A group in which a device's certificate is enough. */
export function deviceGroup(change: Partial<GroupInput> = {}): GroupInput {
  return { name: "staff", authentication: [["certificate"]], ...change };
}

/** A group of users without devices. */
export function userGroup(lists: string[][], change: Partial<GroupInput> = {}): GroupInput {
  return { name: "staff", authentication: lists, requireDevice: false, ...change };
}

export function derOf(identity: PemIdentity): Buffer {
  return new X509Certificate(identity.certificate).raw;
}

export function loginRequest(
  connection: EngineConnection,
  change: Partial<LoginRequest> = {},
): LoginRequest {
  return {
    connection,
    client: CLIENT,
    group: undefined,
    bearerToken: undefined,
    canBringToken: false,
    hasNoCertificate: connection.certificates.length === 0,
    publicUrl: "https://vpn.example",
    ...change,
  };
}

export function tunnelRequest(
  connection: EngineConnection,
  cookie: string,
  change: Partial<TunnelRequest> = {},
): TunnelRequest {
  return {
    cookie,
    connection,
    client: CLIENT,
    hostName: "laptop",
    wantsIpv4: true,
    wantsIpv6: true,
    formerAddresses: [],
    mtu: { tls: 1_400, dtls: 1_420 },
    dtls: undefined,
    ...change,
  };
}

/** Never aborts. */
export const SIGNAL = new AbortController().signal;
