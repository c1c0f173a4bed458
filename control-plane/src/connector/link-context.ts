import type { Clock } from "@isthmus/shared/clock";
import type { Random } from "@isthmus/shared/random";
import type { Logger } from "pino";
import type { ActionNews, ReceiptSigner, UnsignedCommands } from "../core/ports.ts";
import type { ConnectorStore } from "./connector-store.ts";
import type { IngestGate } from "./ingest-gate.ts";
import type { SessionRegistry } from "./session-registry.ts";

/** What all connections share. */
export interface LinkContext {
  readonly store: ConnectorStore;
  readonly signer: ReceiptSigner;
  readonly unsignedCommands: UnsignedCommands;
  readonly actionNews: ActionNews;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Host names and addresses that connectors may have dialled; empty where any is fine. */
  readonly names: ReadonlySet<string>;
  readonly sessions: SessionRegistry;
  readonly gate: IngestGate;
}
