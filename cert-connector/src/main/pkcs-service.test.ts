import { generateKeyPairSync } from "node:crypto";
import {
  testCertificate,
  testKey,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { formatName } from "@isthmus/shared/x509/name-text";
import { describe, expect, test } from "vitest";
import { openDelivery, pkcsOrder, startPfxConnector } from "../testing/pfx-fixture.ts";
import { deviceKey } from "../testing/scep-device.ts";

/** Valid whenever the test's clock stands. */
const ANY_TIME = { notBefore: Date.UTC(2000), notAfter: Date.UTC(2040) };
const code = (value: string) => expect.objectContaining({ code: value });

describe("a certificate whose key is made here", () => {
  test("reaches the device in an envelope that its key opens", async () => {
    await using it = await startPfxConnector();
    const recipient = await it.enrol();
    const delivery = await it.command("certificate.pkcs", pkcsOrder(recipient));
    const device = { certificate: recipient, key: deviceKey() };
    const { certificate, chain, privateKey } = await openDelivery(delivery, device);
    expect(formatName(certificate.subject)).toBe("CN=device-1,OU=PKCS");
    expect(certificate.subjectAltNames).toEqual([
      { type: "uri", value: "urn:isthmus:device:device-1" },
      { type: "upn", value: "ada@example.com" },
    ]);
    expect(certificate.serialNumber).toBe(delivery.serialNumber);
    expect(certificate.thumbprint).toBe(delivery.thumbprint);
    expect(chain).toHaveLength(2);
    expect(privateKey.asymmetricKeyDetails?.modulusLength).toBe(2_048);
    expect(privateKey.equals(deviceKey())).toBe(false);
    const [{ front_door: frontDoor } = {}] = await it.kernel.store.query(
      "SELECT front_door FROM enrolment WHERE serial_number = ?",
      [delivery.serialNumber],
      1,
    );
    expect(frontDoor).toBe("pkcs");
  });

  test("is written in the format that its profile names", async () => {
    await using it = await startPfxConnector();
    const recipient = await it.enrol();
    const device = { certificate: recipient, key: deviceKey() };
    const order = pkcsOrder(recipient, { profileId: "old", requestId: "old" });
    const { pfx } = await openDelivery(await it.command("certificate.pkcs", order), device);
    expect(pfx.includes(Buffer.from("060a2a864886f70d010c0103", "hex"))).toBe(true);
  });

  test("is one certificate in one envelope, however often it is ordered", async () => {
    await using it = await startPfxConnector();
    const order = pkcsOrder(await it.enrol());
    const first = await it.command("certificate.pkcs", order);
    expect(await it.command("certificate.pkcs", order)).toEqual(first);
    const both = [it.command("certificate.pkcs", { ...order, requestId: "other" })];
    both.push(it.command("certificate.pkcs", { ...order, requestId: "other" }));
    const [one, two] = await Promise.all(both);
    expect(one).toEqual(two);
    expect(one?.serialNumber).not.toBe(first.serialNumber);
    const rows = await it.kernel.store.query(
      "SELECT 1 FROM enrolment WHERE front_door = 'pkcs'",
      [],
      9,
    );
    expect(rows).toHaveLength(2);
  });

  test("leaves no key behind, and none in the clear before", async () => {
    await using it = await startPfxConnector();
    const recipient = await it.enrol();
    const delivery = await it.command("certificate.pkcs", pkcsOrder(recipient));
    const device = { certificate: recipient, key: deviceKey() };
    const { privateKey } = await openDelivery(delivery, device);
    const [row = {}] = await it.kernel.store.query("SELECT * FROM pkcs_order", [], 1);
    expect(row).toMatchObject({ sealed_key: null, certification_request: null });
    const { d = "" } = privateKey.export({ format: "jwk" });
    const exponent = Buffer.from(d, "base64url");
    for (const value of Object.values(row)) {
      if (value instanceof Uint8Array) expect(Buffer.from(value).includes(exponent)).toBe(false);
    }
  });

  test("waits for a person where its profile says so, and is ordered again under the same id", async () => {
    await using it = await startPfxConnector();
    const order = pkcsOrder(await it.enrol(), { profileId: "approved" });
    const pending = { code: "pkcs-pending", isRetryable: true };
    await expect(it.command("certificate.pkcs", order)).rejects.toMatchObject(pending);
    await expect(it.command("certificate.pkcs", order)).rejects.toMatchObject(pending);
    const waiting = (await it.service.controls?.["request.list"]?.({})) as { id: number }[];
    expect(waiting).toHaveLength(1);
    await it.service.controls?.["request.approve"]?.({ pendingId: waiting[0]?.id });
    expect((await it.command("certificate.pkcs", order)).deviceId).toBe("device-1");
  });

  test("is refused for a profile that makes no keys, and for one that is not there", async () => {
    await using it = await startPfxConnector();
    const recipient = await it.enrol();
    const order = (profileId: string) =>
      it.command("certificate.pkcs", pkcsOrder(recipient, { profileId }));
    await expect(order("device")).rejects.toThrow(code("profile-not-pkcs"));
    await expect(order("nowhere")).rejects.toThrow(code("profile-unknown"));
    const failed = "SELECT 1 FROM audit_journal WHERE event = 'pkcs.failed'";
    expect(await it.kernel.store.query(failed, [], 9)).toHaveLength(2);
  });

  test("is refused to another device under the same request id", async () => {
    await using it = await startPfxConnector();
    await it.command("certificate.pkcs", pkcsOrder(await it.enrol()));
    const other = await it.enrol("device-2", testRsaKey());
    const stolen = pkcsOrder(other, { deviceId: "device-2" });
    await expect(it.command("certificate.pkcs", stolen)).rejects.toThrow(code("request-id-used"));
  });
});

describe("the recipient of a private key", () => {
  const listed = (certificate: Uint8Array) => ({
    recipient: { kind: "listed", certificate: Buffer.from(certificate).toString("base64") },
  });

  test("a recipient key that comes from the cloud alone is refused", async () => {
    await using it = await startPfxConnector();
    const own = await it.enrol();
    const { certificate } = await testCertificate({ key: testRsaKey() });
    const order = pkcsOrder(own, listed(certificate.der));
    await expect(it.command("certificate.pkcs", order)).rejects.toThrow(code("recipient-unknown"));
    const invented = pkcsOrder({ serialNumber: "0102" });
    await expect(it.command("certificate.pkcs", invented)).rejects.toThrow(
      code("recipient-unknown"),
    );
    const rows = await it.kernel.store.query("SELECT 1 FROM pkcs_order", [], 1);
    expect(rows).toEqual([]);
  });

  test("of another device is refused", async () => {
    await using it = await startPfxConnector();
    const other = await it.enrol("device-2", testRsaKey());
    const order = it.command("certificate.pkcs", pkcsOrder(other));
    await expect(order).rejects.toThrow(code("recipient-unknown"));
  });

  test("is refused once revoked, and once expired", async () => {
    await using it = await startPfxConnector();
    const recipient = await it.enrol();
    const { serialNumber } = recipient;
    const revocation = { serialNumber, reason: "superseded" };
    const fresh = await it.enrol("device-1", testRsaKey());
    await it.service.controls?.["certificate.revoke"]?.(revocation);
    const order = (of: typeof recipient) => it.command("certificate.pkcs", pkcsOrder(of));
    await expect(order(recipient)).rejects.toThrow(code("recipient-revoked"));
    it.kernel.clock.advance(366 * 86_400_000);
    await expect(order(fresh)).rejects.toThrow(code("recipient-expired"));
  });

  test("has to have a key that something can be encrypted to", async () => {
    const { certificate } = await testCertificate({ key: testKey(), ...ANY_TIME });
    const thumbprints = [certificate.thumbprint];
    await using it = await startPfxConnector({ recipients: { thumbprints } });
    const order = pkcsOrder(await it.enrol(), listed(certificate.der));
    await expect(it.command("certificate.pkcs", order)).rejects.toThrow(code("recipient-key"));
  });

  test("may be one that a person on the host has listed, or none but those", async () => {
    const key = generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey;
    const { certificate } = await testCertificate({ key, ...ANY_TIME });
    await using it = await startPfxConnector({
      recipients: { ledger: false, thumbprints: [certificate.thumbprint] },
    });
    const own = await it.enrol();
    const delivery = await it.command("certificate.pkcs", pkcsOrder(own, listed(certificate.der)));
    const opened = await openDelivery(delivery, { certificate, key });
    expect(opened.certificate.thumbprint).toBe(delivery.thumbprint);
    const order = it.command("certificate.pkcs", pkcsOrder(own, { requestId: "two" }));
    await expect(order).rejects.toThrow(code("recipient-unknown"));
  });
});
