import type { Clock } from "@isthmus/shared/clock";
import type { HealthBoard } from "@isthmus/shared/kernel/health";
import type { LinkEndpoint } from "../connector/link-endpoint.ts";
import type { ReceiptSigner } from "../core/ports.ts";
import type { ControlPlaneStore } from "../store/records.ts";
import type { ServerIdentity } from "./server-identity.ts";

/** What a running control plane checks about itself. */
export function registerChecks(
  board: HealthBoard,
  of: {
    readonly signer: ReceiptSigner;
    readonly identity: ServerIdentity;
    readonly store: ControlPlaneStore;
    readonly clock: Clock;
    readonly link: LinkEndpoint;
  },
): void {
  board.register({
    name: "signer",
    async run() {
      await of.signer.tenantKey();
      return { status: "healthy", reason: "the signer answers" };
    },
  });
  board.register({ name: "tls-certificate", run: () => of.identity.check(of.clock.now()) });
  board.register({
    name: "store",
    async run() {
      await of.store.query("SELECT 1", [], 1);
      return { status: "healthy", reason: "the store answers" };
    },
  });
  board.figure("connections", () => of.link.figures().connections);
  board.figure("sessions", () => of.link.figures().sessions);
  board.figure("waiting-batch-bytes", () => of.link.figures().waitingBatchBytes);
}
