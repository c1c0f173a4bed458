import { everyHour } from "@isthmus/shared/kernel/housekeeping";
import { ExpiryGuard } from "../core/expiry-guard.ts";
import { publishExpiries } from "./expiry-checks.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";
import { foreignExpiries, ownExpiries } from "./watched-expiries.ts";

/** Looks at all that ends now and every hour: warnings go to the log, the audit and the metrics. */
export async function startExpiryWatch(
  kernel: CertificateKernel,
  connector: CertificateConnector,
): Promise<Disposable> {
  const { store, clock, log, link } = kernel;
  const expiries = () => [
    ...ownExpiries(connector),
    ...foreignExpiries(kernel, connector.authorities.all),
  ];
  const guard = new ExpiryGuard({
    expiries,
    record: (warning) => store.run("recordExpiryWarning", warning),
    onWarning: ({ what, title, notAfter, thresholdDays, remedy }) => {
      const about = { what, title, notAfter: new Date(notAfter).toISOString(), remedy };
      log.warn(
        { ...about, thresholdDays },
        thresholdDays === 0 ? "expiry.passed" : "expiry.warning",
      );
      link.wake("audit");
    },
    onRenewalFailed: (what, error) => log.error({ what, err: error }, "expiry.not-renewed"),
    clock,
  });
  publishExpiries(kernel.metrics, expiries, () => clock.now());
  const look = () => guard.look();
  const onError = (error: unknown) => log.error({ err: error }, "expiry.not-looked");
  await look().catch(onError);
  return everyHour(look, onError);
}
