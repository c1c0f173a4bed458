import { type CliCommand, UsageError } from "@isthmus/shared/kernel/command";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { z } from "zod";
import { ask } from "./ask-service.ts";
import { listNotifications, type NotificationSummary } from "./notifications.ts";
import type { CertificateKernel } from "./service.ts";

const retryArgument = z.object({ id: z.number().int().positive().optional() });

/** What the command line asks of the running service about its outbox. */
export function notificationControls(kernel: Pick<CertificateKernel, "store" | "clock">) {
  return {
    "notification.list": () => listNotifications(kernel),
    "notification.retry": async (argument: unknown) => {
      const { id } = retryArgument.parse(argument);
      const at = kernel.clock.now();
      return { hurried: await kernel.store.run("hurryNotifications", { id, at }) };
    },
  };
}

const list: CliCommand = {
  name: "list",
  summary: "show what Intune or a webhook has still to be told, and what was refused",
  options: { config: CONFIG_OPTION },
  run: async (call) => {
    const answer = await ask(call.required("config"), "notification.list", {});
    const all = answer as NotificationSummary[];
    return { text: all.map(lineOf).join("\n") || "nothing waits", value: all };
  },
};

function lineOf(of: NotificationSummary): string {
  const since = new Date(of.createdAt).toISOString();
  const reason = of.message === null ? "" : `  ${of.code}: ${of.message}`;
  return `${of.id}  ${since}  ${of.state}  ${of.event}  ${of.target}  ${of.transactionId}  ${of.attempts} attempts${reason}`;
}

const retry: CliCommand = {
  name: "retry",
  summary: "send what waits now instead of after its back-off: one, or all",
  options: { config: CONFIG_OPTION },
  positionals: [{ name: "id", summary: "as `notifications list` shows it", isOptional: true }],
  run: async (call) => {
    const [text] = call.positionals;
    if (text !== undefined && !/^[1-9]\d{0,15}$/.test(text)) {
      throw new UsageError(`${text}: expected the number that \`notifications list\` shows`);
    }
    const id = text === undefined ? undefined : Number(text);
    const value = await ask(call.required("config"), "notification.retry", { id });
    const { hurried } = value as { hurried: number };
    const what = hurried === 1 ? "1 notification is" : `${hurried} notifications are`;
    return { text: `${what} sent now`, value };
  },
};

export const notificationCommands: CliCommand = {
  name: "notifications",
  summary: "what is told to Intune and webhooks about certificates",
  commands: [list, retry],
};
