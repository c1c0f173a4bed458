import type { KeyObject } from "node:crypto";
import type { PfxDelivery, SignedCommand } from "@isthmus/shared/link/messages";
import { commandContext } from "@isthmus/shared/testing/command-context";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { openEnvelope } from "../protocol/envelope-opening.ts";
import { parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import { identityIn, type Pkcs12Identity } from "../protocol/pkcs12-identity.ts";
import { parsePkcs12 } from "../protocol/pkcs12-reader.ts";
import { type KernelParts, startConnector } from "./connector-under-test.ts";
import { deviceKey, issued, makeRequest, ScepDevice } from "./scep-device.ts";

/** A running connector with a device that has its first certificate, for tests of what is encrypted to devices. */

export async function startPfxConnector(rules: NonNullable<KernelParts["rules"]> = {}) {
  const pfx = { format: "modern", keyType: "rsa-2048" };
  const profiles = [
    { id: "device" },
    { id: "pkcs", pfx },
    { id: "old", pfx: { format: "legacy" } },
    { id: "approved", pfx, approval: true },
  ];
  const it = await startConnector(profiles, {
    rules: { importedPfxRecipients: "ledger", ...rules },
  });
  const { service } = it;
  const scep = new ScepDevice(`${it.url}/scep/device`);
  const enrol = async (
    deviceId = "device-1",
    key: KeyObject = deviceKey(),
  ): Promise<Certificate> => {
    const of = { deviceId, subject: `CN=${deviceId}` };
    const challengePassword = await it.challenge(of);
    const content = { subject: parseNameText(`CN=${deviceId}`), challengePassword };
    return issued(await scep.enrol(await makeRequest(content, it.clock.now(), key)));
  };
  /** Runs a command as the link does once the guardrails let it through. */
  const command = async (kind: string, payload: unknown): Promise<PfxDelivery> => {
    const handler = service.commands[kind];
    if (handler === undefined) throw new Error(`no command ${kind}`);
    const context = commandContext({ id: "command-1" });
    return (await handler.run(handler.payload.parse(payload), context)) as PfxDelivery;
  };
  return { ...it, enrol, command };
}
export type PfxConnector = Awaited<ReturnType<typeof startPfxConnector>>;

/** An order for the device `device-1`, whose certificate receives it. */
export function pkcsOrder(
  recipient: Pick<Certificate, "serialNumber">,
  changes: Partial<SignedCommand["payload"] & object> = {},
) {
  return {
    requestId: "request-1",
    profileId: "pkcs",
    deviceId: "device-1",
    userPrincipalName: "ada@example.com",
    subject: "CN=device-1,OU=PKCS",
    recipient: { kind: "issued", serialNumber: recipient.serialNumber },
    ...changes,
  };
}

/** What a device does with a delivery: opens the envelope with its key, then the PFX with the password from inside. */
export async function openDelivery(
  { envelope }: Pick<PfxDelivery, "envelope">,
  { certificate, key }: { readonly certificate: Certificate; readonly key: KeyObject },
): Promise<Pkcs12Identity & { readonly pfx: Buffer; readonly password: string }> {
  const parsed = parseEnvelopedData(Buffer.from(envelope, "base64"));
  const sealed = sealedFor(parsed, [certificate])?.sealed;
  if (sealed === undefined) throw new Error("the envelope is not for this device");
  const { plaintext, isIntact } = openEnvelope(sealed, key);
  if (!isIntact) throw new Error("the envelope does not open with this key");
  const content = JSON.parse(Buffer.from(plaintext).toString("utf8"));
  const pfx = Buffer.from(content.pfx, "base64");
  const identity = identityIn(await parsePkcs12(pfx, content.password));
  return { ...identity, pfx, password: content.password };
}
