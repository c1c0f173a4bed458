import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { formatName } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { type AuthorityFiles, makeAuthorityFiles } from "./ca/authority-files.ts";
import { HOST_PROFILE, STATIC_CHALLENGE, secretFile, startCaLab } from "./ca/lab.ts";
import { PeerProcess } from "./ca/peer-process.ts";
import { runPeer } from "./run-peer.ts";

const AUTH_KEY = "0123456789abcdef0123456789abcdef";
/** The request's subject and names are not taken: as docs/cert-connector/certification-authorities.md has it. */
const KEY_ONLY = {
  Subject: false,
  PublicKey: true,
  PublicKeyAlgorithm: true,
  SignatureAlgorithm: true,
};
const stack = new AsyncDisposableStack();
let folder: string;
let files: AuthorityFiles;
let server: { readonly url: string; readonly databaseFile: string } | undefined;

beforeAll(async () => {
  folder = stack.use(temporaryFolder()).path;
  files = await makeAuthorityFiles(folder);
});
afterAll(() => stack.disposeAsync());

async function cfssl(context: TestContext, changes: Record<string, unknown> = {}) {
  const path = peer("cfssl", context);
  server ??= await startCfssl(path);
  const { url } = server;
  const authKeyFile = secretFile(folder, "auth-key", AUTH_KEY);
  const common = {
    kind: "cfssl",
    urls: [url],
    issuerFile: files.chainFile,
    profile: "device",
    authKeyFile,
  };
  return { ...common, ...changes };
}

async function startCfssl(path: string) {
  const databaseFile = join(folder, "cfssl.db");
  makeDatabase(databaseFile);
  const profile = (usages: string[], further: Record<string, unknown>) => ({
    usages,
    expiry: "720h",
    auth_key: "isthmus",
    ...further,
  });
  const usages = ["digital signature", "key encipherment", "client auth"];
  const configuration = {
    auth_keys: { isthmus: { type: "standard", key: AUTH_KEY } },
    signing: {
      default: profile(usages, {}),
      profiles: {
        device: profile(usages, { CSRWhitelist: KEY_ONLY }),
        server: profile([...usages, "server auth"], { CSRWhitelist: KEY_ONLY }),
      },
    },
  };
  const port = await freePort();
  const words = [
    ...["serve", "-address=127.0.0.1", `-port=${port}`],
    ...[`-ca=${files.issuingFile}`, `-ca-key=${files.issuingKeyFile}`],
    `-config=${secretFile(folder, "cfssl.json", JSON.stringify(configuration))}`,
    `-db-config=${secretFile(folder, "db.json", JSON.stringify({ driver: "sqlite3", data_source: databaseFile }))}`,
  ];
  const process = stack.use(new PeerProcess(path, words, folder));
  const url = `http://127.0.0.1:${port}`;
  await process.answers(url, { method: "POST", path: "/api/v1/cfssl/info", body: '{"label":""}' });
  return { url, databaseFile };
}

/** The tables of CFSSL's own migration. */
function makeDatabase(file: string): void {
  using database = new DatabaseSync(file);
  database.exec(`
    CREATE TABLE certificates (
      serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob, status blob NOT NULL,
      reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
      PRIMARY KEY (serial_number, authority_key_identifier));
    CREATE TABLE ocsp_responses (
      serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL, expiry timestamp,
      PRIMARY KEY (serial_number, authority_key_identifier));`);
}

function statusAtCfssl(): string[] {
  using database = new DatabaseSync(server?.databaseFile ?? "", { readOnly: true });
  const rows = database.prepare("SELECT status, reason FROM certificates ORDER BY expiry").all();
  return rows.map(({ status, reason }) => `${status} ${reason}`);
}

test("CFSSL's certificate has the names of the profile, whatever the request says, and is revoked there", async (context) => {
  const openssl = peer("openssl", context);
  await using lab = await startCaLab(await cfssl(context), HOST_PROFILE);
  const certificate = await lab.enrol({
    subject: "CN=device-1,OU=Evil,O=Evil",
    challenge: STATIC_CHALLENGE,
  });
  expect(formatName(certificate.subject)).toBe("CN=device-1,O=Example");
  expect(new Set(certificate.subjectAltNames)).toEqual(
    new Set([
      { type: "dns", value: "device-1.example.com" },
      { type: "email", value: "ada@example.com" },
    ]),
  );

  const file = secretFile(folder, "device.pem", derToPem(certificate.der, "CERTIFICATE"));
  const words = ["verify", "-CAfile", files.rootFile, "-untrusted", files.issuingFile, file];
  expect((await runPeer(openssl, words)).text).toContain("OK");

  expect(await lab.revoke(certificate)).toMatchObject({ state: "revoked" });
  expect(statusAtCfssl()).toEqual(["revoked 1"]);
  expect(await lab.audited()).toContain("authority.revoked");
});

test("CFSSL makes of a device's URI a host name: revoked there and refused", async (context) => {
  await using lab = await startCaLab(await cfssl(context));
  const enrolled = lab.enrol({
    challenge: { userPrincipalName: undefined, subject: "CN=device-1" },
  });
  await expect(enrolled).rejects.toThrow(/ca-mismatch/);
  expect(statusAtCfssl().filter((status) => status.startsWith("revoked 5"))).toHaveLength(1);
});

test("what CFSSL cannot be told is refused before it makes a certificate", async (context) => {
  await using lab = await startCaLab(await cfssl(context));
  const before = statusAtCfssl();
  await expect(lab.enrol()).rejects.toThrow(/ca-names/);
  await lab.configure({ ...HOST_PROFILE, subject: { template: "CN=device-1,DC=example,DC=com" } });
  await expect(lab.enrol({ challenge: STATIC_CHALLENGE })).rejects.toThrow(/ca-subject/);
  expect(statusAtCfssl()).toEqual(before);
});

test("a profile there with further usages is not taken", async (context) => {
  const configuration = await cfssl(context, { profile: "server" });
  await using lab = await startCaLab(configuration, HOST_PROFILE);
  await expect(lab.enrol({ challenge: STATIC_CHALLENGE })).rejects.toThrow(/ca-mismatch/);
});

test("a wrong key of the profile is refused", async (context) => {
  const authKeyFile = secretFile(folder, "other-key", AUTH_KEY.replace("0", "f"));
  await using lab = await startCaLab(await cfssl(context, { authKeyFile }), HOST_PROFILE);
  const enrolled = lab.enrol({ challenge: STATIC_CHALLENGE });
  await expect(enrolled).rejects.toThrow(/ca-refused: .*invalid token/);
});
