import { chmodSync, existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { publicKeyOf } from "../link/jws.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { enrolmentKey, loadIdentity, storeIdentity } from "./identity.ts";
import { stateFolderAt } from "./state-folder.ts";

const tenantKey = { kty: "OKP", crv: "Ed25519", x: "a".repeat(43) } as const;
const answer = {
  connectorId: "connector-1",
  sub: "s",
  tenantKey,
  linkUrl: "wss://cloud.example/link",
  caPem: "PEM",
};

async function enrolled(path: string) {
  const folder = stateFolderAt(path);
  const key = enrolmentKey(folder);
  await storeIdentity(folder, { service: "cert-connector", answer, enrolledAt: 1 });
  return { folder, key };
}

test("an enrolment is there again with its key, which nobody else may read", async () => {
  using temporary = temporaryFolder();
  const { folder, key } = await enrolled(temporary.path);
  const identity = loadIdentity(folder, "cert-connector");
  expect(identity).toMatchObject({
    connectorId: "connector-1",
    linkUrl: answer.linkUrl,
    cloudCa: "PEM",
  });
  expect(identity && publicKeyOf(identity.privateKey)).toEqual(publicKeyOf(key));
  expect(statSync(folder.identityKeyFile).mode & 0o777).toBe(0o600);
  expect(existsSync(folder.pendingKeyFile)).toBe(false);
});

test("nobody has enrolled where there is nothing", () => {
  using temporary = temporaryFolder();
  expect(loadIdentity(stateFolderAt(temporary.path), "cert-connector")).toBeUndefined();
});

test("an enrolment whose answer was lost is tried again with the same key", () => {
  using temporary = temporaryFolder();
  const folder = stateFolderAt(temporary.path);
  const once = enrolmentKey(folder);
  expect(publicKeyOf(enrolmentKey(folder))).toEqual(publicKeyOf(once));
  expect(loadIdentity(folder, "cert-connector")).toBeUndefined();
});

test("a new enrolment has a new key and leaves no CA of the old one", async () => {
  using temporary = temporaryFolder();
  const { folder, key } = await enrolled(temporary.path);
  const next = enrolmentKey(folder);
  expect(publicKeyOf(next)).not.toEqual(publicKeyOf(key));
  expect(loadIdentity(folder, "cert-connector")?.connectorId).toBe("connector-1");
  const { caPem: _gone, ...publicCa } = answer;
  await storeIdentity(folder, { service: "cert-connector", answer: publicCa, enrolledAt: 2 });
  expect(loadIdentity(folder, "cert-connector")?.cloudCa).toBeUndefined();
});

test("another service's state folder is refused", async () => {
  using temporary = temporaryFolder();
  const { folder } = await enrolled(temporary.path);
  expect(() => loadIdentity(folder, "tunnel-gateway")).toThrow(
    expect.objectContaining({ code: "identity-other-service" }),
  );
});

test("a key that others may read is refused with what to do", async () => {
  using temporary = temporaryFolder();
  const { folder } = await enrolled(temporary.path);
  chmodSync(folder.identityKeyFile, 0o644);
  expect(() => loadIdentity(folder, "cert-connector")).toThrow(/mode 644.*chmod 600/);
});

test.each([
  ["a missing key", (file: string) => rmSync(file), "identity-key-missing"],
  ["a damaged key", (file: string) => writeFileSync(file, "x"), "state-file"],
])("%s is refused", async (_what, damage, code) => {
  using temporary = temporaryFolder();
  const { folder } = await enrolled(temporary.path);
  damage(folder.identityKeyFile);
  expect(() => loadIdentity(folder, "cert-connector")).toThrow(expect.objectContaining({ code }));
});
