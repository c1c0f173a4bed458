import { commandOperations } from "./command-operations.ts";
import { deliveryOperations } from "./connector-delivery.ts";
import { enrolmentOperations } from "./connector-enrolment.ts";
import { ingestOperations } from "./connector-ingest.ts";
import { reportOperations } from "./connector-reports.ts";
import { sessionOperations } from "./connector-sessions.ts";
import { leaseOperations } from "./inventory-leases.ts";

/** Everything the link and those who command connectors ask of the store. */
export const connectorOperations = {
  ...commandOperations,
  ...deliveryOperations,
  ...enrolmentOperations,
  ...ingestOperations,
  ...leaseOperations,
  ...reportOperations,
  ...sessionOperations,
};
