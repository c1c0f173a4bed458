import { ConnectorError } from "@isthmus/shared/errors";
import type { Notifier } from "../core/notification.ts";
import { IntuneCallError } from "./intune-client.ts";
import { intuneRefusal, isVague } from "./refusals.ts";
import type { ScepValidation } from "./scep-validation.ts";

/**
 * Tells a tenant what became of a request that it validated. A published code other than Success is final; anything else
 * that is not Success may pass.
 */
export function intuneNotifier(
  validationOf: (tenant: string) => ScepValidation | undefined,
): Notifier {
  return {
    notify: async (content, { name }) => {
      const validation = validationOf(name);
      if (validation === undefined) {
        throw new ConnectorError("tenant-unknown", `the local configuration has no tenant ${name}`);
      }
      const code =
        content.event === "success"
          ? await validation.notifySuccess(content.payload)
          : await validation.notifyFailure(content.payload);
      if (code === "Success") return;
      const refusal = intuneRefusal(code);
      if (!isVague(code)) throw refusal;
      throw new IntuneCallError(refusal.code, `tenant ${name}: ${refusal.message}`, true);
    },
  };
}
