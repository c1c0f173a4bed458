import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sealPfx } from "@isthmus/cert-connector/protocol/pfx-envelope";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { openssl } from "./openssl-workshop.ts";
import { runPeer } from "./run-peer.ts";

/** A delivery as a device takes it: OpenSSL opens the envelope, then the PFX in it; NSS takes the PFX. */

const folder = temporaryFolder();
const file = (name: string) => join(folder.path, name);
let device: TestIdentity;
let delivered: TestIdentity;
let authority: TestIdentity;

beforeAll(async () => {
  authority = await testAuthority({ subject: "CN=CA", serialNumber: "01" });
  device = await testCertificate({ key: testRsaKey(), serialNumber: "02" }, authority);
  delivered = await testCertificate(
    { subject: "CN=delivered", key: testRsaKey(), serialNumber: "03" },
    authority,
  );
  writeFileSync(file("device.key"), device.key.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(file("device.pem"), derToPem(device.certificate.der, "CERTIFICATE"));
  const other = testRsaKey().export({ type: "pkcs8", format: "pem" });
  writeFileSync(file("other.key"), other);
});
afterAll(() => folder[Symbol.dispose]());

const decrypt = (context: TestContext, key: string, format: string) =>
  openssl(
    context,
    ...["cms", "-decrypt", "-inform", "DER", "-in", file(`${format}.p7m`)],
    ...["-inkey", file(key), "-out", file(`${format}.json`)],
  );

describe.each(["legacy", "modern"] as const)("a %s delivery", (format) => {
  test("opens with the device's key and no other, and holds its PFX and password", async (context) => {
    const identity = {
      privateKey: delivered.key,
      certificate: delivered.certificate,
      chain: [authority.certificate],
      friendlyName: "pkcs device",
    };
    const recipient = device.certificate;
    writeFileSync(
      file(`${format}.p7m`),
      await sealPfx(identity, { format, recipient }, systemRandom),
    );
    const described = await openssl(
      context,
      ...["cms", "-cmsout", "-print", "-inform", "DER", "-in", file(`${format}.p7m`), "-noout"],
    );
    expect(described).toMatch(/rsaesOaep/);
    expect(described).toMatch(/aes-256-cbc/);

    await decrypt(context, "other.key", format).catch(() =>
      writeFileSync(file(`${format}.json`), ""),
    );
    expect(readFileSync(file(`${format}.json`), "utf8")).not.toContain("pfx");
    await decrypt(context, "device.key", format);
    const { pfx, password } = JSON.parse(readFileSync(file(`${format}.json`), "utf8"));
    expect(password).toMatch(/^[A-Za-z0-9_-]{32}$/);
    writeFileSync(file("delivered.pfx"), Buffer.from(pfx, "base64"));

    const legacy = format === "legacy" ? ["-legacy"] : [];
    const words = ["pkcs12", "-in", file("delivered.pfx"), "-passin", `pass:${password}`];
    const key = await openssl(context, ...words, ...legacy, "-nocerts", "-nodes");
    expect(key).toContain("friendlyName: pkcs device");
    const certificates = await openssl(context, ...words, ...legacy, "-nokeys");
    expect(certificates).toMatch(/subject=CN = delivered/);

    mkdirSync(file(`nss-${format}`));
    const database = `sql:${file(`nss-${format}`)}`;
    await runPeer(peer("certutil", context), ["-N", "-d", database, "--empty-password"]);
    const into = ["-i", file("delivered.pfx"), "-d", database, "-W", password];
    expect((await runPeer(peer("pk12util", context), into)).text).toContain("SUCCESSFUL");
  });
});
