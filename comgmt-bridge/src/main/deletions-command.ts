import { userInfo } from "node:os";
import { type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { RECORD_KINDS, recordKind } from "@isthmus/shared/link/inventory-messages";
import type { WaitingDeletion } from "../core/inventory-state.ts";
import { askBridge } from "./ask-bridge.ts";
import type { WaitingKind } from "./deletion-controls.ts";

/** Own limit on what a person is shown; `--json` has more. */
const MAX_SHOWN_KEYS = 10;

const list: CliCommand = {
  name: "list",
  summary: "show deletions that are too many to be made without an approval",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const kinds = await askBridge<WaitingKind[]>(call, "deletions.list");
    return { text: kinds.map(textOf).join("\n") || "no deletion waits", value: kinds };
  },
};

/** The bridge keeps hashes alone: the control plane, which has the records, knows their names. */
function textOf({ source, kind, records, waiting, approved, first }: WaitingKind): string {
  const shown = first.slice(0, MAX_SHOWN_KEYS);
  const more = waiting + approved - shown.length;
  const lines = [
    `${source} ${kind}: ${waiting} of ${records} records wait for an approval`,
    ...(approved > 0 ? [`  ${approved} are approved and go at the end of the next scan`] : []),
    ...shown.map(lineOf),
    ...(more > 0 ? [`  and ${more} more`] : []),
    `  their names: configurationManagerSites/${source}/waitingDeletions in the API, or the page of ${source} in the console`,
  ];
  return lines.join("\n");
}

function lineOf({ key, missedAt, since, approvedBy }: WaitingDeletion): string {
  const waits = since === undefined ? "" : `, waits since ${minuteOf(since)}`;
  const approval = approvedBy === undefined ? "" : `, approved by ${approvedBy}`;
  return `  ${key}: last missed ${minuteOf(missedAt)}${waits}${approval}`;
}

function minuteOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

const approve: CliCommand = {
  name: "approve",
  summary:
    "let the deletions of a kind that wait now be made at the end of the next scan, where the records are still missing",
  options: {
    config: CONFIG_OPTION,
    by: {
      type: "string",
      valueName: "NAME",
      summary: "who approves, for the audit; the user of this terminal unless given",
    },
  },
  positionals: [
    { name: "source", summary: "as `deletions list` shows it, e.g. a site code" },
    { name: "kind", summary: "device, user, collection, ..." },
  ],
  run: async (call) => {
    const [source = "", kind = ""] = call.positionals;
    if (!recordKind.safeParse(kind).success) {
      throw new UsageError(`${kind}: expected one of ${RECORD_KINDS.join(", ")}`);
    }
    const by = call.text("by") ?? userOfTerminal();
    const value = await askBridge<{ approved: number }>(call, "deletions.approve", {
      source,
      kind,
      by,
    });
    return {
      text: `${by} approved ${value.approved} deletions of ${source} ${kind}; they are made at the end of the next scan`,
      value: { ...value, by },
    };
  },
};

/** Under sudo the person behind it: `root` would say nothing. */
function userOfTerminal(): string {
  const behind = process.env["SUDO_USER"];
  if (behind !== undefined && behind !== "") return behind;
  try {
    return userInfo().username;
  } catch {
    // A container's user may have no name.
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

export const deletionsCommand: CliCommand = {
  name: "deletions",
  summary: "deletions at the source that are too many to be believed without an approval",
  commands: [list, approve],
};
