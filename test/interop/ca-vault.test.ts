import { issued } from "@isthmus/cert-connector/testing/scep-device";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { parseCertificationRequest } from "@isthmus/shared/x509/certification-request";
import {
  basicConstraintsExtension,
  type Extension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { issueCertificate, publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { derToPem, pemToDer } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { JsonAnswer, JsonRequest } from "../simulators/json-server.ts";
import type { VaultRole } from "../simulators/vault/vault-role.ts";
import { startVaultSimulator, type VaultSimulator } from "../simulators/vault/vault-simulator.ts";
import { type AuthorityFiles, makeAuthorityFiles } from "./ca/authority-files.ts";
import { newDeviceKey, secretFile, startCaLab } from "./ca/lab.ts";

/** As docs/cert-connector/certification-authorities.md has it. */
const ROLE: VaultRole = {
  use_csr_common_name: false,
  use_csr_sans: false,
  server_flag: false,
  key_usage: ["digitalSignature", "keyEncipherment"],
  organization: ["Example"],
  allowed_uri_sans: ["urn:isthmus:device:*"],
  allowed_other_sans: [`${OID.userPrincipalName};UTF8:*`],
};
const DAY_MS = 86_400_000;

const stack = new AsyncDisposableStack();
let folder: string;
let files: AuthorityFiles;
let vault: VaultSimulator;

beforeAll(async () => {
  folder = stack.use(temporaryFolder()).path;
  files = await makeAuthorityFiles(folder);
});
beforeEach(async () => {
  const { issuing: issuer, root } = files;
  const roles = {
    devices: ROLE,
    strict: { ...ROLE, allowed_other_sans: [] },
    defaults: { allowed_uri_sans: ["*"] },
  };
  vault = stack.use(await startVaultSimulator({ issuer, root, roles, namespace: "mdm" }));
});
afterAll(() => stack.disposeAsync());

function configuration(changes: Record<string, unknown> = {}) {
  const roleIdFile = secretFile(folder, "role-id", `${vault.roleId}\n`);
  const secretIdFile = secretFile(folder, "secret-id", vault.secretId);
  return {
    kind: "vault",
    urls: [vault.url],
    issuerFile: files.chainFile,
    namespace: "mdm",
    role: "devices",
    login: { method: "approle", roleIdFile, secretIdFile },
    ...changes,
  };
}

describe("a certificate of Vault", () => {
  test("has the names of the challenge, whatever the request says, and is revoked there", async () => {
    await using lab = await startCaLab(configuration());
    const certificate = await lab.enrol({ subject: "CN=administrator,O=Evil" });
    expect(formatName(certificate.subject)).toBe("CN=device-1,O=Example");
    expect(certificate.subjectAltNames).toEqual([
      { type: "uri", value: "urn:isthmus:device:device-1" },
      { type: "upn", value: "ada@example.com" },
    ]);
    expect(await lab.revoke(certificate)).toMatchObject({ state: "revoked" });
    expect([...vault.revoked]).toEqual([certificate.serialNumber]);
  });

  test("is renewed with itself, and its chain is what GetCACert gives", async () => {
    await using lab = await startCaLab(configuration(), { renewalWindowPercent: 100 });
    const request = await lab.request();
    const first = issued(await lab.device.enrol(request));
    const signer = { certificate: first, privateKey: request.key };
    const second = issued(await lab.device.renew(await lab.request({ subject: "CN=new" }), signer));
    expect(second.serialNumber).not.toBe(first.serialNumber);
    expect(formatName(second.subject)).toBe("CN=device-1,O=Example");
    const chain = (await lab.device.caCertificates()).map(({ thumbprint }) => thumbprint);
    expect(chain).toContain(files.issuing.certificate.thumbprint);
    expect(chain).toContain(files.root.certificate.thumbprint);
  });

  test("of a role left at its defaults is wider than the plan: revoked and refused", async () => {
    await using lab = await startCaLab(configuration({ role: "defaults" }));
    await expect(lab.enrol()).rejects.toThrow(/ca-mismatch/);
    expect([...vault.revoked]).toEqual(vault.signed);
  });

  test("is not made where the role forbids a name", async () => {
    await using lab = await startCaLab(configuration({ role: "strict" }));
    await expect(lab.enrol()).rejects.toThrow(
      /ca-refused: Vault refuses: other SAN .* not allowed/,
    );
    expect(vault.signed).toEqual([]);
  });

  test("is had with a token from a file, too", async () => {
    const tokenFile = secretFile(folder, "token", vault.makeToken());
    await using lab = await startCaLab(configuration({ login: { method: "token", tokenFile } }));
    expect(formatName((await lab.enrol()).subject)).toBe("CN=device-1,O=Example");
    expect(vault.requests).not.toContain("POST /v1/auth/approle/login");
  });
});

describe("the session with Vault", () => {
  test("is one for many orders, and begun anew when its token was revoked", async () => {
    await using lab = await startCaLab(configuration());
    await lab.enrol();
    const logins = () => vault.requests.filter((each) => each === "POST /v1/auth/approle/login");
    const before = logins().length;
    await lab.enrol({ challenge: { deviceId: "device-2", subject: "CN=device-2,O=Example" } });
    expect(logins()).toHaveLength(before);
    vault.expireTokens();
    await lab.enrol({ challenge: { deviceId: "device-3", subject: "CN=device-3,O=Example" } });
    expect(logins()).toHaveLength(before + 1);
  });

  test("is renewed when half of its lease is over", async () => {
    await using lab = await startCaLab(configuration());
    await lab.enrol();
    lab.kernel.clock.advance(1_900_000);
    await lab.enrol({ challenge: { deviceId: "device-2", subject: "CN=device-2,O=Example" } });
    expect(vault.requests).toContain("POST /v1/auth/token/renew-self");
  });
});

describe("a remote CA that answers CA:true / other key / other names is refused and revoked", () => {
  const usual = [
    keyUsageExtension(["digitalSignature"]),
    extendedKeyUsageExtension([OID.clientAuth]),
  ];
  const names = subjectAltNameExtension([
    { type: "uri", value: "urn:isthmus:device:device-1" },
    { type: "upn", value: "ada@example.com" },
  ]);
  const evil = subjectAltNameExtension([{ type: "uri", value: "urn:isthmus:device:device-2" }]);

  test.each<[string, Extension[], { otherKey?: boolean; subject?: string; days?: number }]>([
    ["CA:true", [...usual, names, basicConstraintsExtension({ isCa: true })], {}],
    ["another key", [...usual, names], { otherKey: true }],
    ["another device's name", [...usual, evil], {}],
    ["another subject", [...usual, names], { subject: "CN=administrator" }],
    ["a longer validity", [...usual, names], { days: 60 }],
    ["any purpose", [names], {}],
  ])("%s", async (_, extensions, { otherKey, subject = "CN=device-1,O=Example", days = 10 }) => {
    vault.intercept = async ({ path, body }) => {
      if (!path.startsWith("/v1/pki/sign/")) return undefined;
      const { csr } = body as { csr: string };
      const [request] = pemToDer(csr, "CERTIFICATE REQUEST");
      const publicKeyInfo = otherKey
        ? publicKeyInfoOf(newDeviceKey())
        : parseCertificationRequest(request ?? Buffer.alloc(0)).publicKeyInfo;
      const der = await issueCertificate({
        subject: parseNameText(subject),
        issuer: { name: files.issuing.certificate.subject, key: files.issuing.key },
        publicKeyInfo,
        validity: { notBefore: Date.now() - 60_000, notAfter: Date.now() + days * DAY_MS },
        serialNumber: "7b",
        extensions,
      });
      vault.signed.push("7b");
      const certificate = derToPem(der, "CERTIFICATE");
      return { status: 200, body: { data: { certificate } } };
    };
    await using lab = await startCaLab(configuration());
    await expect(lab.enrol()).rejects.toThrow(/ca-mismatch/);
    expect([...vault.revoked]).toEqual(["7b"]);
    const rows = await lab.kernel.store.query(
      "SELECT 1 FROM enrolment WHERE state = 'issued'",
      [],
      1,
    );
    expect(rows).toEqual([]);
  });
});

describe("while Vault is away", () => {
  test("another authority of the same label issues, and the first again when it is back", async () => {
    const { issuing: issuer, root } = files;
    const roles = { devices: ROLE };
    await using second = await startVaultSimulator({ issuer, root, roles, namespace: "mdm" });
    const roleIdFile = secretFile(folder, "second-role-id", second.roleId);
    const secretIdFile = secretFile(folder, "second-secret-id", second.secretId);
    const labels = ["device-ca"];
    const other = configuration({
      labels,
      urls: [second.url],
      login: { method: "approle", roleIdFile, secretIdFile },
    });
    const first = configuration({ labels });
    await using lab = await startCaLab(first, { ca: "device-ca" }, { other });
    const enrol = (deviceId: string) =>
      lab.enrol({ challenge: { deviceId, subject: `CN=${deviceId},O=Example` } });

    await enrol("device-1");
    vault.isSealed = true;
    await lab.restart();
    await until(async () => (await lab.check("authority-elsewhere"))?.status === "unhealthy");
    const certificate = await enrol("device-2");
    expect([vault.signed.length, second.signed]).toEqual([1, [certificate.serialNumber]]);
    expect(await lab.revoke(certificate)).toMatchObject({ state: "revoked" });
    expect([...second.revoked]).toEqual([certificate.serialNumber]);

    vault.isSealed = false;
    await lab.restart();
    await until(async () => (await lab.check("authority-elsewhere"))?.status === "healthy");
    await enrol("device-3");
    expect([vault.signed.length, second.signed.length]).toEqual([2, 1]);
  });

  test("a device waits, and has its certificate when Vault is back", async () => {
    await using lab = await startCaLab(configuration());
    const request = await lab.request();
    vault.intercept = ({ path }) =>
      path.includes("/sign/") ? { status: 502, body: {} } : undefined;
    expect((await lab.device.enrol(request)).status).toBe("PENDING");
    expect(await lab.check("authority-elsewhere")).toMatchObject({ status: "unhealthy" });
    vault.intercept = undefined;
    // The next start asks for its health at once, and for what was left; otherwise both come with time.
    await lab.restart();
    const isIssued = async () => (await lab.device.enrol(request)).status === "SUCCESS";
    await until(isIssued);
    expect(vault.signed).toHaveLength(1);
    expect(await lab.check("authority-elsewhere")).toMatchObject({ status: "healthy" });
  });

  test("a revocation is told when it is back, also past a restart", async () => {
    const awayAt = ({ path }: JsonRequest): JsonAnswer | undefined =>
      path === "/v1/pki/revoke" ? { status: 503, body: { errors: ["away"] } } : undefined;
    await using lab = await startCaLab(configuration());
    const certificate = await lab.enrol();
    vault.intercept = awayAt;
    expect(await lab.revoke(certificate)).toMatchObject({ state: "later" });
    expect(await lab.audited()).not.toContain("authority.revoked");
    vault.intercept = undefined;
    await lab.restart();
    lab.kernel.clock.advance(31_000);
    await lab.restart();
    await until(async () => (await lab.audited()).includes("authority.revoked"));
    expect([...vault.revoked]).toEqual([certificate.serialNumber]);
  });
});
