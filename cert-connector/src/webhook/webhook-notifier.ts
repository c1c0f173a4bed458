import { ConnectorError } from "@isthmus/shared/errors";
import type { Notifier } from "../core/notification.ts";
import type { WebhookClient } from "./webhook-client.ts";

/**
 * Tells a web service what became of a request that it allowed. Any answer of 200 or 204 takes it; nothing that a service
 * says is final, so a fault there delays certificates and never revokes one.
 */
export function webhookNotifier(clientOf: (name: string) => WebhookClient | undefined): Notifier {
  return {
    notify: async ({ event, payload }, { name }) => {
      const client = clientOf(name);
      const address = client?.settings.notifyUrl;
      if (client === undefined || address === undefined) {
        throw new ConnectorError("webhook-unknown", `webhook ${name} has no notifyUrl`);
      }
      const type = event === "success" ? "certificate.issued" : "certificate.failed";
      await client.post(address, { type, ...payload });
    },
  };
}
