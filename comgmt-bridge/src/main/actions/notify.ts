import type { siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import { judgeNotification } from "../../core/actions/action-allowance.ts";
import { notificationType, notifyRequest } from "../../protocol/admin-service/action-requests.ts";
import type { ActionParts } from "./action-parts.ts";
import type { ActionKind } from "./action-runner.ts";

export type NotifyPayload = z.output<(typeof siteCommandPayloads)["site.notify"]>;

/** Client notifications. */
export function notifyKind({ allowance }: ActionParts): ActionKind<NotifyPayload> {
  return {
    window: ({ notification }) =>
      notification === "restart" ? "site-devices-restarted" : "site-devices-notified",
    isRestart: ({ notification }) => notification === "restart",
    judge: ({ notification }) => judgeNotification(notification, allowance),
    async prepare({ notification }, resourceIds) {
      const type = notificationType(notification);
      return {
        plan: { kind: "notify", notification, type },
        resourceIds,
        passedOver: [],
        request: (ids) => notifyRequest(type, ids),
        isOneByOne: false,
      };
    },
  };
}
