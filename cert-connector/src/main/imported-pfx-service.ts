import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { type CommandHandler, commandHandler } from "@isthmus/shared/kernel/service-definition";
import {
  commandPayloads,
  type ImportedPfx,
  importedPfx,
  type PfxDelivery,
} from "@isthmus/shared/link/messages";
import { z } from "zod";
import { readImportKey } from "../ca/import-key.ts";
import {
  type ImportedPfxSource,
  INTENDED_PURPOSES,
  refuseOtherOwner,
} from "../core/imported-pfx.ts";
import { recipientFor } from "../core/recipient.ts";
import { decryptPfx, sha1Thumbprint } from "../protocol/imported-pfx.ts";
import { sealPfx } from "../protocol/pfx-envelope.ts";
import { storedPfx } from "../store/imported-pfx-operations.ts";
import { deliveryOf, recipientRules, referenceOf } from "./pkcs-service.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

const payload = commandPayloads["pfx.deliver"];
type DeliverCommand = z.infer<typeof payload>;

/** What the command line hands over to be kept. */
export const storeRequest = z.object({
  record: importedPfx,
  intendedPurpose: z.enum(INTENDED_PURPOSES),
  notAfter: z.number().int(),
});
const removal = importedPfx.pick({ userPrincipalName: true, thumbprint: true });

const DELIVERED = "pfx.re-encrypted";
const FAILED = "pfx.re-encryption-failed";

/** Own limit on one listing. */
const MAX_LISTED = 1_000;

/** Imported PFX files: kept as encrypted as they came, opened only to be encrypted to a device of their user. */
export function importedPfxService(
  kernel: CertificateKernel,
  { ledger }: Pick<CertificateConnector, "ledger">,
) {
  const { clock, random, store, local, guardrails } = kernel;
  const place = (name: string) => ({ caFolder: local.ca.folder, name });
  const keyNamed = (name: string) =>
    readImportKey(place(name), readSecretFile(local.ca.passphraseFile));

  const recordOf = async (
    pfx: DeliverCommand["pfx"],
  ): Promise<{ readonly record: ImportedPfx; readonly source: ImportedPfxSource }> => {
    if ("encryptedPfxBlob" in pfx) return { record: pfx, source: "control-plane" };
    const [row] = await store.query(
      "SELECT * FROM imported_pfx WHERE user_principal_name = ? AND thumbprint = ?",
      [pfx.userPrincipalName.toLowerCase(), pfx.thumbprint],
      1,
    );
    if (row !== undefined) return { record: storedPfx(row).record, source: "local" };
    throw new ConnectorError(
      "pfx-unknown",
      `no PFX ${pfx.thumbprint} of this user was imported here`,
    );
  };

  const reencrypt = async (order: DeliverCommand): Promise<PfxDelivery> => {
    const { requestId, deviceId, format } = order;
    const { record, source } = await recordOf(order.pfx);
    const rules = recipientRules(kernel);
    const isIssuedEnough = kernel.guardrails.importedPfxRecipients === "ledger";
    const known = {
      ledger,
      rules: { ...rules, fromLedger: rules.fromLedger && isIssuedEnough },
      now: clock.now(),
    };
    const { certificate: recipient } = await recipientFor(
      referenceOf(order.recipient),
      deviceId,
      known,
    );
    const identity = await decryptPfx(record, keyNamed(record.keyName));
    const { certificate } = identity;
    if (sha1Thumbprint(certificate.der) !== record.thumbprint) {
      throw new ConnectorError(
        "pfx-thumbprint",
        "the PFX holds another certificate than its record says",
      );
    }
    const { userPrincipalName } = record;
    const rule = guardrails.importedPfxOwner;
    refuseOtherOwner({ userPrincipalName, source, certificate, recipient, rule });
    const envelope = await sealPfx(identity, { format, recipient }, random);
    const { serialNumber, thumbprint, notAfter } = certificate;
    const delivery = { requestId, deviceId, serialNumber, thumbprint, notAfter, envelope };
    return deliveryOf({ ...delivery, recipientThumbprint: recipient.thumbprint });
  };

  /** Either way it is on record: who got which key when is what an audit asks first. */
  const deliver = async (order: DeliverCommand, actor: string): Promise<PfxDelivery> => {
    const { requestId, deviceId, pfx } = order;
    const { userPrincipalName, thumbprint } = pfx;
    const about = { requestId, deviceId, userPrincipalName, thumbprint, actor };
    try {
      const delivery = await reencrypt(order);
      const details = { ...about, recipientThumbprint: delivery.recipientThumbprint };
      await store.run("recordAudit", { at: clock.now(), event: DELIVERED, payload: details });
      return delivery;
    } catch (error) {
      const details = { ...about, code: codeOf(error) };
      await store.run("recordAudit", { at: clock.now(), event: FAILED, payload: details });
      throw error;
    }
  };

  const command: CommandHandler<DeliverCommand> = commandHandler({
    payload,
    run: (order) => deliver(order, "cloud"),
  });
  return {
    command,
    controls: {
      "pfx.deliver": (argument: unknown) => deliver(payload.parse(argument), "local"),
      "pfx.store": async (argument: unknown) => {
        const stored = storeRequest.parse(argument);
        // Opened once, so that what cannot be delivered later is refused now, to whoever has the file at hand.
        await decryptPfx(stored.record, keyNamed(stored.record.keyName));
        await store.run("storeImportedPfx", { ...stored, at: clock.now() });
        return { thumbprint: stored.record.thumbprint, state: "stored" };
      },
      "pfx.remove": async (argument: unknown) => {
        const of = { ...removal.parse(argument), at: clock.now() };
        const wasThere = await store.run("removeImportedPfx", of);
        return { thumbprint: of.thumbprint, state: wasThere ? "removed" : "unknown" };
      },
      "pfx.list": () =>
        store.query(
          `SELECT user_principal_name AS userPrincipalName, thumbprint, intended_purpose AS intendedPurpose,
             not_after AS notAfter FROM imported_pfx ORDER BY user_principal_name, thumbprint LIMIT ${MAX_LISTED}`,
          [],
          MAX_LISTED,
        ),
    },
  };
}
