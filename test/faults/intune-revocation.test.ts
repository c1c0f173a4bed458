import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { issued, ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { formatName } from "@isthmus/shared/x509/name-text";
import { expect, test } from "vitest";
import { startTenant, tenantConfiguration } from "../interop/intune/tenant-fixture.ts";
import { runPeer } from "../interop/run-peer.ts";
import { peer } from "../peers.ts";
import type { IntuneSimulator } from "../simulators/intune/intune-simulator.ts";
import { beginIntuneEnrolment } from "./intune/waiting-device.ts";
import { ConnectorProcess } from "./scep/connector-process.ts";

/** One whole page of Intune. */
const REQUESTS = 500;
const AT_ONCE = 8;

test("500 revocations of one page are done and reported, though the connector is killed before its report", {
  timeout: 180_000,
}, async (context) => {
  const openssl = peer("openssl", context);
  using folder = temporaryFolder();
  const tenant = await startTenant(folder.path);
  await using simulator = tenant.simulator;
  const revocations = { everySeconds: 1, maxRequests: REQUESTS };
  const credential = tenant.credentials.certificate;
  await using connector = new ConnectorProcess(folder.path, {
    local: { tenants: { contoso: tenantConfiguration(tenant, credential, revocations) } },
    profile: { challenge: { kind: "intune", tenant: "contoso" } },
    limits: { "certificate-revocations": { max: 2 * REQUESTS, perMinutes: 60 } },
  });
  let url = await connector.start();
  const serials = await enrolAll(new ScepDevice(url), simulator);
  const killed = Promise.withResolvers<void>();
  simulator.onResults = async () => {
    simulator.onResults = () => undefined;
    await connector.kill();
    killed.resolve();
    return "lost" as const;
  };
  const issuerName = formatName(serials.issuer);
  for (const serialNumber of serials.numbers) {
    const caConfiguration = "embedded";
    simulator.revocations.ask({
      requestContext: serialNumber,
      serialNumber,
      issuerName,
      caConfiguration,
    });
  }
  await killed.promise;
  const { results } = simulator.revocations;
  expect(results.size).toBe(0);
  url = await connector.start();
  await until(() => results.size === REQUESTS, "all results", 60_000);
  expect([...results.values()].every((result) => result["succeeded"] === true)).toBe(true);
  expect(simulator.revocations.waiting).toBe(0);
  expect(simulator.violations).toEqual([]);

  const list = join(folder.path, "list.crl");
  const response = await fetch(`${new URL(url).origin}/crl/${serials.issuerKeyId}.crl`);
  writeFileSync(list, Buffer.from(await response.arrayBuffer()));
  const issuer = join(folder.path, "ca", "issuing.pem");
  const words = ["crl", "-inform", "DER", "-in", list, "-text", "-noout", "-CAfile", issuer];
  const { text } = await runPeer(openssl, words);
  expect(text).toContain("verify OK");
  const listed = [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, serial]) => serial);
  expect(listed.map((serial) => String(serial).toLowerCase()).sort()).toEqual(
    [...serials.numbers].sort(),
  );
  await connector.stop();
  checkStore(connector.storeFile);
});

/** Each revoked once, and not a list for each. */
function checkStore(file: string): void {
  using store = new DatabaseSync(file, { readOnly: true });
  const audited = (event: string) =>
    Number(
      store.prepare("SELECT count(*) AS n FROM audit_journal WHERE event = ?").get(event)?.["n"],
    );
  expect(audited("certificate.revoked")).toBe(REQUESTS);
  expect(audited("revocation-list.published")).toBeLessThan(8);
}

async function enrolAll(device: ScepDevice, simulator: IntuneSimulator) {
  const numbers: string[] = [];
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  let certificate: ReturnType<typeof issued> | undefined;
  const enrolSome = async () => {
    while (numbers.length < REQUESTS) {
      const place = numbers.push("") - 1;
      const transaction = await beginIntuneEnrolment(device, simulator, privateKey);
      const send = async () => {
        const answer = await device.send(transaction);
        return answer.status === "PENDING" ? undefined : answer;
      };
      certificate = issued(await until(send, "a certificate that Intune knows of", 60_000));
      numbers[place] = certificate.serialNumber;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, enrolSome));
  if (certificate === undefined) throw new Error("nothing was issued");
  const { issuer, authorityKeyIdentifier } = certificate;
  return { numbers, issuer, issuerKeyId: authorityKeyIdentifier?.toString("hex") ?? "" };
}
