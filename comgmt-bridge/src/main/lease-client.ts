import { LEASE_MS, type Lease, type LeaseWanted } from "@isthmus/shared/link/inventory-messages";

/** Own limit: how soon a message that nobody heard is repeated. */
const UNHEARD_MS = 1_000;

export type LeaseState =
  | { readonly kind: "none" }
  | { readonly kind: "held"; readonly lease: number }
  /** Display name of the connector that reads the source, where it is told. */
  | { readonly kind: "elsewhere"; readonly holder: string | undefined };

export interface LeaseClientOptions {
  readonly source: Pick<LeaseWanted, "source" | "sourceType">;
  /** False where nobody hears it. */
  readonly tell: (message: LeaseWanted) => boolean;
  /** With each renewal; the same lease again as long as nobody else had it. */
  readonly onHeld: (lease: Lease) => void;
  readonly onLost: (why: "expired" | "elsewhere") => void;
}

/**
 * Asks for the lease of a source as long as it lives. Reading stops when it has run out by our own time, whoever is to blame: another bridge
 * may have it by then.
 */
export class LeaseClient implements Disposable {
  readonly #options: LeaseClientOptions;
  #state: LeaseState = { kind: "none" };
  #asking: NodeJS.Timeout | undefined;
  #expiring: NodeJS.Timeout | undefined;

  constructor(options: LeaseClientOptions) {
    this.#options = options;
    this.#ask();
  }

  get state(): LeaseState {
    return this.#state;
  }

  take(message: Lease): void {
    clearTimeout(this.#expiring);
    if (!message.isHeld) {
      const wasHeld = this.#state.kind === "held";
      this.#state = { kind: "elsewhere", holder: message.holder };
      if (wasHeld) this.#options.onLost("elsewhere");
      return;
    }
    this.#state = { kind: "held", lease: message.lease };
    this.#expiring = setTimeout(() => this.#expire(), Math.min(message.validMs, LEASE_MS));
    this.#options.onHeld(message);
  }

  /** Gives the lease up, so that another bridge need not wait for its end. */
  [Symbol.dispose](): void {
    clearTimeout(this.#asking);
    clearTimeout(this.#expiring);
    if (this.#state.kind === "held") this.#tell(true);
    this.#state = { kind: "none" };
  }

  #ask(): void {
    const isHeard = this.#tell(false);
    this.#asking = setTimeout(() => this.#ask(), isHeard ? LEASE_MS / 3 : UNHEARD_MS);
  }

  #tell(isGivenUp: boolean): boolean {
    const lease = this.#state.kind === "held" ? this.#state.lease : 0;
    return this.#options.tell({ type: "lease-wanted", ...this.#options.source, lease, isGivenUp });
  }

  #expire(): void {
    this.#state = { kind: "none" };
    this.#options.onLost("expired");
  }
}
