import { Rounds } from "./rounds.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

/** Our own: how often orders that nobody asks after are asked for again. */
const RESUME_EVERY_MS = 60_000;

type Parts = Pick<CertificateConnector, "remote" | "authorityRevocations" | "enrolments">;

/**
 * What goes on with authorities elsewhere while no device asks: their health, revocations they have to be told of, and
 * orders whose answer was lost, so that no certificate is made there that is not in the ledger here.
 */
export async function startRemoteUpkeep(
  { log, local, store }: Pick<CertificateKernel, "log" | "local" | "store">,
  { remote, authorityRevocations, enrolments }: Parts,
): Promise<Disposable> {
  if (remote.length === 0) return { [Symbol.dispose]: () => undefined };
  // Where replicas share the ledger another one may be waiting for an answer; its time runs out by itself.
  if (local.database === undefined) await store.run("releaseAsking");
  for (const authority of remote) authority.start();
  authorityRevocations.start();
  const resuming = new Rounds(
    async () => {
      const { completed } = await enrolments.completeUnfinished("remote");
      if (completed > 0) log.warn({ completed }, "enrolment.resumed");
    },
    (error) => log.error({ err: error }, "enrolment.resume-failed"),
  );
  resuming.start(RESUME_EVERY_MS);
  resuming.begin();
  return { [Symbol.dispose]: () => resuming.stop() };
}
