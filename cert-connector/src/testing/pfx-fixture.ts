import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import type { PfxDelivery, SignedCommand } from "@isthmus/shared/link/messages";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { makeTestKernel } from "@isthmus/shared/testing/kernel";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { desiredConfiguration } from "../config/desired-configuration.ts";
import {
  deviceKey,
  issued,
  kernelOptions,
  makeChallenge,
  makeRequest,
  ScepDevice,
} from "../main/fixture.ts";
import type { CertificateKernel } from "../main/service.ts";
import { startCertConnector } from "../main/start.ts";
import { openEnvelope } from "../protocol/envelope-opening.ts";
import { parseEnvelopedData, sealedFor } from "../protocol/enveloped-data.ts";
import { identityIn, type Pkcs12Identity } from "../protocol/pkcs12-identity.ts";
import { parsePkcs12 } from "../protocol/pkcs12-reader.ts";
import type { CertificateOperations } from "../store/operations.ts";

/** A running connector with a device that has its first certificate, for tests of what is encrypted to devices. */

type Rules = NonNullable<NonNullable<Parameters<typeof kernelOptions>[2]>["rules"]>;

const tenant = generateKeyPairSync("ed25519").privateKey;

export async function startPfxConnector(rules: Rules = {}) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const options = await kernelOptions(path, new FakeClock(), {
    tenantKeys: [publicKeyOf(tenant)],
    rules,
  });
  const kernel = stack.use(
    await makeTestKernel<
      CertificateKernel["local"],
      CertificateKernel["guardrails"],
      CertificateOperations
    >({ ...options, local: options.local as unknown as CertificateKernel["local"] }),
  );
  const service = stack.use(await startCertConnector(kernel));
  const pfx = { format: "modern", keyType: "rsa-2048" };
  const profiles = [
    { id: "device" },
    { id: "pkcs", pfx },
    { id: "old", pfx: { format: "legacy" } },
    { id: "approved", pfx, approval: true },
  ];
  await service.applyConfiguration(desiredConfiguration.parse({ profiles }), 1);
  const scep = new ScepDevice(`${kernel.announced["scepUrl"]}/scep/device`);
  const enrol = async (
    deviceId = "device-1",
    key: KeyObject = deviceKey(),
  ): Promise<Certificate> => {
    const of = { deviceId, subject: `CN=${deviceId}` };
    const challengePassword = await makeChallenge(tenant, kernel.clock.now(), of);
    const content = { subject: parseNameText(`CN=${deviceId}`), challengePassword };
    return issued(await scep.enrol(await makeRequest(content, kernel.clock.now(), key)));
  };
  /** Runs a command as the link does once the guardrails let it through. */
  const command = async (kind: string, payload: unknown): Promise<PfxDelivery> => {
    const handler = service.commands[kind];
    if (handler === undefined) throw new Error(`no command ${kind}`);
    const context = { id: "command-1", signal: new AbortController().signal };
    return (await handler.run(handler.payload.parse(payload), context)) as PfxDelivery;
  };
  return {
    ...{ kernel, service, enrol, command, folder: path },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
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
