import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type { Authorities } from "../core/authorities.ts";
import type {
  AuthorityRevocation,
  AuthorityTold,
  ClaimedAuthorityRevocation,
} from "../core/authority-revocation.ts";
import { pauseAfter } from "./pause-after.ts";
import { Rounds } from "./rounds.ts";
import type { CertificateKernel } from "./service.ts";

/** Our own: how often is looked for what is due. */
const LOOK_MS = 15_000;
/** One attempt takes less: an authority gives up an order before. */
const CLAIM_MS = 60_000;
const MAX_AT_ONCE = 100;

/** Has certificates revoked at the remote authorities that made them: at once, and again until it is done. */
export class AuthorityRevocations implements Disposable {
  readonly #kernel: Pick<CertificateKernel, "store" | "clock" | "log">;
  readonly #authorities: Authorities;
  readonly #rounds: Rounds;

  constructor(
    kernel: Pick<CertificateKernel, "store" | "clock" | "log">,
    authorities: Authorities,
  ) {
    this.#kernel = kernel;
    this.#authorities = authorities;
    this.#rounds = new Rounds(
      () => this.#retryDue(),
      (error) => kernel.log.error({ err: error }, "authority.revocation-failed"),
    );
  }

  start(): void {
    this.#rounds.begin();
    this.#rounds.start(LOOK_MS);
  }

  /** See `TellAuthority`. */
  async tell(
    only: Pick<AuthorityRevocation, "authority" | "serialNumber">,
  ): Promise<AuthorityTold> {
    const [ordered] = await this.#claim(1, only);
    return ordered === undefined ? "revoked" : await this.#attempt(ordered);
  }

  async #retryDue(): Promise<void> {
    for (const ordered of await this.#claim(MAX_AT_ONCE)) await this.#attempt(ordered);
  }

  #claim(limit: number, only?: Pick<AuthorityRevocation, "authority" | "serialNumber">) {
    const { store, clock } = this.#kernel;
    const at = clock.now();
    const claim = { at, until: at + CLAIM_MS, limit, ...(only !== undefined && { only }) };
    return store.run("claimAuthorityRevocations", claim);
  }

  async #attempt(ordered: ClaimedAuthorityRevocation): Promise<AuthorityTold> {
    const { store, clock, log } = this.#kernel;
    const { id, authority, serialNumber } = ordered;
    try {
      await this.#authorities.named(authority).revoke(ordered);
      await store.run("authorityRevocationDone", { id, at: clock.now() });
      log.info({ authority, serialNumber }, "authority.revoked");
      return "revoked";
    } catch (error) {
      const isFinal = codeOf(error) === "ca-cannot-revoke";
      const at = clock.now();
      const nextAt = isFinal ? undefined : at + pauseAfter(ordered.attempts);
      const message = error instanceof ConnectorError ? error.message : "see the log";
      await store.run("authorityRevocationDeferred", { id, at, nextAt, message });
      log.warn({ authority, serialNumber, err: error }, "authority.revocation-deferred");
      return isFinal ? "by-hand" : "later";
    }
  }

  [Symbol.dispose](): void {
    this.#rounds.stop();
  }
}

interface Waiting {
  readonly authority: string;
  readonly waiting: number;
  readonly failed: number;
  readonly serial: string;
  readonly message: string | null;
}

/** Whether some authority does not know yet of a revocation. */
export async function authorityRevocationsResult({
  store,
}: Pick<CertificateKernel, "store">): Promise<CheckResult> {
  const [worst] = await store.query<Waiting>(
    `SELECT authority, count(*) AS waiting, count(failed_at) AS failed, max(serial_number) AS serial,
       max(last_message) AS message
     FROM authority_revocation WHERE attempts > 0 GROUP BY authority ORDER BY count(*) DESC LIMIT 1`,
    [],
    1,
  );
  if (worst === undefined) return { status: "healthy", reason: "every authority knows them all" };
  const { authority, waiting, failed, serial, message } = worst;
  const reason = `${authority} has not revoked ${waiting} certificates, ${serial} among them: ${message ?? "no answer"}`;
  const remedy =
    failed > 0
      ? "revoke them there by hand: the audit lists them as authority.revocation-by-hand"
      : "they are tried again until it works; see that authority's own check";
  return { status: "warning", reason, remedy };
}
