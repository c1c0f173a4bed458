import { createHash, type KeyObject } from "node:crypto";
import { canonicalJson } from "../canonical-json.ts";
import type { Clock } from "../clock.ts";
import { signJws, thumbprintOf, verifyJws } from "../link/jws.ts";
import {
  JWS_TYPES,
  type SignedApproval,
  type SignedCommand,
  signedApproval,
} from "../link/messages.ts";
import type { CommonGuardrails } from "./guardrails-file.ts";

/** What of a command an approver consents to. */
export type ApprovedCommand = Pick<SignedCommand, "id" | "aud" | "kind" | "payload" | "expiresAt">;

/** An approver's consent to exactly this command, as compact JWS. */
export function signApproval(command: ApprovedCommand, approverKey: KeyObject): Promise<string> {
  const approval: SignedApproval = {
    commandId: command.id,
    aud: command.aud,
    kind: command.kind,
    payloadSha256: payloadSha256(command.payload),
    expiresAt: command.expiresAt,
  };
  return signJws(approval, JWS_TYPES.approval, approverKey);
}

/** The names of the listed approvers who signed this command; any other signature counts for nothing. */
export async function approversOf(
  command: SignedCommand,
  approvers: CommonGuardrails["approvers"],
  clock: Clock,
): Promise<ReadonlySet<string>> {
  const names = await Promise.all(
    approvers.map(async ({ name, publicKey }) => {
      const signed = await Promise.all(
        command.approvals.map((jws) => isApproval(jws, command, publicKey, clock)),
      );
      // By key, so that one key listed under two names is one approver.
      return signed.includes(true) ? ([thumbprintOf(publicKey), name] as const) : undefined;
    }),
  );
  const byKey = new Map(names.filter((entry) => entry !== undefined));
  return new Set(byKey.values());
}

async function isApproval(
  jws: string,
  command: SignedCommand,
  publicKey: CommonGuardrails["approvers"][number]["publicKey"],
  clock: Clock,
): Promise<boolean> {
  try {
    const payload = await verifyJws(jws, JWS_TYPES.approval, [publicKey]);
    const approval = signedApproval.parse(payload);
    return (
      approval.commandId === command.id &&
      approval.aud === command.aud &&
      approval.kind === command.kind &&
      approval.payloadSha256 === payloadSha256(command.payload) &&
      approval.expiresAt >= clock.now()
    );
  } catch {
    return false;
  }
}

function payloadSha256(payload: unknown): string {
  return createHash("sha256").update(canonicalJson(payload)).digest("hex");
}
