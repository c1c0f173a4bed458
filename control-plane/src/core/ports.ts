import type {
  EnrolmentAnswer,
  SignedAuditHead,
  SignedCommand,
  SignedConfiguration,
} from "@isthmus/shared/link/messages";
import type { RecordOperations, Session } from "./admin-records.ts";
import type { ListedRow, ListQuery } from "./list-query.ts";
import type { ScepChallenge } from "./scep-challenge.ts";

/** What core and the adapters need done by each other; `main.ts` puts the pieces together. */

/** Told by whoever has put a signed command or configuration into the store, so that its delivery need not wait. */
export interface CommandWakeUp {
  /** A hint, cheap and never failing: nothing is lost without it, only later. */
  wake(connectorId: string): void;
}

/** The link, for those who change what a connector may do. */
export interface LinkControl extends CommandWakeUp {
  /** Ends a connector's session; it is judged anew when it comes back. */
  disconnect(connectorId: string): void;
}

/** Told by whoever has put unsigned commands into the store (ingest and welcome do that too). */
export interface UnsignedCommands {
  /** A hint like `wake`: the signing loop looks at the store now. */
  nudge(): void;
}

/** Told by whoever has stored news of actions at sites, so that those who follow one need not look all the time. */
export interface ActionNews {
  /** A hint like `wake`. */
  tell(actionIds: readonly string[]): void;
}

/** The public half of the tenant key, as connectors pin it. */
export interface TenantKey {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
}

/** The part of the signer that the link endpoint uses. Every method throws a retryable error while the signer is away. */
export interface ReceiptSigner {
  /** The tenant key in force. */
  tenantKey(): Promise<TenantKey>;
  /** A receipt for an audit head, compact JWS. */
  signAuditHead(head: SignedAuditHead): Promise<string>;
  /** The answer to an enrolment, compact JWS. */
  signEnrolment(answer: EnrolmentAnswer): Promise<string>;
}

/** The whole signer: typed statements only, nothing else can be signed. */
export interface Signer extends ReceiptSigner {
  signCommand(command: SignedCommand): Promise<string>;
  signConfiguration(configuration: SignedConfiguration): Promise<string>;
  signChallenge(challenge: ScepChallenge): Promise<string>;
}

/** The store, for those who act for administrators. */
export interface Records {
  run<Name extends keyof RecordOperations>(
    name: Name,
    argument: Parameters<RecordOperations[Name]>[0],
  ): Promise<ReturnType<RecordOperations[Name]>>;
  /** The rows of one page, and one more where there is a next page. */
  page(query: ListQuery, properties: readonly string[]): Promise<ListedRow[]>;
  count(query: ListQuery): Promise<number>;
  /** The session that a bearer token opened, while it lasts and its account is active. */
  session(tokenHash: string): Promise<Session | undefined>;
}
