import { type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { commandPayloads } from "@isthmus/shared/link/messages";
import { ask } from "./ask-service.ts";
import { challengeCommand } from "./challenge-command.ts";
import type { PendingSummary } from "./pending-requests.ts";

const revoke: CliCommand = {
  name: "revoke",
  summary: "revoke a certificate at the running service; its list is renewed at once",
  options: {
    config: CONFIG_OPTION,
    serial: { type: "string", valueName: "HEX", summary: "the serial number", isRequired: true },
    reason: {
      type: "string",
      summary: "as in RFC 5280 section 5.3.1",
      values: commandPayloads["certificate.revoke"].shape.reason.options,
      default: "unspecified",
    },
  },
  run: async (call) => {
    const serialNumber = call.required("serial").toLowerCase().replaceAll(":", "");
    if (!commandPayloads["certificate.revoke"].shape.serialNumber.safeParse(serialNumber).success) {
      throw new UsageError(`--serial ${serialNumber}: expected up to 40 hexadecimal digits`);
    }
    const reason = call.required("reason");
    const config = call.required("config");
    const value = await ask(config, "certificate.revoke", { serialNumber, reason });
    return { text: `${serialNumber} is revoked`, value };
  },
};

const listRequests: CliCommand = {
  name: "list",
  summary: "show the requests that wait for approval",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const waiting = (await ask(call.required("config"), "request.list", {})) as PendingSummary[];
    const lines = waiting.map(
      ({ id, profileId, deviceId, subject, requestedAt }) =>
        `${id}  ${new Date(requestedAt).toISOString()}  ${profileId}  ${deviceId ?? "-"}  ${subject}`,
    );
    return { text: lines.join("\n") || "no request waits", value: waiting };
  },
};

function decision(name: "approve" | "reject", summary: string): CliCommand {
  return {
    name,
    summary,
    options: { config: CONFIG_OPTION },
    positionals: [{ name: "id", summary: "as `request list` shows it" }],
    run: async (call) => {
      const [text = ""] = call.positionals;
      if (!/^[1-9]\d{0,14}$/.test(text)) {
        throw new UsageError(`${text}: expected the number that \`request list\` shows`);
      }
      const pendingId = Number(text);
      const value = await ask(call.required("config"), `request.${name}`, { pendingId });
      return { text: `request ${pendingId}: ${(value as { state: string }).state}`, value };
    },
  };
}

const request: CliCommand = {
  name: "request",
  summary: "requests of profiles that want a person's approval",
  commands: [
    listRequests,
    decision("approve", "issue it; the device gets it at its next poll"),
    decision("reject", "refuse it for good"),
  ],
};

export const serviceCommands: readonly CliCommand[] = [challengeCommand, revoke, request];
