import type { Kernel } from "@isthmus/shared/kernel/service-definition";
import type { ActionGuardrails } from "../../config/action-guardrails.ts";
import type { LocalConfiguration } from "../../config/bridge-configuration.ts";
import type { ActionAllowance } from "../../core/actions/action-allowance.ts";
import type { MatchesPattern } from "../../core/actions/script-judgement.ts";
import type { QueryAllowance } from "../../core/query-allowance.ts";
import type { ActionSite } from "../../site/action-site.ts";
import type { AdminServiceClient, Asking } from "../../site/admin-service-client.ts";
import type { BridgeOperations } from "../../store/module.ts";

/** The guardrails as they are for one site. */
export type SiteAllowance = Omit<ActionGuardrails, "targets"> & Pick<ActionAllowance, "targets">;

/** What everything that acts at the site shares. */
export interface ActionParts {
  readonly kernel: Pick<
    Kernel<LocalConfiguration, unknown, BridgeOperations>,
    "store" | "clock" | "limits" | "link" | "log" | "signal" | "random"
  >;
  readonly siteCode: string;
  readonly client: AdminServiceClient;
  readonly site: ActionSite;
  readonly allowance: SiteAllowance;
  readonly queries: QueryAllowance;
  readonly matches: MatchesPattern;
  /** How a site writes the hash over a script's parameters. */
  readonly parameterHashCase: "lower" | "upper";
  /** How long after a request without an answer its operation may still turn up at the site. */
  readonly settleMs: number;
  readonly locks: ActionLocks;
  /** Reads the inventory of devices on which an application has come to its end. */
  readonly readAgain: (resourceIds: readonly number[], signal: AbortSignal) => Promise<void>;
}

/** One at a time for each action: what a command, its reconciliation and the watcher do to it. */
export class ActionLocks {
  readonly #tails = new Map<string, Promise<unknown>>();

  isHeld(id: string): boolean {
    return this.#tails.has(id);
  }

  /** Runs `act` once nobody else is at the action. */
  async hold<Result>(id: string, act: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(id) ?? Promise.resolve();
    const mine = before.then(act, act);
    this.#tails.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(id) === mine) this.#tails.delete(id);
    }
  }
}

/** For a person or a command that waits; `hint` for what goes on by itself. */
export function commandAsking(signal: AbortSignal): Asking {
  return { lane: "command", signal };
}
