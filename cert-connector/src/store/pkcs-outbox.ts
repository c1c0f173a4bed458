import type { Store } from "@isthmus/shared/store/store";
import type { PkcsOutbox } from "../core/pkcs-issuance.ts";
import type { CertificateOperations } from "./operations.ts";
import { pkcsStanding } from "./pkcs-operations.ts";

/** The outbox of keys made here, in the ledger's database. */
export function pkcsOutbox(store: Pick<Store<CertificateOperations>, "run" | "query">): PkcsOutbox {
  return {
    find: async (requestId) => {
      const [row] = await store.query(
        "SELECT * FROM pkcs_order WHERE request_id = ?",
        [requestId],
        1,
      );
      return row && pkcsStanding(row);
    },
    begin: (draft) => store.run("beginPkcsOrder", draft),
    complete: (delivery) => store.run("completePkcsOrder", delivery),
  };
}
