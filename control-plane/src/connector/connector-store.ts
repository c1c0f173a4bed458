import type { FromControlPlane } from "@isthmus/shared/link/messages";
import type { Store } from "@isthmus/shared/store/store";
import type { Transaction } from "@isthmus/shared/store/transaction";
import type * as records from "../core/link-records.ts";

type Asked<Argument, Result = void> = (transaction: Transaction, argument: Argument) => Result;

/** What the link asks of the store. */
export type LinkOperations = {
  readonly claimEnrolmentToken: Asked<records.EnrolmentClaim, records.EnrolmentOutcome>;
  readonly connectorIdentity: Asked<
    { readonly connectorId: string },
    records.ConnectorIdentity | undefined
  >;
  readonly acceptConnector: Asked<records.ConnectorClaim, records.AdmissionOutcome>;
  readonly quarantineConnector: Asked<records.Quarantine>;
  readonly endSession: Asked<records.Sighting>;
  readonly endAllSessions: Asked<undefined>;
  readonly noteSightings: Asked<{ readonly sightings: readonly records.Sighting[] }>;
  readonly ingestBatch: Asked<records.IncomingBatch, records.IngestOutcome>;
  readonly renewLease: Asked<
    records.LeaseClaim,
    Extract<FromControlPlane, { type: "lease" }> | undefined
  >;
  readonly takeDeliveries: Asked<records.DeliveryRequest, records.SignedDelivery[]>;
  readonly answerGap: Asked<records.GapRequest, records.GapAnswer>;
  readonly trustStatements: Asked<
    { readonly connectorId: string; readonly afterId: number },
    { readonly id: number; readonly jws: string }[]
  >;
  readonly connectorsWithMail: Asked<{ readonly limit: number }, string[]>;
  readonly noteCommandProgress: Asked<records.CommandProgress>;
  readonly configurationAfter: Asked<
    { readonly connectorId: string; readonly version: number },
    records.SignedDesiredConfiguration | undefined
  >;
  readonly storeConfigurationReport: Asked<records.ConfigurationReport>;
  readonly judgeAuditHead: Asked<records.AuditHeadClaim, records.AuditHeadVerdict>;
  readonly storeAuditHead: Asked<records.AuditHeadClaim & { readonly jws: string }>;
  readonly storeHealth: Asked<records.HealthReport, { readonly isSnapshotWanted: boolean }>;
};

/** The store as the link sees it. */
export type ConnectorStore = Pick<Store<LinkOperations>, "run">;
