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

/** One line for each check, with its remedy below it where there is something to do. */
export function checkLines(results: readonly CheckLine[]): string[] {
  return results.flatMap(({ name, status, reason, remedy }) => [
    `${MARKS[status]}  ${name}: ${reason}`,
    ...(remedy === undefined || status === "healthy" ? [] : [`      -> ${remedy}`]),
  ]);
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
