import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import type { CliCall, CliCommand } from "@isthmus/shared/kernel/command";
import { askRunningService } from "@isthmus/shared/kernel/control-socket";
import { CONFIG_OPTION } from "@isthmus/shared/kernel/local-configuration";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { holdStateFolder, stateFolderAt } from "@isthmus/shared/kernel/state-folder";
import { systemRandom } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { z } from "zod";
import { renewRegistration } from "../ca/renew-registration.ts";
import { recordCaAct } from "./ca-record.ts";
import { openAuthority } from "./hsm.ts";
import { loadLocal } from "./load-local.ts";

export const CA_RENEW_RA = "ca.renew-ra";

/** What the running service answers. */
export const renewedRegistration = z.object({ serialNumber: z.string(), validUntil: z.string() });
export type RenewedRegistration = z.infer<typeof renewedRegistration>;

export const renewRaCommand: CliCommand = {
  name: "renew-ra",
  summary:
    "give the SCEP RA a new key and certificate now; the one before is accepted for a while after",
  options: {
    config: CONFIG_OPTION,
    "same-key": {
      type: "boolean",
      summary: "a new certificate for the key that is there; the service must be stopped",
    },
  },
  run: renewRa,
};

async function renewRa(call: CliCall) {
  const config = call.required("config");
  const { controlSocket } = stateFolderAt(loadLocal(config).stateFolder);
  const keepsKey = call.flag("same-key");
  const asked = keepsKey ? undefined : await askRunningService(controlSocket, CA_RENEW_RA);
  const value =
    asked === undefined
      ? await renewStopped(config, keepsKey)
      : renewedRegistration.parse(asked.result);
  const text = `The RA's certificate is now ${value.serialNumber}, until ${value.validUntil}.`;
  return { text, value };
}

/** In the folder: what the service finds there at its next start. */
async function renewStopped(config: string, keepsKey: boolean): Promise<RenewedRegistration> {
  const local = loadLocal(config);
  await using resources = new AsyncDisposableStack();
  let der: Buffer;
  {
    using _held = holdStateFolder(stateFolderAt(local.stateFolder));
    const { files } = await openAuthority(local, resources);
    const passphrase = readSecretFile(local.ca.passphraseFile);
    const parts = { keepsKey, clock: systemClock, random: systemRandom };
    der = await renewRegistration({ files, passphrase, ...parts });
  }
  const renewed = describeRenewed(parseCertificate(der));
  await recordCaAct(config, { event: "ca.ra-renewed", payload: renewed });
  return renewed;
}

export function describeRenewed({ serialNumber, notAfter }: Certificate): RenewedRegistration {
  return { serialNumber, validUntil: new Date(notAfter).toISOString() };
}

/** Of a renewal that was asked for and did not come about, e.g. because another replica has to load the key first. */
export function notRenewed(): ConnectorError {
  return new ConnectorError(
    "ra-not-renewed",
    "the RA's certificate is still the one before: its successor is made, or will be, and published once every replica has it; the log says more",
    { isRetryable: true },
  );
}
