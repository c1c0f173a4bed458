import { readFileSync } from "node:fs";
import { WebhookClient } from "../webhook/webhook-client.ts";
import type { CertificateKernel } from "./service.ts";

/** One client for each webhook of the local file; their connections go onto `resources`. */
export function openWebhooks(
  { local, clock, random }: Pick<CertificateKernel, "local" | "clock" | "random">,
  resources: AsyncDisposableStack,
): ReadonlyMap<string, WebhookClient> {
  return new Map(
    Object.entries(local.webhooks).map(([name, { caFile, notifyUrl, ...settings }]) => {
      const ca = caFile === undefined ? undefined : readFileSync(caFile, "utf8");
      const client = new WebhookClient({ ...settings, name, notifyUrl, ca }, { clock, random });
      return [name, resources.use(client)];
    }),
  );
}
