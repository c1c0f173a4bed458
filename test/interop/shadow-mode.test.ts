import { createPrivateKey, generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ShadowFigures } from "@isthmus/cert-connector/core/shadow-figures";
import { parseSignedData } from "@isthmus/cert-connector/protocol/signed-data";
import {
  makeAuthority,
  startConnector,
} from "@isthmus/cert-connector/testing/connector-under-test";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { freePort } from "@isthmus/shared/testing/free-port";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { expect, test } from "vitest";
import { peer } from "../peers.ts";
import { answerClass, openAnswer } from "../scep-clients/answer-class.ts";
import { clientNamed, type Enrolment, enrolmentMessage } from "../scep-clients/clients.ts";
import { sendRaw } from "../scep-clients/http-request.ts";
import { STATIC_PASSWORD, staticProfile } from "../scep-clients/static-profile.ts";
import { PeerProcess } from "./ca/peer-process.ts";
import { runPeer } from "./run-peer.ts";

/** Shadow mode beside a second connector that plays NDES: it answers, and we compare. */

const PATH = "/certsrv/mscep/mscep.dll";
const newKey = () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;

async function startBoth(
  of: {
    readonly ndes?: Record<string, unknown>;
    readonly own?: Record<string, unknown>;
    readonly hasRaKey?: boolean;
    readonly ndesUrl?: string;
  } = {},
) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const ca = await makeAuthority(join(path, "ndes"), new FakeClock());
  const ndes = stack.use(
    await startConnector([staticProfile("theirs", { ndesPath: true, ...of.ndes })], {
      local: { ca },
    }),
  );
  const exported = exportRa(path, ca.folder);
  const shadow = { ndesUrl: of.ndesUrl ?? `${ndes.url}${PATH}`, timeoutMs: 10_000 };
  const own = stack.use(
    await startConnector([staticProfile("ours", { ndesPath: true, ...of.own })], {
      local: { shadow: { ...shadow, ...((of.hasRaKey ?? true) && exported) } },
    }),
  );
  const report = async () => {
    const answer = await own.service.controls?.["shadow.report"]?.({});
    return (answer as { readonly figures: ShadowFigures }).figures;
  };
  const issuedBy = async (site: typeof own) =>
    (await site.kernel.store.query("SELECT id FROM enrolment", [], 10)).length;
  return { ndes, own, report, issuedBy, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
type Both = Awaited<ReturnType<typeof startBoth>>;

/** As an administrator exports it: the certificate, and the key without a passphrase. */
function exportRa(folder: string, caFolder: string) {
  const raCertificateFile = join(folder, "ndes-ra.pem");
  const raKeyFile = join(folder, "ndes-ra.key.pem");
  copyFileSync(join(caFolder, "ra.pem"), raCertificateFile);
  const pem = readFileSync(join(caFolder, "ra.key.pem"));
  const key = createPrivateKey({ key: pem, passphrase: "correct horse" });
  writeFileSync(raKeyFile, key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return { raCertificateFile, raKeyFile };
}

async function get(url: string) {
  const response = await fetch(url);
  const contentType = response.headers.get("content-type") ?? "";
  return { status: response.status, contentType, body: Buffer.from(await response.arrayBuffer()) };
}

/** A Windows client's enrolment through our listener. */
async function enrol({ own }: Both, changes: Partial<Enrolment> = {}, name = "windows-oaep-null") {
  const { body } = await get(`${own.url}${PATH}?operation=GetCACert`);
  const [ra] = parseSignedData(body).certificates;
  const key = changes.key ?? newKey();
  const client = clientNamed(name);
  const message = enrolmentMessage(client, {
    recipient: parseCertificate(ra ?? Buffer.alloc(0)),
    subject: "CN=laptop",
    challengePassword: STATIC_PASSWORD,
    now: own.kernel.clock.now(),
    noise: randomBytes,
    ...changes,
    key,
  });
  return { key, answer: await sendRaw(own.url, client.http(message, PATH)) };
}

test("every answer is NDES's own, to the byte, and nothing is issued here", async () => {
  await using both = await startBoth();
  for (const query of ["operation=GetCACaps", "operation=GetCACert&message=0"]) {
    const [through, direct] = await Promise.all([
      get(`${both.own.url}${PATH}?${query}`),
      get(`${both.ndes.url}${PATH}?${query}`),
    ]);
    expect(through).toEqual(direct);
  }
  const { key, answer } = await enrol(both);
  const { certificate } = openAnswer(answer, key);
  expect(certificate.issuer.der).toEqual(
    parseCertificate(parseSignedData(answer.body).certificates[0] ?? Buffer.alloc(0)).issuer.der,
  );
  expect([await both.issuedBy(both.ndes), await both.issuedBy(both.own)]).toEqual([1, 0]);
  expect(await both.report()).toMatchObject({
    seen: 4,
    ndesFailed: 0,
    notJudged: 0,
    outcomes: { "agreed-accept": 4 },
    examples: [],
  });
});

test("what NDES takes and we would refuse is counted with our code, and told by transaction", async () => {
  const own = { legacyAlgorithms: false };
  await using both = await startBoth({ ndes: { legacyAlgorithms: true }, own });
  await get(`${both.own.url}${PATH}?operation=GetCACaps`);
  const { answer } = await enrol(both, {}, "micromdm-scepclient");
  expect(answerClass(answer)).toBe("SUCCESS");
  const { outcomes, reasons, examples } = await both.report();
  expect(outcomes["only-ndes"]).toBe(2);
  expect(reasons).toEqual({ "caps-DES3,caps-SHA-1": 1, "cms-digest-algorithm": 1 });
  expect(examples.map(({ operation }) => operation)).toEqual(["GetCACaps", "PKCSReq"]);
  expect(examples[1]?.transactionId).toMatch(/^[0-9A-F]{40}$/);
});

test("with NDES's RA key the profile judges what is inside, without it the outside alone", async () => {
  const own = { keyFloor: { rsaBits: 3072, curves: [] } };
  await using open = await startBoth({ own });
  await enrol(open);
  expect((await open.report()).reasons).toEqual({ "key-below-floor": 1 });
  await using closed = await startBoth({ own, hasRaKey: false });
  await enrol(closed);
  expect((await closed.report()).outcomes).toEqual({ "agreed-accept": 2 });
});

test("a challenge that NDES refuses is not ours to judge, and counted apart", async () => {
  await using both = await startBoth();
  const { answer } = await enrol(both, { challengePassword: "guess" });
  expect(answerClass(answer)).toMatch(/^FAILURE badRequest/);
  const { outcomes, reasons } = await both.report();
  expect(outcomes["only-ours"]).toBe(1);
  expect(reasons).toEqual({ "ndes: badRequest": 1 });
});

test("rubbish is handed on, too, and both refuse it", async () => {
  await using both = await startBoth();
  const { status } = await get(`${both.own.url}${PATH}?operation=PKIOperation&message=AAAA`);
  expect(status).toBe(400);
  expect((await both.report()).outcomes).toEqual({ "agreed-refuse": 1 });
});

test("an NDES that is away is told to the device as that, and counted", async () => {
  const gone = createServer();
  await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
  const { port } = gone.address() as AddressInfo;
  await new Promise((resolve) => gone.close(resolve));
  await using both = await startBoth({ ndesUrl: `http://127.0.0.1:${port}${PATH}` });
  const { status, body } = await get(`${both.own.url}${PATH}?operation=GetCACaps`);
  expect([status, body.toString()]).toEqual([502, expect.stringMatching(/^ndes-unreachable:/)]);
  expect(await both.report()).toMatchObject({ ndesFailed: 1, seen: 0 });
});

test("the unescaped + of macOS reaches NDES as it came", async () => {
  const asked: (string | undefined)[] = [];
  await using server = createServer((request, response) => {
    asked.push(request.url);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await using both = await startBoth({ ndesUrl: `http://127.0.0.1:${port}/mscep.dll` });
  const query = "operation=PKIOperation&message=MII+/a==";
  await sendRaw(both.own.url, Buffer.from(`GET ${PATH}/pkiclient.exe?${query} HTTP/1.0\r\n\r\n`));
  expect(asked).toEqual([`/mscep.dll/pkiclient.exe?${query}`]);
});

test("before Debian's scepserver, with Debian's scepclient: it enrols there, and our verdict is counted", async (context) => {
  const [server, client] = [peer("scepserver", context), peer("scepclient", context)];
  using folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  await runPeer(server, ["ca", "-init", "-depot", at("depot"), "-keySize", "2048"]);
  const port = await freePort();
  const words = ["-depot", at("depot"), "-port", String(port), "-allowrenew", "0"];
  await using process = new PeerProcess(server, words, folder.path);
  const ndesUrl = `http://127.0.0.1:${port}/scep`;
  await process.answers(ndesUrl, { path: "?operation=GetCACaps" });

  await using own = await startConnector([staticProfile("ours", { ndesPath: true })], {
    local: { shadow: { ndesUrl } },
  });
  const about = ["-cn", "laptop", "-private-key", at("key.pem"), "-certificate", at("client.pem")];
  await runPeer(client, ["-server-url", `${own.url}${PATH}`, ...about]);
  const certificate = new X509Certificate(readFileSync(at("client.pem")));
  const ca = new X509Certificate(readFileSync(at("depot/ca.pem")));
  expect(certificate.verify(ca.publicKey)).toBe(true);

  const answer = await own.service.controls?.["shadow.report"]?.({});
  const { outcomes, reasons } = (answer as { readonly figures: ShadowFigures }).figures;
  // It offers and takes what only a profile with legacyAlgorithms would.
  expect(outcomes["only-ndes"]).toBe(2);
  expect(Object.keys(reasons)).toContain("cms-digest-algorithm");
  expect(Object.keys(reasons).some((reason) => reason.startsWith("caps-"))).toBe(true);
});

test("other addresses are served by ourselves as ever", async () => {
  await using both = await startBoth();
  const { body } = await get(`${both.own.url}/scep/ours?operation=GetCACert`);
  const direct = await get(`${both.ndes.url}${PATH}?operation=GetCACert`);
  expect(body).not.toEqual(direct.body);
  expect((await both.report()).seen).toBe(0);
});
