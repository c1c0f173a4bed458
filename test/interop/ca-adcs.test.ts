import { type TestIdentity, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { formatName } from "@isthmus/shared/x509/name-text";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AdcsSimulator, startAdcsSimulator } from "../simulators/adcs/adcs-simulator.ts";
import { type AuthorityFiles, makeAuthorityFiles } from "./ca/authority-files.ts";
import { type CaLab, HOST_PROFILE, STATIC_CHALLENGE, secretFile, startCaLab } from "./ca/lab.ts";

/** AD CS as documented: the pages of web enrolment, and WS-Trust. */

const LOGIN = { user: "CORP\\isthmus", password: 'a<b>&"c' };
const TEMPLATES = {
  Devices: { decision: "issue", validityDays: 20 },
  Approved: { decision: "pend", validityDays: 20 },
  Denied: { decision: "deny", validityDays: 20 },
} as const;
/** What a request may say of itself, and nothing more: AD CS takes names from it alone. */
const PLAIN = { ...HOST_PROFILE, subjectAltNames: [] };
const ASKED = { subject: "CN=host-1,O=Example", challenge: STATIC_CHALLENGE };

const stack = new AsyncDisposableStack();
let folder: string;
let files: AuthorityFiles;
let server: TestIdentity;
let adcs: AdcsSimulator;

beforeAll(async () => {
  folder = stack.use(temporaryFolder()).path;
  files = await makeAuthorityFiles(folder);
  server = await testCertificate(
    {
      ...{ subject: "CN=127.0.0.1", serialNumber: "03" },
      notBefore: Date.now() - 86_400_000,
      notAfter: Date.now() + 86_400_000,
      extensions: [subjectAltNameExtension([{ type: "ip", value: "127.0.0.1" }])],
    },
    files.issuing,
  );
});
beforeEach(async () => {
  const options = { issuer: files.issuing, server, templates: TEMPLATES, login: LOGIN };
  adcs = stack.use(await startAdcsSimulator(options));
});
afterAll(() => stack.disposeAsync());

function configuration(kind: "adcs-web" | "adcs-ces", changes: Record<string, unknown> = {}) {
  const base = `https://127.0.0.1:${adcs.port}`;
  return {
    kind,
    urls: [kind === "adcs-web" ? base : `${base}/CA_CES_Kerberos/service.svc/CES`],
    caFile: files.chainFile,
    issuerFile: files.chainFile,
    template: "Devices",
    login: {
      method: "basic",
      user: LOGIN.user,
      passwordFile: secretFile(folder, "password", LOGIN.password),
    },
    ...changes,
  };
}

/** Asks until something else than `pending` comes. */
async function refusal(lab: CaLab, of: Parameters<CaLab["request"]>[0] = ASKED): Promise<string> {
  const answer = await lab.device.enrol(await lab.request(of));
  return answer.status === "FAILURE" ? (answer.failInfoText ?? "") : answer.status;
}

describe.each(["adcs-web", "adcs-ces"] as const)("a certificate of AD CS by %s", (kind) => {
  test("has the names of the request, which are the profile's", async () => {
    await using lab = await startCaLab(configuration(kind), PLAIN);
    const certificate = await lab.enrol(ASKED);
    expect(formatName(certificate.subject)).toBe("CN=host-1,O=Example");
    expect(formatName(certificate.issuer)).toBe(formatName(files.issuing.certificate.subject));
    expect(adcs.authority.requests).toHaveLength(1);
  });

  test("is not asked for where the request says something else: it could not be revoked", async () => {
    await using lab = await startCaLab(configuration(kind), PLAIN);
    const other = { ...ASKED, subject: "CN=host-1,O=Evil" };
    expect(await refusal(lab, other)).toMatch(/^ca-names: .*subject/);
    await lab.configure(HOST_PROFILE);
    expect(await refusal(lab)).toMatch(/^ca-names: .*alternative names/);
    expect(adcs.authority.requests).toHaveLength(0);
  });

  test("has the profile's alternative names where the CA takes them as an attribute", async () => {
    adcs.authority.believesSanAttribute = true;
    await using lab = await startCaLab(configuration(kind, { sanAttribute: true }), HOST_PROFILE);
    const { subjectAltNames } = await lab.enrol(ASKED);
    expect(subjectAltNames).toEqual([
      { type: "dns", value: "host-1.example.com" },
      { type: "email", value: "ada@example.com" },
    ]);
  });

  test("comes when a CA manager has approved it, and by its number: it is asked for once", async () => {
    await using lab = await startCaLab(configuration(kind, { template: "Approved" }), PLAIN);
    const request = await lab.request(ASKED);
    expect(await lab.device.enrol(request)).toMatchObject({ status: "PENDING" });
    expect(await lab.device.enrol(request)).toMatchObject({ status: "PENDING" });
    await adcs.authority.decide(1, true);
    expect(await lab.device.enrol(request)).toMatchObject({ status: "SUCCESS" });
    expect(adcs.authority.requests).toHaveLength(1);
  });

  test("that was denied is refused, with the CA's words", async () => {
    await using lab = await startCaLab(configuration(kind, { template: "Denied" }), PLAIN);
    expect(await refusal(lab)).toMatch(
      kind === "adcs-web"
        ? /^ca-denied: .*Abgelehnt durch den Zertifikatverwalter & Co/
        : /^ca-refused: .*Denied by Policy Module.*0x80094014/,
    );
  });

  test("that a manager denies later is refused then", async () => {
    await using lab = await startCaLab(configuration(kind, { template: "Approved" }), PLAIN);
    const request = await lab.request(ASKED);
    expect(await lab.device.enrol(request)).toMatchObject({ status: "PENDING" });
    await adcs.authority.decide(1, false);
    expect(await lab.device.enrol(request)).toMatchObject({ status: "FAILURE" });
  });

  test("of a template that the CA does not have is refused, with the HRESULT", async () => {
    await using lab = await startCaLab(configuration(kind, { template: "Nothing" }), PLAIN);
    expect(await refusal(lab)).toMatch(/^ca-refused: .*0x80094800/);
  });

  test("waits while the CA is stopped, and its health says why", async () => {
    await using lab = await startCaLab(configuration(kind), PLAIN);
    adcs.authority.isStopped = true;
    // Where the first probe has seen it already, the request is not even sent.
    const waiting = await refusal(lab).catch(String);
    expect(waiting).toMatch(/^PENDING$|HTTP 503: ca-unavailable/);
    const check = await until(async () => {
      const result = await lab.check("authority-elsewhere");
      return result?.status === "unhealthy" ? result : undefined;
    });
    expect(check.reason).toMatch(/RPC server is unavailable.*0x800706ba/);
  });

  test("is refused to a wrong password, which a person has to mend", async () => {
    const passwordFile = secretFile(folder, "wrong", "wrong");
    const login = { method: "basic", user: LOGIN.user, passwordFile };
    await using lab = await startCaLab(configuration(kind, { login }), PLAIN);
    await until(async () => (await lab.check("authority-elsewhere"))?.status === "unhealthy");
    await expect(refusal(lab)).rejects.toThrow(
      kind === "adcs-web" ? /it answered 401/ : /user name token/,
    );
    expect(adcs.authority.requests).toHaveLength(0);
  });

  test("cannot be revoked there, and that is said", async () => {
    await using lab = await startCaLab(configuration(kind), PLAIN);
    const certificate = await lab.enrol(ASKED);
    await lab.revoke(certificate).catch(() => undefined);
    const check = await until(async () => {
      const result = await lab.check("authority-revocations");
      return result?.status === "healthy" ? undefined : result;
    });
    expect(JSON.stringify(check)).toMatch(/certutil -revoke/);
  });
});

test("a certificate that is made and cannot be fetched is fetched later, not made again", async () => {
  await using lab = await startCaLab(configuration("adcs-web"), PLAIN);
  const request = await lab.request(ASKED);
  adcs.cutNext = "certnew.cer?ReqID=1&";
  expect(await lab.device.enrol(request)).toMatchObject({ status: "PENDING" });
  expect(await lab.device.enrol(request)).toMatchObject({ status: "SUCCESS" });
  expect(adcs.authority.requests).toHaveLength(1);
});

test("web enrolment that issues with another CA certificate than ours is not asked", async () => {
  const foreign = await makeAuthorityFiles(`${folder}/foreign`);
  const changes = { issuerFile: foreign.chainFile };
  await using lab = await startCaLab(configuration("adcs-web", changes), PLAIN);
  const check = await until(async () => {
    const result = await lab.check("authority-elsewhere");
    return result?.status === "unhealthy" ? result : undefined;
  });
  expect(check.reason).toMatch(/another certificate/);
});
