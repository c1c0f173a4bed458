import type { CliCommand } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { driftWords } from "../core/drift-rounds.ts";
import { askBridge } from "./ask-bridge.ts";
import type { LeaseState } from "./lease-client.ts";
import type { KindStatus, SourceStatus } from "./sync-status.ts";

const status: CliCommand = {
  name: "status",
  summary: "show how far the synchronisation of each source is",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const sources = await askBridge<SourceStatus[]>(call, "sync.status");
    return { text: sources.map(textOf).join("\n") || "no source is read", value: sources };
  },
};

export const syncCommand: CliCommand = {
  name: "sync",
  summary: "the synchronisation of sites and other sources to the control plane",
  commands: [status],
};

function textOf({
  source,
  lease,
  backlogEntries,
  lastFault,
  leftOut,
  drift,
  kinds,
}: SourceStatus): string {
  const lines = [
    `${source}: ${leaseWords(lease)}; ${backlogEntries} entries wait for the control plane`,
    ...kinds.map((kind) => `  ${kindWords(kind)}`),
    ...Object.entries(leftOut).map(
      ([table, { message, code }]) => `  ${table} is left out: ${message} [${code}]`,
    ),
    ...drift.map((each) => `  a drift does not heal: ${driftWords(each)}`),
    ...(lastFault === undefined
      ? []
      : [
          `  last fault, at ${new Date(lastFault.at).toISOString()}: ${lastFault.message} [${lastFault.code}]`,
        ]),
  ];
  return lines.join("\n");
}

function leaseWords(lease: LeaseState): string {
  switch (lease.kind) {
    case "held":
      return "read by this bridge";
    case "elsewhere":
      return `read by ${lease.holder ?? "another bridge"}`;
    case "none":
      return "no lease yet";
  }
}

function kindWords({ kind, records, waiting, completeScans, read, expected }: KindStatus): string {
  const state =
    completeScans === 0 ? "not read whole yet" : `read whole ${timesWords(completeScans)}`;
  const deletions = waiting === 1 ? "1 deletion waits" : `${waiting} deletions wait`;
  const waits = waiting === 0 ? "" : `, ${deletions} for an approval`;
  return `${kind}: ${records} ${records === 1 ? "record" : "records"}, ${state}${progressWords(read, expected)}${waits}`;
}

function timesWords(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function progressWords(read: number | undefined, expected: number | undefined): string {
  if (read === undefined) return "";
  if (expected === undefined || expected <= 0) return `, ${read} read in this scan`;
  return `, this scan ${Math.min(100, Math.floor((100 * read) / expected))} %`;
}
