import { ConnectorError } from "@isthmus/shared/errors";
import { MAX_JWS_BYTES } from "@isthmus/shared/link/messages";

/** What a desired configuration may take so that its JWS fits. */
export const MAX_CONFIGURATION_BYTES = Math.floor((MAX_JWS_BYTES * 3) / 4) - 8_192;

/** Throws `configuration-too-large` for a configuration (JSON) that no connector could be sent. */
export function requireConfigurationFits(json: string, whose = "Configuration"): void {
  const bytes = Buffer.byteLength(json);
  if (bytes <= MAX_CONFIGURATION_BYTES) return;
  throw new ConnectorError(
    "configuration-too-large",
    `${whose} of ${bytes} bytes exceeds ${MAX_CONFIGURATION_BYTES}`,
  );
}
