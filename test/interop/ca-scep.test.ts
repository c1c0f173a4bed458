import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { formatName } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { STATIC_CHALLENGE, secretFile, startCaLab } from "./ca/lab.ts";
import { PeerProcess } from "./ca/peer-process.ts";
import { runPeer } from "./run-peer.ts";

/** The names of the request, for a server that can be told no others. */
const PROFILE = {
  challenge: { kind: "static", secretName: "closed" },
  subject: { template: "CN={{requestedCommonName}}" },
  keyUsage: ["digitalSignature"],
} as const;

const stack = new AsyncDisposableStack();
let folder: string;
let servers = 0;

beforeAll(() => {
  folder = stack.use(temporaryFolder()).path;
});
afterAll(() => stack.disposeAsync());

/** micromdm's SCEP server with an authority of its own; `words` are further options. */
async function scepServer(context: TestContext, ...words: string[]) {
  const path = peer("scepserver", context);
  const depot = join(folder, `depot-${servers++}`);
  const subject = ["-organization", `Upstream ${servers}`, "-years", "5", "-keySize", "2048"];
  await runPeer(path, ["ca", "-init", "-depot", depot, ...subject]);
  const port = await freePort();
  const options = ["-depot", depot, "-port", String(port), "-crtvalid", "20", "-allowrenew", "0"];
  const process = stack.use(new PeerProcess(path, [...options, ...words], folder));
  const url = `http://127.0.0.1:${port}/scep`;
  await process.answers(url, { path: "?operation=GetCACaps" });
  return { kind: "scep", urls: [url], issuerFile: join(depot, "ca.pem") };
}

test("micromdm's SCEP server answers to a message that we sign with the certificate for the device's key", async (context) => {
  const openssl = peer("openssl", context);
  const upstream = await scepServer(context);
  await using lab = await startCaLab(upstream, PROFILE);
  const request = await lab.request({ subject: "CN=device-7", challenge: STATIC_CHALLENGE });
  const answer = await lab.device.enrol(request);
  if (answer.status !== "SUCCESS") throw new Error(JSON.stringify(answer));
  const [certificate] = answer.certificates;
  if (certificate === undefined) throw new Error("no certificate");
  expect(formatName(certificate.subject)).toBe("CN=device-7");
  expect(certificate.publicKeyInfo).toEqual(request.signer.certificate.publicKeyInfo);
  const file = secretFile(folder, "device.pem", derToPem(certificate.der, "CERTIFICATE"));
  const verified = await runPeer(openssl, ["verify", "-CAfile", upstream.issuerFile, file]);
  expect(verified.text).toContain("OK");

  // The same message again is not asked for a second time.
  const again = await lab.device.enrol(request);
  expect(again.status === "SUCCESS" && again.certificates[0]?.der.equals(certificate.der)).toBe(
    true,
  );

  expect(await lab.revoke(certificate)).toMatchObject({ state: "by-hand" });
  expect(await lab.audited()).toContain("authority.revocation-by-hand");
  expect(await lab.check("authority-revocations")).toMatchObject({
    status: "warning",
    reason: expect.stringContaining(certificate.serialNumber),
  });
});

test("a challenge that the server wants has to be the device's own", async (context) => {
  const upstream = await scepServer(context, "-challenge", STATIC_CHALLENGE);
  await using lab = await startCaLab(upstream, PROFILE);
  const certificate = await lab.enrol({ subject: "CN=device-8", challenge: STATIC_CHALLENGE });
  expect(formatName(certificate.subject)).toBe("CN=device-8");
  await lab.configure({
    ...PROFILE,
    challenge: { kind: "signed" },
    subject: { template: "CN=device-9" },
  });
  await expect(lab.enrol({ subject: "CN=device-9" })).rejects.toThrow(
    /ca-refused: the SCEP server/,
  );
});

test("names that the request does not have cannot be had from a SCEP server", async (context) => {
  const upstream = await scepServer(context);
  await using lab = await startCaLab(upstream, { ...PROFILE, subject: { template: "CN=planned" } });
  const enrolled = lab.enrol({ subject: "CN=requested", challenge: STATIC_CHALLENGE });
  await expect(enrolled).rejects.toThrow(/ca-mismatch/);
});

test("another server's certificate on the way is not believed", async (context) => {
  const [upstream, other] = [await scepServer(context), await scepServer(context)];
  const issuerFile = secretFile(folder, "other.pem", readFileSync(other.issuerFile));
  await using lab = await startCaLab({ ...upstream, issuerFile }, PROFILE);
  const result = await until(async () => {
    const now = await lab.check("authority-elsewhere");
    return now?.status === "unhealthy" ? now : undefined;
  });
  expect(result.reason).toContain("none of its certificates is of the chain in issuerFile");
  await expect(lab.enrol({ challenge: STATIC_CHALLENGE })).rejects.toThrow(/ca-unavailable/);
});
