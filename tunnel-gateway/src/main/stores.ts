import type { Store } from "@isthmus/shared/store/store";
import type { Device } from "../core/device.ts";
import type { OneTimeSteps } from "../core/one-time-steps.ts";
import type { DeviceStore, RevocationStore } from "../core/ports.ts";
import type { ScoreStore } from "../core/vpn/score-memory.ts";
import type { SessionRecord, SessionStore } from "../core/vpn/vpn-ports.ts";
import { MAX_DEVICES } from "../store/device-operations.ts";
import type { GatewayOperations } from "../store/gateway-store.ts";

/** Own limits: devices or sessions read in one operation, and those of a VPN with 64 full tunnels. */
const PAGE = 5_000;
const MAX_SESSIONS = 8_388_608;

/** Device states in the gateway's own store. */
export function deviceStore(store: Store<GatewayOperations>): DeviceStore {
  return {
    async load() {
      const source = await store.run("deviceSource");
      const devices: Device[] = [];
      for (let after = ""; devices.length < MAX_DEVICES; ) {
        const page = await store.run("listDevices", { after, limit: PAGE });
        devices.push(...page);
        after = page.at(-1)?.deviceId ?? "";
        if (page.length < PAGE) break;
      }
      return { source, devices };
    },
    update: (update, at) => store.run("updateDevices", { update, at }),
    noteRefused: (refused, at) => store.run("noteRefusedUpdate", { ...refused, at }),
    noteContact: (at) => store.run("noteContact", at),
  };
}

/** Revocation lists in the gateway's own store. */
export function revocationStore(store: Store<GatewayOperations>): RevocationStore {
  return {
    load: () => store.run("storedLists"),
    put: (list) => store.run("putList", list),
    confirm: (issuerId, confirmedAt) => store.run("confirmList", { issuerId, confirmedAt }),
  };
}

/** The VPN's sessions in the gateway's own store; the audit says of each that it began and ended, which `onAudited` is told. */
export function sessionStore(
  store: Store<GatewayOperations>,
  onAudited: () => void = () => {},
): SessionStore {
  return {
    async load() {
      const sessions: SessionRecord[] = [];
      for (let after = ""; sessions.length < MAX_SESSIONS; ) {
        const page = await store.run("listVpnSessions", { after, limit: PAGE });
        sessions.push(...page);
        after = page.at(-1)?.id ?? "";
        if (page.length < PAGE) break;
      }
      const habits = await store.run("listVpnAddresses", MAX_SESSIONS);
      return { sessions, habits };
    },
    add: (added) => store.run("addVpnSession", added).then(onAudited),
    place: (placed) => store.run("placeVpnSession", placed),
    seen: (seen) => store.run("seeVpnSessions", seen),
    remove: (ended) => store.run("removeVpnSession", ended).then(onAudited),
  };
}

/** Failed logins, and from where users have logged in, in the gateway's own store. */
export function scoreStore(store: Store<GatewayOperations>): ScoreStore {
  return {
    async load() {
      return { scores: await store.run("listScores"), places: await store.run("listPlaces") };
    },
    save: (changes) => store.run("saveScores", changes),
  };
}

/** The one-time passwords that were used, in the gateway's own store. */
export function oneTimeSteps(store: Store<GatewayOperations>): OneTimeSteps {
  return { take: (of) => store.run("takeOneTimeStep", of) };
}
