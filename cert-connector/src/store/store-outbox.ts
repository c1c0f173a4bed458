import type { Store } from "@isthmus/shared/store/store";
import type { NotificationOutbox } from "../core/notification.ts";
import type { CertificateOperations } from "./operations.ts";

/** The outbox in the store. */
export function storeOutbox(store: Pick<Store<CertificateOperations>, "run">): NotificationOutbox {
  return {
    claim: (of) => store.run("claimNotifications", of),
    accepted: (of) => store.run("notificationAccepted", of),
    deferred: (of) => store.run("notificationDeferred", of),
    refused: (of) => store.run("notificationRefused", of),
    stateOf: (id) => store.run("notificationState", { id }),
    release: (owner) => store.run("releaseNotifications", { owner }),
  };
}
