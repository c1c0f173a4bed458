import { ConnectorError } from "@isthmus/shared/errors";
import { type CommandHandler, commandHandler } from "@isthmus/shared/kernel/service-definition";
import { siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import type { Inventory } from "./inventory.ts";

const payload = siteCommandPayloads["site.refresh"];

/** `site.refresh`: reads devices from the site now. It reads only, so after a crash it is simply run again. */
export function refreshCommand(inventory: Inventory): CommandHandler<z.infer<typeof payload>> {
  return commandHandler({
    payload,
    async run({ source, resourceIds }, { signal }) {
      const devices = await inventory.refresh(source, "device", resourceIds.map(String), signal);
      if (devices !== undefined) return { source, devices };
      throw new ConnectorError(
        "source-not-read",
        `this bridge does not read ${source} now: it is not configured, or another bridge has its lease`,
      );
    },
  });
}
