/** What passes between the store and those who command connectors. Times are ms since the epoch. */

/** A command as asked for; its seq comes when it is signed. */
export interface NewCommand {
  readonly id: string;
  readonly connectorId: string;
  readonly kind: string;
  readonly payload: unknown;
  /** Ids that this command replaces; they end as `cancelled` where they have not begun. */
  readonly supersedes?: readonly string[];
  /** Compact JWS of approvers. */
  readonly approvals?: readonly string[];
  readonly actor: string;
  readonly now: number;
  readonly notBefore: number;
  readonly expiresAt: number;
}

/** A command with its seq, ready to be signed. */
export interface UnsignedCommand {
  readonly id: string;
  readonly connectorId: string;
  readonly seq: number;
  readonly kind: string;
  readonly payload: unknown;
  readonly supersedes: readonly string[];
  readonly approvals: readonly string[];
  readonly actor: string;
  readonly issuedAt: number;
  readonly notBefore: number;
  readonly expiresAt: number;
}

export interface CommandCancellation {
  readonly id: string;
  /** Id of the `command.cancel` that is queued where the command may be at the connector already. */
  readonly cancelId: string;
  readonly actor: string;
  readonly now: number;
}

/** `ended`: it was over already. `withdrawn`: it never left. `requested`: the connector is asked. */
export type CancellationOutcome = "unknown-command" | "ended" | "withdrawn" | "requested";
