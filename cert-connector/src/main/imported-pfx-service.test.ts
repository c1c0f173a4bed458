import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ImportedPfx, importedPfx } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestCertificateOptions,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import {
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { describe, expect, test } from "vitest";
import { createImportKey, readImportPublicKey } from "../ca/import-key.ts";
import { encodePkcs12 } from "../protocol/pkcs12-writer.ts";
import { openDelivery, type PfxConnector, startPfxConnector } from "../testing/pfx-fixture.ts";
import { deviceKey } from "../testing/scep-device.ts";
import { makeRecord, type UserPfxCertificate } from "./pfx-record.ts";

const code = (value: string) => expect.objectContaining({ code: value });
const ADA = "ada@example.com";
const MAIL_KEY = testRsaKey();

/** A mail certificate, valid whenever the test's clock stands. */
function mailCertificate(email: string, options: TestCertificateOptions = {}) {
  return testCertificate({
    key: MAIL_KEY,
    subject: "CN=Mail",
    notBefore: Date.UTC(2000),
    notAfter: Date.UTC(2040),
    extensions: [
      keyUsageExtension(["keyEncipherment"]),
      extendedKeyUsageExtension([OID.emailProtection]),
      subjectAltNameExtension([{ type: "email", value: email }]),
    ],
    ...options,
  });
}

async function writePfx(folder: string, email = ADA, options: TestCertificateOptions = {}) {
  const { certificate, key } = await mailCertificate(email, options);
  const content = {
    privateKey: key.export({ format: "der", type: "pkcs8" }),
    certificate: certificate.der,
    chain: [],
    localKeyId: Buffer.of(1),
  };
  const of = { format: "legacy", password: "weak" } as const;
  const file = join(folder, "mail.pfx");
  writeFileSync(file, await encodePkcs12(content, of, systemRandom));
  return file;
}

interface Wish {
  readonly email?: string;
  readonly user?: string;
  readonly publicKey?: KeyObject;
  readonly options?: TestCertificateOptions;
}

/** A connector with an import key, and the record that the import tool makes for it. */
async function withRecord(it: PfxConnector, wish: Wish = {}): Promise<UserPfxCertificate> {
  const place = { caFolder: it.kernel.local.ca.folder, name: "mail" };
  await createImportKey(place, readFileSync(it.kernel.local.ca.passphraseFile, "utf8"));
  return await makeRecord({
    file: await writePfx(it.folder, wish.email, wish.options),
    password: "weak",
    userPrincipalName: wish.user ?? ADA,
    intendedPurpose: "smimeEncryption",
    target: {
      publicKey: wish.publicKey ?? readImportPublicKey(place),
      keyName: "mail",
      providerName: "Isthmus",
      paddingScheme: "oaepSha512",
      format: "modern",
    },
    now: Date.now(),
  });
}

async function orderOf(it: PfxConnector, record: ImportedPfx | object) {
  const { serialNumber } = await it.enrol();
  return {
    requestId: "import-1",
    deviceId: "device-1",
    recipient: { kind: "issued", serialNumber },
    pfx: "encryptedPfxBlob" in record ? importedPfx.parse(record) : record,
  };
}

const audited = async (it: PfxConnector, event: string) =>
  (await it.kernel.store.query("SELECT 1 FROM audit_journal WHERE event = ?", [event], 9)).length;

describe("an imported PFX", () => {
  test("is encrypted to a device of its user, under another password than before", async () => {
    await using it = await startPfxConnector();
    const record = await withRecord(it);
    const recipient = await it.enrol();
    const order = await orderOf(it, record);
    const serialNumber = recipient.serialNumber;
    const to = { ...order, recipient: { kind: "issued", serialNumber } };
    const delivery = await it.command("pfx.deliver", to);
    const opened = await openDelivery(delivery, { certificate: recipient, key: deviceKey() });
    expect(opened.privateKey.equals(MAIL_KEY)).toBe(true);
    expect(opened.password).not.toBe("weak");
    expect(await audited(it, "pfx.re-encrypted")).toBe(1);
  });

  test("never goes to another user's device, whatever the control plane calls it", async () => {
    await using it = await startPfxConnector();
    // Eve's record says that it is Ada's device's user's: the certificate in the PFX says otherwise.
    const relabelled = await withRecord(it, { email: "eve@example.com" });
    const order = await orderOf(it, relabelled);
    await expect(it.command("pfx.deliver", order)).rejects.toThrow(code("pfx-owner"));
    const foreign = { ...order, pfx: { ...order.pfx, userPrincipalName: "eve@example.com" } };
    await expect(it.command("pfx.deliver", foreign)).rejects.toThrow(code("pfx-owner"));
    expect(await audited(it, "pfx.re-encryption-failed")).toBe(2);
  });

  test("goes to no certificate that the control plane had enrolled, unless the guardrails let it", async () => {
    await using it = await startPfxConnector({ importedPfxRecipients: undefined });
    const order = await orderOf(it, await withRecord(it));
    const { serialNumber } = await it.enrol();
    const recipient = { kind: "issued", serialNumber };
    const stolen = it.command("pfx.deliver", { ...order, recipient });
    await expect(stolen).rejects.toThrow(code("recipient-unknown"));
  });

  test("is refused to a recipient key that comes from the cloud alone", async () => {
    await using it = await startPfxConnector();
    const order = await orderOf(it, await withRecord(it));
    const { certificate } = await testCertificate({ key: testRsaKey() });
    const recipient = { kind: "listed", certificate: certificate.der.toString("base64") };
    const stolen = it.command("pfx.deliver", { ...order, recipient });
    await expect(stolen).rejects.toThrow(code("recipient-unknown"));
  });

  test("that was encrypted to another key, or holds another certificate, is told from that", async () => {
    await using it = await startPfxConnector();
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const order = await orderOf(it, await withRecord(it, { publicKey }));
    await expect(it.command("pfx.deliver", order)).rejects.toThrow(code("pfx-key"));
    const gone = { ...order, pfx: { ...order.pfx, keyName: "other" } };
    await expect(it.command("pfx.deliver", gone)).rejects.toThrow(code("import-key-unknown"));
  });

  test("may be kept on the connector itself, listed, delivered and removed", async () => {
    await using it = await startPfxConnector();
    // The administrator on this host says whose it is: its certificate need not.
    const record = await withRecord(it, { email: "function@example.com" });
    const { controls } = it.service;
    const stored = { record, intendedPurpose: "smimeEncryption", notAfter: Date.UTC(2040) };
    await controls?.["pfx.store"]?.(stored);
    const reference = { userPrincipalName: "ADA@example.com", thumbprint: record.thumbprint };
    expect(await controls?.["pfx.list"]?.({})).toMatchObject([{ userPrincipalName: ADA }]);
    const order = await orderOf(it, reference);
    expect((await it.command("pfx.deliver", order)).deviceId).toBe("device-1");
    expect(await controls?.["pfx.remove"]?.(reference)).toMatchObject({ state: "removed" });
    await expect(it.command("pfx.deliver", order)).rejects.toThrow(code("pfx-unknown"));
    expect(await controls?.["pfx.remove"]?.(reference)).toMatchObject({ state: "unknown" });
  });
});

describe("the import tool", () => {
  test("puts a random password in place of the person's, and shows neither", async () => {
    await using it = await startPfxConnector();
    const record = await withRecord(it);
    const original = readFileSync(join(it.folder, "mail.pfx")).toString("base64");
    expect(record.encryptedPfxBlob).not.toBe(original);
    expect(record).toMatchObject({ userPrincipalName: ADA, intendedPurpose: "smimeEncryption" });
    const { d = "" } = MAIL_KEY.export({ format: "jwk" });
    const blob = Buffer.from(record.encryptedPfxBlob, "base64");
    expect(blob.includes(Buffer.from(d, "base64url"))).toBe(false);
  });

  test("refuses a certificate that is of no use for its purpose", async () => {
    await using it = await startPfxConnector();
    const signing = { extensions: [keyUsageExtension(["digitalSignature"])] };
    await expect(withRecord(it, { options: signing })).rejects.toThrow(code("pfx-purpose"));
  });
});
