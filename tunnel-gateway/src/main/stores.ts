import type { Store } from "@isthmus/shared/store/store";
import type { Device } from "../core/device.ts";
import type { DeviceStore, RevocationStore } from "../core/ports.ts";
import { MAX_DEVICES } from "../store/device-operations.ts";
import type { GatewayOperations } from "../store/gateway-store.ts";

/** Own limit: devices read in one operation. */
const PAGE = 5_000;

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
