import { generateKeyPairSync, hash } from "node:crypto";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { formatName } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { findStepCa } from "../setup/step-ca.ts";
import { type AuthorityFiles, makeAuthorityFiles } from "./ca/authority-files.ts";
import { type CaLab, secretFile, startCaLab } from "./ca/lab.ts";
import { ask, PeerProcess } from "./ca/peer-process.ts";
import { runPeer } from "./run-peer.ts";

/** As docs/cert-connector/certification-authorities.md has it. */
const TEMPLATE = `{
  "subject": {{ toJson .Token.isthmus.subject }},
  "sans": {{ toJson .Token.isthmus.sans }},
  "extensions": {{ toJson .Token.isthmus.extensions }}
}`;

const stack = new AsyncDisposableStack();
let folder: string;
let files: AuthorityFiles;
let server: { readonly url: string; readonly keyFile: string } | undefined;

beforeAll(async () => {
  folder = stack.use(temporaryFolder()).path;
  files = await makeAuthorityFiles(folder);
});
afterAll(() => stack.disposeAsync());

/** Started once, by the first test that has the program. */
async function stepCa(context: TestContext) {
  const path =
    findStepCa() ??
    missing("step-ca, built from golang-github-smallstep-certificates-dev", context);
  server ??= await startStepCa(path);
  return {
    kind: "step-ca",
    urls: [server.url],
    caFile: files.rootFile,
    issuerFile: files.chainFile,
    provisioner: "isthmus",
    keyFile: server.keyFile,
  };
}

async function startStepCa(path: string) {
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = publicKey.export({ format: "jwk" });
  const canonical = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y });
  const kid = hash("sha256", canonical, "buffer").toString("base64url");
  const provisioner = (name: string, template: string | undefined) => ({
    type: "JWK",
    name,
    key: { ...jwk, kid, alg: "ES256", use: "sig" },
    claims: { maxTLSCertDuration: "9600h" },
    ...(template !== undefined && { options: { x509: { template } } }),
  });
  const configuration = {
    root: files.rootFile,
    crt: files.issuingFile,
    key: files.issuingKeyFile,
    address: `127.0.0.1:${port}`,
    dnsNames: ["127.0.0.1"],
    logger: { format: "text" },
    db: { type: "bbolt", dataSource: join(folder, "step.db") },
    authority: {
      provisioners: [provisioner("isthmus", TEMPLATE), provisioner("plain", undefined)],
    },
  };
  const configurationFile = secretFile(folder, "ca.json", JSON.stringify(configuration));
  const process = stack.use(new PeerProcess(path, [configurationFile], folder));
  await process.answers(
    url,
    { path: "/health" },
    derToPem(files.root.certificate.der, "CERTIFICATE"),
  );
  const keyFile = secretFile(
    folder,
    "provisioner.jwk",
    JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid }),
  );
  return { url, keyFile };
}

/** Whether step-ca renews this certificate over mTLS, which it does until it is revoked. */
async function renewalStatus(lab: CaLab, certificate: Buffer, key: string): Promise<number> {
  const { urls } = lab.kernel.local.authorities["elsewhere"] as { urls: string[] };
  const answer = await ask(
    `${urls[0]}/1.0/renew`,
    { method: "POST" },
    derToPem(files.root.certificate.der, "CERTIFICATE"),
    {
      certificate:
        derToPem(certificate, "CERTIFICATE") +
        derToPem(files.issuing.certificate.der, "CERTIFICATE"),
      key,
    },
  );
  return answer.status;
}

test("step-ca's certificate has the names of the challenge, whatever the request says, and is revoked there", async (context) => {
  const openssl = peer("openssl", context);
  await using lab = await startCaLab(await stepCa(context));
  const request = await lab.request({ subject: "CN=administrator,O=Evil" });
  const answer = await lab.device.enrol(request);
  if (answer.status !== "SUCCESS") throw new Error(JSON.stringify(answer));
  const [certificate] = answer.certificates;
  if (certificate === undefined) throw new Error("no certificate");
  expect(formatName(certificate.subject)).toBe("CN=device-1,O=Example");
  expect(certificate.subjectAltNames).toEqual([
    { type: "uri", value: "urn:isthmus:device:device-1" },
    { type: "upn", value: "ada@example.com" },
  ]);

  const file = secretFile(folder, "device.pem", derToPem(certificate.der, "CERTIFICATE"));
  const words = [
    "verify",
    "-CAfile",
    files.rootFile,
    "-untrusted",
    files.issuingFile,
    "-purpose",
    "sslclient",
    file,
  ];
  expect((await runPeer(openssl, words)).text).toContain("OK");

  const key = request.key.export({ type: "pkcs8", format: "pem" }).toString();
  expect(await renewalStatus(lab, certificate.der, key)).toBe(201);
  expect(await lab.revoke(certificate)).toMatchObject({ state: "revoked" });
  expect(await renewalStatus(lab, certificate.der, key)).toBe(401);
  const told = async () => (await lab.audited()).filter((event) => event === "authority.revoked");
  expect(await told()).toHaveLength(1);

  // Told once more, as after a crash before the first answer was stored: that is no error.
  const { serialNumber, der, notAfter } = certificate;
  const revoke = {
    authority: "elsewhere",
    serialNumber,
    certificate: der,
    notAfter,
    reason: "keyCompromise",
  } as const;
  await lab.kernel.store.run("enrolmentRefused", {
    serialNumber: "00",
    at: lab.kernel.clock.now(),
    revoke,
  });
  lab.kernel.clock.advance(31_000);
  await lab.restart();
  await until(async () => (await told()).length === 2);
});

test("a certificate of step-ca's own default template is wider than the plan: revoked and refused", async (context) => {
  const configuration = await stepCa(context);
  await using lab = await startCaLab({ ...configuration, provisioner: "plain" });
  await expect(lab.enrol()).rejects.toThrow(/ca-mismatch/);
  expect(await lab.audited()).toContain("authority.revoked");
});

test("a provisioner's key that step-ca does not know gets nothing, and shows in the health", async (context) => {
  const configuration = await stepCa(context);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keyFile = secretFile(
    folder,
    "stranger.jwk",
    JSON.stringify(privateKey.export({ format: "jwk" })),
  );
  await using lab = await startCaLab({ ...configuration, keyFile });
  expect((await lab.device.enrol(await lab.request())).status).toBe("PENDING");
  expect(await lab.check("authority-elsewhere")).toMatchObject({
    status: "unhealthy",
    reason: expect.stringContaining("401"),
  });
});
