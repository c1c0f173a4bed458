import { readFileSync } from "node:fs";
import { type TestIdentity, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { formatName } from "@isthmus/shared/x509/name-text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EjbcaSimulator, startEjbcaSimulator } from "../simulators/ejbca/ejbca-simulator.ts";
import {
  type AuthorityFiles,
  keyPemOf,
  makeAuthorityFiles,
  makeServerFiles,
  pemOf,
} from "./ca/authority-files.ts";
import { secretFile, startCaLab } from "./ca/lab.ts";

const DAY_MS = 86_400_000;

const stack = new AsyncDisposableStack();
let folder: string;
let files: AuthorityFiles;
let tls: { cert: string; key: string; ca: string };
let client: { certificateFile: string; keyFile: string };

beforeAll(async () => {
  folder = stack.use(temporaryFolder()).path;
  files = await makeAuthorityFiles(folder);
  const server = await makeServerFiles(folder, files.root);
  const read = (file: string) => readFileSync(file, "utf8");
  tls = { cert: read(server.certificateFile), key: read(server.keyFile), ca: read(files.rootFile) };
  client = await clientFiles("ra", files.root);
});
afterAll(() => stack.disposeAsync());

async function clientFiles(name: string, issuer?: TestIdentity) {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS };
  const identity = await testCertificate(
    { subject: `CN=${name}`, serialNumber: "05", ...validity },
    issuer,
  );
  return {
    certificateFile: secretFile(folder, `${name}.pem`, pemOf(identity)),
    keyFile: secretFile(folder, `${name}.key`, keyPemOf(identity, "pkcs8")),
  };
}

async function ejbca(profile = { hasLdapDnOrder: false }): Promise<EjbcaSimulator> {
  return stack.use(await startEjbcaSimulator({ issuer: files.issuing, tls, profile }));
}

function configuration({ url }: EjbcaSimulator, changes: Record<string, unknown> = {}) {
  return {
    kind: "ejbca",
    urls: [url],
    caFile: files.rootFile,
    issuerFile: files.chainFile,
    client,
    authority: "Devices CA",
    certificateProfile: "DEVICE",
    endEntityProfile: "Devices",
    ...changes,
  };
}

describe("a certificate of EJBCA", () => {
  test("has the names of the challenge, whatever the request says, and is revoked there", async () => {
    const server = await ejbca();
    await using lab = await startCaLab(configuration(server));
    const certificate = await lab.enrol({ subject: "CN=administrator,O=Evil" });
    expect(formatName(certificate.subject)).toBe("CN=device-1,O=Example");
    expect(certificate.subjectAltNames).toEqual([
      { type: "uri", value: "urn:isthmus:device:device-1" },
      { type: "upn", value: "ada@example.com" },
    ]);
    expect(server.issued[0]?.username).toMatch(/^isthmus-[0-9a-f]{40}$/);
    expect(await lab.revoke(certificate)).toMatchObject({ state: "revoked" });
    expect([...server.revoked]).toEqual([[certificate.serialNumber, "KEY_COMPROMISE"]]);
  });

  test("keeps commas and plus signs of a name in their value", async () => {
    await using lab = await startCaLab(configuration(await ejbca()));
    const subject = 'CN=Ada\\, Countess\\+1,O=Example \\"Ltd\\"';
    expect(formatName((await lab.enrol({ challenge: { subject } })).subject)).toBe(subject);
  });

  test("in LDAP order, the default there, is not what was planned: revoked and refused", async () => {
    const server = await ejbca({ hasLdapDnOrder: true });
    await using lab = await startCaLab(configuration(server));
    await expect(lab.enrol()).rejects.toThrow(/ca-mismatch: .*its subject is another/);
    expect([...server.revoked.values()]).toEqual(["CESSATION_OF_OPERATION"]);
  });

  test("whose answer was lost is looked for by its end entity, and no second one is made", async () => {
    const server = await ejbca();
    await using lab = await startCaLab(configuration(server));
    const request = await lab.request();
    server.losesNextAnswer = "cut";
    expect((await lab.device.enrol(request)).status).toBe("PENDING");
    await lab.restart();
    await until(async () => (await lab.device.enrol(request)).status === "SUCCESS");
    expect(server.issued).toHaveLength(1);
    expect(server.requests).toContain("POST /ejbca/ejbca-rest-api/v1/certificate/search");
  });

  test("whose answer was lost is made again where the search is switched off", async () => {
    const server = await ejbca();
    await using lab = await startCaLab(configuration(server));
    const request = await lab.request();
    server.intercept = ({ path }) => (path.endsWith("/search") ? { status: 403 } : undefined);
    server.losesNextAnswer = "cut";
    expect((await lab.device.enrol(request)).status).toBe("PENDING");
    await lab.restart();
    await until(async () => (await lab.device.enrol(request)).status === "SUCCESS");
    expect(server.issued).toHaveLength(2);
    expect(new Set(server.issued.map(({ username }) => username)).size).toBe(1);
  });

  test("that somebody has to approve is waited for", async () => {
    const server = await ejbca();
    await using lab = await startCaLab(configuration(server));
    const request = await lab.request();
    server.needsApproval = true;
    expect((await lab.device.enrol(request)).status).toBe("PENDING");
    server.needsApproval = false;
    await until(async () => (await lab.device.enrol(request)).status === "SUCCESS");
    expect(server.issued).toHaveLength(1);
  });

  test("has the request's alternative names where there is no end entity API", async () => {
    const server = await ejbca();
    await using lab = await startCaLab(configuration(server, { names: "request" }), {
      challenge: { kind: "static", secretName: "closed" },
      subject: { template: "CN={{requestedCommonName}},O=Ours" },
    });
    const certificate = await lab.enrol({ challenge: "one password for all" });
    expect(formatName(certificate.subject)).toBe("CN=device-1,O=Ours");
    expect(server.requests).toContain("POST /ejbca/ejbca-rest-api/v1/certificate/pkcs10enroll");
  });
});

test("a client certificate that EJBCA does not know gets nothing, and shows in the health", async () => {
  const stranger = await clientFiles("stranger");
  await using lab = await startCaLab(configuration(await ejbca(), { client: stranger }));
  await until(async () => (await lab.check("authority-elsewhere"))?.status === "unhealthy");
  await expect(lab.enrol()).rejects.toThrow(/ca-unavailable/);
  expect((await lab.check("authority-elsewhere"))?.reason).toContain("403");
});
