import { ConnectorError, codeOf } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import { type CommandHandler, commandHandler } from "@isthmus/shared/kernel/service-definition";
import {
  commandPayloads,
  type PfxDelivery,
  type PfxRecipient,
} from "@isthmus/shared/link/messages";
import type { z } from "zod";
import { type PkcsDelivery, PkcsIssuance } from "../core/pkcs-issuance.ts";
import type { Profile } from "../core/profile.ts";
import type { RecipientReference, RecipientRules } from "../core/recipient.ts";
import { sealPfx } from "../protocol/pfx-envelope.ts";
import { pkcsOutbox } from "../store/pkcs-outbox.ts";
import { deviceKeys } from "./device-keys.ts";
import { draftSealer } from "./draft-sealer.ts";
import type { CertificateConnector, CertificateKernel } from "./service.ts";

const payload = commandPayloads["certificate.pkcs"];
const FAILED = "pkcs.failed";
type PkcsCommand = z.infer<typeof payload>;
type Connector = Pick<
  CertificateConnector,
  "enrolments" | "ledger" | "authorities" | "configuration"
>;

/** Certificates whose keys are made here: by a command of the control plane, or of a person on this host. */
export function pkcsService(kernel: CertificateKernel, connector: Connector) {
  const { clock, random, local, store } = kernel;
  const { enrolments, ledger, authorities, configuration } = connector;
  const issuance = new PkcsIssuance({
    enrol: (request) => enrolments.enrol(request),
    ledger,
    outbox: pkcsOutbox(store),
    drafts: draftSealer(readSecretFile(local.ca.passphraseFile), random),
    newKey: deviceKeys(),
    sealDelivery: ({ format, recipient, ...identity }) =>
      sealPfx(identity, { format, recipient }, random),
    chainOf: (issuerKeyId) =>
      authorities.all
        .map((authority) => authority.issuer())
        .find(({ keyId }) => keyId === issuerKeyId)?.chain ?? [],
    rules: recipientRules(kernel),
    clock,
  });
  const issue = async (order: PkcsCommand, signal?: AbortSignal): Promise<PfxDelivery> => {
    const { requestId, profileId, recipient, ...grant } = order;
    const profile = requireProfile(configuration.profile(profileId), profileId);
    const wanted = { requestId, profile, grant, recipient: referenceOf(recipient) };
    return deliveryOf(await issuance.issue(wanted, signal));
  };
  const run = async (order: PkcsCommand, actor: string, signal?: AbortSignal) => {
    try {
      return await issue(order, signal);
    } catch (error) {
      const { requestId, profileId, deviceId } = order;
      const payload = { requestId, profileId, deviceId, actor, code: codeOf(error) };
      await store.run("recordAudit", { at: clock.now(), event: FAILED, payload });
      throw error;
    }
  };
  const command: CommandHandler<PkcsCommand> = commandHandler({
    payload,
    run: (order, { signal }) => run(order, "cloud", signal),
  });
  return { command, control: (argument: unknown) => run(payload.parse(argument), "local") };
}

/** To whom private keys may be encrypted here. */
export function recipientRules({
  guardrails,
}: Pick<CertificateKernel, "guardrails">): RecipientRules {
  const { ledger, thumbprints } = guardrails.recipients;
  return { fromLedger: ledger, listed: thumbprints };
}

export function referenceOf(recipient: PfxRecipient): RecipientReference {
  return recipient.kind === "issued"
    ? recipient
    : { kind: "listed", certificate: Buffer.from(recipient.certificate, "base64") };
}

export function deliveryOf({ envelope, ...delivery }: PkcsDelivery): PfxDelivery {
  return { ...delivery, envelope: Buffer.from(envelope).toString("base64") };
}

function requireProfile(profile: Profile | undefined, id: string): Profile {
  if (profile !== undefined) return profile;
  throw new ConnectorError("profile-unknown", `there is no profile "${id}" in force`);
}
