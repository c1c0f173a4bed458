import type { Store } from "@isthmus/shared/store/store";
import type { RegistrationKeyStore } from "../core/registration-keys.ts";
import type { CertificateOperations } from "./operations.ts";

/** The RA's keys in the ledger's database. `holders` knows the replicas. */
export function registrationKeyStore(
  store: Pick<Store<CertificateOperations>, "run">,
  holders: Pick<RegistrationKeyStore, "hold" | "isHeldByAll">,
): RegistrationKeyStore {
  return {
    list: () => store.run("registrationKeys"),
    add: (key) => store.run("addRegistrationKey", key),
    publish: (of) => store.run("publishRegistrationKey", of),
    removeExpired: (at) => store.run("removeExpiredRegistrationKeys", { at }),
    hold: (id) => holders.hold(id),
    isHeldByAll: (id) => holders.isHeldByAll(id),
  };
}
