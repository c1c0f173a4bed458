import type { CommandRunner } from "./command-runner.ts";
import type { InventoryDiffers, Lease } from "./inventory-messages.ts";
import type {
  HealthSnapshot,
  SignedAuditHead,
  SignedConfiguration,
  SignedTrust,
} from "./messages.ts";

/** What happened on the link that belongs into the audit journal or a counter. Codes and names only, never payloads. */
export type LinkEvent =
  | { readonly event: "link.connected"; readonly sessionNo: number }
  | { readonly event: "link.lost"; readonly code: string }
  /** The control plane wants no more attempts; a person has to act. */
  | { readonly event: "link.refused"; readonly code: string; readonly message: string }
  | {
      readonly event: "link.restored";
      readonly epoch: number;
      readonly forgottenCommands: number;
    }
  /** Something that claimed to be a command, configuration, trust or receipt and does not prove it. */
  | { readonly event: "link.statement-rejected"; readonly kind: string; readonly code: string }
  /** Commands are missing in the sequence; with `isVoid` the control plane claims that there are none. */
  | {
      readonly event: "link.command-gap";
      readonly from: number;
      readonly to: number;
      readonly isVoid: boolean;
    };

/** What a control plane says of inventory. */
export type InventoryMessage = Lease | InventoryDiffers;

/** What the link needs of whoever uses it. Statements arrive verified: signature, type and audience. */
export interface LinkHooks extends CommandRunner {
  /** Version of the desired configuration in force; 0 without one. */
  configurationVersion(): number;
  /** Puts a newer configuration in force. What it throws is reported as the refusal. */
  onConfiguration(configuration: SignedConfiguration, jws: string): Promise<void>;
  /** Pins the next tenant key. */
  onTrust(trust: SignedTrust, jws: string): Promise<void>;
  /** Keeps a receipt for the audit chain. */
  onCountersigned(head: SignedAuditHead, jws: string): Promise<void>;
  /** The head of the audit chain; undefined while it is empty. */
  auditHead(): Promise<{ readonly index: number; readonly hash: string } | undefined>;
  health(): Promise<HealthSnapshot>;
  /** Takes what is said of inventory. It is not signed, so it may make a connector read and send, and nothing else. */
  onInventory?(message: InventoryMessage): void;
  onEvent(event: LinkEvent): void;
}
