import type { Service } from "../link/messages.ts";
import type { ConnectorStatus } from "./connector-control.ts";
import type { CheckStatus } from "./service-definition.ts";

const MARKS = { healthy: "ok  ", warning: "warn", unhealthy: "FAIL", unknown: "?   " } as const;

interface CheckLine {
  readonly name: string;
  readonly status: CheckStatus;
  readonly reason: string;
  readonly remedy?: string | undefined;
}

/**
 * One line for each check, with its remedy below it where there is something to do. Checks in a row that were not made, for the
 * same reason, share a line, so that the one that failed is not lost above them.
 */
export function checkLines(results: readonly CheckLine[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < results.length; ) {
    const first = results[index];
    if (first === undefined) break;
    const alike = first.status === "unknown" ? alikeFrom(results, index, first) : 1;
    const { name, status, reason, remedy } = first;
    const others = alike === 1 ? "" : ` and ${alike - 1} more`;
    lines.push(`${MARKS[status]}  ${name}${others}: ${reason}`);
    if (remedy !== undefined && status !== "healthy") lines.push(`      -> ${remedy}`);
    index += alike;
  }
  return lines;
}

/** How many from `start` on are in the same state for the same reason. */
function alikeFrom(results: readonly CheckLine[], start: number, first: CheckLine): number {
  const { status, reason, remedy } = first;
  const end = results.findIndex(
    (one, index) =>
      index > start && (one.status !== status || one.reason !== reason || one.remedy !== remedy),
  );
  return (end === -1 ? results.length : end) - start;
}

/** What `status` prints for a person. */
export function describeStatus(service: Service, status: ConnectorStatus): string {
  const { health, link, listeners, awaitingApproval } = status;
  const lines = [
    `${service} ${health.version} runs as ${status.connectorId} (pid ${status.pid}, since ${new Date(health.startedAt).toISOString()})`,
    `desired configuration: ${status.configurationVersion === 0 ? "none" : status.configurationVersion}`,
    `guardrails: ${status.guardrails}`,
  ];
  if (link !== undefined) {
    lines.push(`control plane: ${link.connected ? "connected" : "not connected"}`);
  }
  for (const [name, url] of Object.entries(listeners)) lines.push(`${name}: ${url}`);
  for (const [name, value] of Object.entries(health.figures)) lines.push(`${name}: ${value}`);
  if (awaitingApproval.length > 0) {
    lines.push(`${awaitingApproval.length} commands wait for approval: see \`${service} approve\``);
  }
  return [...lines, ...checkLines(health.checks)].join("\n");
}
