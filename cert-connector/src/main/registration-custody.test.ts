import { generateKeyPairSync } from "node:crypto";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { readAuthorityFolder } from "../ca/authority-folder.ts";
import { encryptedKeyCustody } from "../ca/registration-custody.ts";
import { makeAuthority } from "../testing/connector-under-test.ts";

test("a key counts only if it was encrypted under the CA's passphrase", async () => {
  using folder = temporaryFolder();
  const clock = new FakeClock();
  const ca = await makeAuthority(folder.path, clock);
  const files = readAuthorityFolder(ca.folder, "correct horse");
  const custody = encryptedKeyCustody(files, "correct horse", systemRandom);
  const { certificate, material } = await custody.make(clock.now());
  const stored = { id: "00", certificate, material };
  await expect(custody.load(stored)).resolves.toBeDefined();
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const plain = privateKey.export({ type: "pkcs8", format: "pem" });
  const cipher = "aes-256-cbc";
  const theirs = privateKey.export({ type: "pkcs8", format: "pem", cipher, passphrase: "theirs" });
  const old = privateKey.export({ type: "pkcs1", format: "pem", cipher, passphrase: "theirs" });
  for (const put of [plain, `${material}${plain}`, `${plain}${material}`, theirs, old]) {
    await expect(custody.load({ ...stored, material: put as string })).rejects.toMatchObject({
      code: "key-unreadable",
    });
  }
});
