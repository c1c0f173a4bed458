import type { Clock } from "../clock.ts";
import { RefusalError } from "../errors.ts";
import type { SignedAuditHead } from "../link/messages.ts";
import type { Store } from "../store/store.ts";
import type { KernelOperations } from "./kernel-operations.ts";
import type { CheckResult } from "./service-definition.ts";

/** A head that nobody has countersigned for this long is worth a warning. */
const RECEIPT_LATE_MS = 3_600_000;

/** Keeps the control plane's receipts for the audit chain and watches that they agree with it. */
export class AuditKeeper {
  readonly #store: Store<KernelOperations>;
  readonly #clock: Clock;
  readonly #startedAt: number;
  #lastReceiptAt: number | undefined;
  #contradiction: string | undefined;

  constructor(store: Store<KernelOperations>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /**
   * Keeps a verified receipt that names an entry of this chain.
   *
   * @throws RefusalError `audit-contradiction` for a receipt over a head that this chain does not have.
   */
  async countersigned({ index, hash, receivedAt }: SignedAuditHead, jws: string): Promise<void> {
    const entry = await this.#store.run("auditEntryAt", index);
    if (entry?.hash !== hash) {
      this.#contradiction = `the control plane countersigned another entry ${index} than the one here`;
      throw new RefusalError("audit-contradiction", "audit.chain", this.#contradiction);
    }
    await this.#store.run("storeAuditReceipt", { index, hash, receivedAt, jws });
    this.#lastReceiptAt = this.#clock.now();
  }

  /** For health; `isConnected` says whether receipts can be expected. */
  check(isConnected: boolean): CheckResult {
    if (this.#contradiction !== undefined) {
      return {
        status: "unhealthy",
        reason: this.#contradiction,
        remedy: "run `audit verify`: the journal was changed, or restored from a backup",
      };
    }
    const since = this.#lastReceiptAt ?? this.#startedAt;
    if (isConnected && this.#clock.now() - since > RECEIPT_LATE_MS) {
      return {
        status: "warning",
        reason: "the control plane has countersigned no audit head for over an hour",
        remedy: "see whether its signer runs",
      };
    }
    return { status: "healthy", reason: "the audit journal is written and agrees with receipts" };
  }
}
