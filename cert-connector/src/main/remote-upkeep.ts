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
  let isResuming = false;
  const resume = async () => {
    if (isResuming) return;
    isResuming = true;
    try {
      const { completed } = await enrolments.completeUnfinished("remote");
      if (completed > 0) log.warn({ completed }, "enrolment.resumed");
    } catch (error) {
      log.error({ err: error }, "enrolment.resume-failed");
    } finally {
      isResuming = false;
    }
  };
  const timer = setInterval(() => void resume(), RESUME_EVERY_MS).unref();
  void resume();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
