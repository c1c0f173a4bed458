import type { Store } from "@isthmus/shared/store/store";
import type { RevocationInbox } from "../core/requested-revocations.ts";
import type { CertificateOperations } from "./operations.ts";

/** Requested revocations in the store; `window` is that of the guardrails. */
export function storeRevocationInbox(
  store: Pick<Store<CertificateOperations>, "run">,
  window: { readonly max: number; readonly windowMs: number },
): RevocationInbox {
  return {
    keep: (of) => store.run("keepRevocationRequests", of),
    revoke: (of) => store.run("revokeRequested", { ...of, window }),
    confirm: (of) => store.run("confirmRevocations", of),
    finished: (tenant) => store.run("finishedRevocations", { tenant }),
    forget: (ids) => store.run("forgetRevocations", { ids }),
  };
}
