import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import type { VpnLocalConfiguration } from "../config/vpn-local-configuration.ts";
import type { AccessControl } from "../core/access.ts";
import type { Authenticator } from "../core/authenticator.ts";
import type { PeerCertificates } from "../core/peer-certificates.ts";
import type { RevocationAsker } from "../core/ports.ts";
import { AddressPool } from "../core/vpn/address-pool.ts";
import { addressPools } from "../core/vpn/address-pools.ts";
import { CertificateStep } from "../core/vpn/certificate-step.ts";
import type { VpnFacilities } from "../core/vpn/compile-vpn-rules.ts";
import { KnownPlaces } from "../core/vpn/known-places.ts";
import { Login, type PendingLogin } from "../core/vpn/login.ts";
import { LoginWalk } from "../core/vpn/login-walk.ts";
import { PendingLogins } from "../core/vpn/pending-logins.ts";
import { PolicyLeases } from "../core/vpn/policy-leases.ts";
import { ScoreMemory, type ScoreStore } from "../core/vpn/score-memory.ts";
import { Scores } from "../core/vpn/scores.ts";
import { Sessions } from "../core/vpn/sessions.ts";
import { type TunnelSlice, tunnelSlices } from "../core/vpn/tunnel-slices.ts";
import { Tunnels } from "../core/vpn/tunnels.ts";
import { UserNames } from "../core/vpn/user-names.ts";
import type { SessionStore, VpnObserver } from "../core/vpn/vpn-ports.ts";
import type { VpnParts } from "../core/vpn/vpn-service.ts";
import type { VpnEngine } from "../core/vpn-engine.ts";
import { TUNNEL_MTU } from "./host-setup.ts";

export interface VpnCoreOptions {
  readonly local: VpnLocalConfiguration;
  readonly slices: readonly TunnelSlice[];
  readonly engine: VpnEngine;
  readonly authenticators: ReadonlyMap<string, Authenticator>;
  readonly access: AccessControl;
  readonly revocation: RevocationAsker;
  readonly peers: () => PeerCertificates;
  readonly store: SessionStore;
  readonly scoreStore: ScoreStore;
  readonly observer: VpnObserver;
  readonly clock: Clock;
  readonly random: Random;
}

/** Constructs the VPN's core. */
export function vpnCore(options: VpnCoreOptions): VpnParts {
  const { local, slices, engine, access, authenticators, store, observer, clock, random } = options;
  const names = new UserNames(local.userNameDomains);
  const pool = new AddressPool(slices, addressPools(local.pools, slices));
  const onFailure = (error: unknown) => observer.failed("policy", error);
  const leases = new PolicyLeases({ engine, access, onFailure });
  const kept = { engine, store, access, pool, clock, random, observer };
  const sessions = new Sessions({ ...kept, leases, names });
  const scores = new Scores({ clock, rules: () => access.rules.vpn.bans });
  const places = new KnownPlaces({ clock });
  const memory = new ScoreMemory({
    ...{ scores, places, names },
    store: options.scoreStore,
    onFailure: (error) => observer.failed("store", error),
  });
  const pending = new PendingLogins<PendingLogin>({ clock, random });
  const { revocation, peers } = options;
  const certificates = new CertificateStep({ access, peers, revocation });
  const walk = new LoginWalk({ authenticators, certificates, names });
  const counted = { scores, places, names, clock, observer };
  const login = new Login({ access, walk, pending, sessions, ...counted });
  const path = { slices, tunnelMtu: TUNNEL_MTU, udp: local.udp };
  const tunnels = new Tunnels({ ...kept, ...path, sessions, revocation });
  const state = { sessions, leases, pool, scores, memory, pending, store };
  return { ...state, login, tunnels, authenticators };
}

/** What groups of the desired configuration may refer to. */
export function vpnFacilities(local: VpnLocalConfiguration): VpnFacilities {
  const authenticators = Object.entries(local.authenticators).map(
    ([name, { type }]) => [name, type === "totp" ? "second" : "first"] as const,
  );
  const slices = tunnelSlices(local);
  const fill = new AddressPool(slices, addressPools(local.pools, slices)).ofPools();
  const pools = fill.flatMap(({ pool, capacity }) => {
    const members = local.pools.find(({ name }) => name === pool)?.members;
    return capacity > 0 ? [[pool, members] as const] : [];
  });
  return {
    authenticators: new Map(authenticators),
    hasIpv6: local.ipv6Network !== undefined,
    pools: new Map(pools),
  };
}
