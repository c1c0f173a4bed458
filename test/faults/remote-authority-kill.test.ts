import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import {
  keyPemOf,
  makeAuthorityFiles,
  makeServerFiles,
  pemOf,
} from "../interop/ca/authority-files.ts";
import { secretFile } from "../interop/ca/lab.ts";
import { startEjbcaSimulator } from "../simulators/ejbca/ejbca-simulator.ts";
import { ConnectorProcess } from "./scep/connector-process.ts";
import { beginEnrolment } from "./scep/persistent-device.ts";

const DAY_MS = 86_400_000;

test("SIGKILL while a remote authority makes the certificate: the device gets that very one, and no second is made", async () => {
  using folder = temporaryFolder();
  const files = await makeAuthorityFiles(folder.path);
  const server = await makeServerFiles(folder.path, files.root);
  const ra = await testCertificate(
    { subject: "CN=ra", notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS },
    files.root,
  );
  const read = (file: string) => readFileSync(file, "utf8");
  await using ejbca = await startEjbcaSimulator({
    issuer: files.issuing,
    tls: {
      cert: read(server.certificateFile),
      key: read(server.keyFile),
      ca: read(files.rootFile),
    },
    profile: { hasLdapDnOrder: false },
  });
  const elsewhere = {
    kind: "ejbca",
    urls: [ejbca.url],
    caFile: files.rootFile,
    issuerFile: files.chainFile,
    client: {
      certificateFile: secretFile(folder.path, "ra.pem", pemOf(ra)),
      keyFile: secretFile(folder.path, "ra.key", keyPemOf(ra, "pkcs8")),
    },
    authority: "Devices CA",
    certificateProfile: "DEVICE",
    endEntityProfile: "Devices",
  };
  await using connector = new ConnectorProcess(join(folder.path, "connector"), {
    local: { authorities: { elsewhere } },
    profile: { ca: "elsewhere", validityDays: 30 },
  });
  const device = new ScepDevice(await connector.start());
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const { transaction } = await beginEnrolment(device, connector.challengeKey, key);
  const known = await device.server();

  ejbca.losesNextAnswer = "hang";
  const lost = device.send(transaction).catch(() => "lost");
  await until(() => ejbca.issued.length === 1, "a certificate at the authority", 30_000);
  await connector.kill();
  expect(await lost).toBe("lost");

  const again = new ScepDevice(await connector.start(), known);
  const answer = await until(
    async () => {
      const got = await again.send(transaction);
      return got.status === "PENDING" ? undefined : got;
    },
    "an answer that is final",
    30_000,
  );
  expect(answer.status === "SUCCESS" && answer.certificates[0]?.der).toEqual(
    ejbca.issued[0]?.certificate.der,
  );
  expect(ejbca.issued).toHaveLength(1);
  await connector.stop();
  expect(connector.run("audit", "verify")).toMatch(/\d/);
});
