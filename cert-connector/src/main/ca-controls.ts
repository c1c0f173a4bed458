import { CA_RECORD, caRecord } from "./ca-record.ts";
import { CA_RENEW_RA, describeRenewed, notRenewed } from "./ca-renew-ra-command.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

/** What the `ca` commands ask of the running service. */
export function caControls(
  { store, clock }: CertificateKernel,
  { registration }: CertificateConnector,
) {
  const current = () => registration.current().responder.certificate;
  return {
    [CA_RECORD]: async (argument: unknown) => {
      await store.run("recordAudit", { at: clock.now(), ...caRecord.parse(argument) });
      return { isRecorded: true };
    },
    [CA_RENEW_RA]: async () => {
      const before = current();
      await registration.renew(true);
      if (current().serialNumber === before.serialNumber) throw notRenewed();
      return describeRenewed(current());
    },
  };
}
