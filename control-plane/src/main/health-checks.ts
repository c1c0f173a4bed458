import type { Clock } from "@isthmus/shared/clock";
import type { HealthBoard } from "@isthmus/shared/kernel/health";
import type { CheckResult } from "@isthmus/shared/kernel/service-definition";
import type { LinkEndpoint } from "../connector/link-endpoint.ts";
import { DEFAULT_QUOTA } from "../core/inventory-quota.ts";
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
  board.register({ name: "inventory-quota", run: () => checkQuota(of.store) });
  board.figure("connections", () => of.link.figures().connections);
  board.figure("sessions", () => of.link.figures().sessions);
  board.figure("waiting-batch-bytes", () => of.link.figures().waitingBatchBytes);
}

const MAX_NAMED = 10;

interface OverQuota {
  readonly name: string;
  readonly records: number;
  readonly octets: number;
  readonly refused: number;
  readonly max_records: number | null;
  readonly max_octets: number | null;
}

function quotaWords({ name, records, octets, refused, ...most }: OverQuota): string {
  const maxRecords = most.max_records ?? DEFAULT_QUOTA.records;
  const maxOctets = most.max_octets ?? DEFAULT_QUOTA.octets;
  const megabytes = (of: number) => Math.ceil(of / 1_000_000);
  return `${name} (${records} of ${maxRecords} records, about ${megabytes(octets)} of ${megabytes(maxOctets)} MB; ${refused} refused)`;
}

/** Sources whose bridges tell more than may be kept of them. */
async function checkQuota(store: ControlPlaneStore): Promise<CheckResult> {
  const rows = await store.query<OverQuota>(
    `SELECT s.name, u.records + u.added_records AS records, u.octets + u.added_octets AS octets, u.refused,
       coalesce(q.records, d.records) AS max_records, coalesce(q.octets, d.octets) AS max_octets
     FROM inventory_usage u JOIN inventory_source s ON s.id = u.source_id
       LEFT JOIN inventory_quota q ON q.source = s.name LEFT JOIN inventory_quota d ON d.source = ''
     WHERE u.over_since IS NOT NULL ORDER BY s.name LIMIT ${MAX_NAMED}`,
    [],
    MAX_NAMED,
  );
  if (rows.length === 0) {
    return { status: "healthy", reason: "every source is within its limits" };
  }
  return {
    status: "warning",
    reason: `no room for what is new of ${rows.map(quotaWords).join(", ")}`,
    remedy:
      "look at who reads the source; if it is as large as that, raise inventory.quota and start again",
  };
}
