import { X509Certificate } from "node:crypto";
import type { ScepAnswer } from "@isthmus/cert-connector/protocol/scep-client";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { issued, makeRequest, ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { formatName, parseNameText } from "@isthmus/shared/x509/name-text";
import { afterAll, expect, type TestContext, test } from "vitest";
import { secretFile } from "./ca/lab.ts";
import { type SambaDomain, startSambaDomain, userAttributes } from "./samba/samba-domain.ts";
import { startTcpRelay, type TcpRelay } from "./samba/tcp-relay.ts";

/** Devices enrol at a connector whose directory is a real domain; what the domain then holds, its own programs tell. */

const SID_URI = "tag:microsoft.com,2022-09-14:sid:";
const CDP = "CN=CDP,CN=Public Key Services,CN=Services,CN=Configuration,DC=corp,DC=test";
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

let domain: Promise<SambaDomain> | undefined;
function theDomain(context: TestContext): Promise<SambaDomain> {
  domain ??= (async () => {
    const started = stack.use(await startSambaDomain(context));
    await started.add([
      { relativeDn: "OU=People", attributes: { objectClass: "organizationalUnit" } },
      {
        relativeDn: "CN=Lovelace\\, Ada,OU=People",
        attributes: {
          ...userAttributes("ada", "Passw0rd.2"),
          userPrincipalName: "ada@corp.test",
          mail: "ada@corp.test",
        },
      },
    ]);
    return started;
  })();
  return domain;
}

/** A connector with the domain behind a relay, which can cut it off. */
async function startWithDomain(corp: SambaDomain, profile: Record<string, unknown> = {}) {
  const { path } = stack.use(temporaryFolder());
  const relay = stack.use(await startTcpRelay({ host: corp.address, port: 636 }));
  const rules = { securityIdentifiers: ["S-1-5-21-.*-\\d{4,}"] };
  const directories = {
    ad: {
      urls: [`ldaps://localhost:${relay.port}`],
      caFile: corp.caFile,
      baseDn: corp.baseDn,
      bind: {
        dn: corp.administrator.dn,
        passwordFile: secretFile(path, "bind", corp.administrator.password),
      },
      revocationListDn: `CN=Isthmus,${CDP}`,
    },
  };
  const directory = { name: "ad", lookUp: "user", publish: true };
  const connector = stack.use(
    await startConnector(
      [{ id: "device", directory, securityIdentifier: "directory", ...profile }],
      { now: Date.now(), rules, local: { directories } },
    ),
  );
  const device = new ScepDevice(`${connector.url}/scep/device`);
  const enrol = async (challenge: Record<string, unknown>): Promise<ScepAnswer> => {
    const challengePassword = await connector.challenge(challenge);
    const subject = parseNameText("CN=Administrator");
    return await device.enrol(
      await makeRequest({ subject, challengePassword }, connector.clock.now()),
    );
  };
  return { ...connector, relay, enrol };
}

const ADA = { userPrincipalName: "ada@corp.test" };

/** Certificates on the user's account as the domain's database has them, by serial number. */
async function onAccount(corp: SambaDomain): Promise<string[]> {
  const shown = await corp.search(corp.baseDn, "(sAMAccountName=ada)", "userCertificate");
  return Array.from(shown.matchAll(/^userCertificate(?:;binary)?:: (.*)$/gm), ([, base64 = ""]) =>
    new X509Certificate(Buffer.from(base64, "base64")).serialNumber.toLowerCase(),
  );
}

test("the certificate carries the account's SID and names as samba-tool shows them", async (context) => {
  const corp = await theDomain(context);
  const subject = {
    template: "CN={{OnPremisesSamAccountName}}+emailAddress={{EmailAddress}},O=Example",
  };
  const { enrol } = await startWithDomain(corp, { subject });
  const certificate = issued(await enrol(ADA));
  const shown = await corp.tool("user", "show", "ada", "--attributes=objectSid");
  const [, sid] = /objectSid: (\S+)/.exec(shown) ?? [];
  expect(certificate.subjectAltNames).toContainEqual({ type: "uri", value: `${SID_URI}${sid}` });
  expect(formatName(certificate.subject)).toMatch(/CN=ada/);
  expect(formatName(certificate.subject)).toMatch(/emailAddress=ada@corp\.test/);
});

test("the name of the entry can be the subject, whatever is in it", async (context) => {
  const corp = await theDomain(context);
  const subject = { template: "{{OnPrem_Distinguished_Name}}" };
  const { enrol } = await startWithDomain(corp, { subject });
  const certificate = issued(await enrol(ADA));
  expect(formatName(certificate.subject)).toBe("CN=Lovelace\\, Ada,OU=People,DC=corp,DC=test");
});

test("nobody becomes an administrator: whoever the request or the challenge names", async (context) => {
  const corp = await theDomain(context);
  const { enrol } = await startWithDomain(corp);
  const shown = await corp.tool("user", "show", "Administrator", "--attributes=objectSid");
  const [, sid = ""] = /objectSid: (\S+)/.exec(shown) ?? [];
  const claimed = await enrol({ ...ADA, subjectAltNames: [{ type: "uri", value: SID_URI + sid }] });
  expect(claimed).toMatchObject({
    status: "FAILURE",
    failInfoText: expect.stringMatching(/^sid-unproven/),
  });
  expect(await enrol({ userPrincipalName: "*" })).toMatchObject({
    status: "FAILURE",
    failInfoText: expect.stringMatching(/^account-missing/),
  });
  expect(sid).toMatch(/-500$/);
});

test("certificates are on the account while they are valid, through an hour without the domain", async (context) => {
  const corp = await theDomain(context);
  const { kernel, service, relay, enrol } = await startWithDomain(corp);
  const { serialNumber } = issued(await enrol(ADA));
  await until(
    async () => (await onAccount(corp)).includes(serialNumber),
    "the certificate",
    60_000,
  );
  away(relay);
  await service.controls?.["certificate.revoke"]?.({ serialNumber, reason: "keyCompromise" });
  await until(
    async () => {
      const check = await kernel.checks
        .find(({ name }) => name === "directory-publications")
        ?.run();
      return check?.status === "warning";
    },
    "the warning",
    60_000,
  );
  relay.refuse(false);
  kernel.clock.advance(3_600_000);
  await until(async () => !(await onAccount(corp)).includes(serialNumber), "its removal", 60_000);
});

test("the revocation list is in the domain's configuration, and follows a revocation", async (context) => {
  const corp = await theDomain(context);
  const { service, enrol } = await startWithDomain(corp, {
    directory: { name: "ad", lookUp: "user" },
  });
  const { serialNumber } = issued(await enrol(ADA));
  await service.controls?.["certificate.revoke"]?.({ serialNumber, reason: "superseded" });
  await until(async () => (await revokedIn(corp)).includes(serialNumber), "the list", 60_000);
});

function away(relay: TcpRelay): void {
  relay.refuse(true);
  relay.cut();
}

async function revokedIn(corp: SambaDomain): Promise<string[]> {
  const words = ["(objectClass=cRLDistributionPoint)", "certificateRevocationList"];
  const shown = await corp.search(CDP, ...words);
  const [, base64 = ""] = /^certificateRevocationList(?:;binary)?:: (.*)$/m.exec(shown) ?? [];
  if (base64 === "") return [];
  return [...parseCertificateList(Buffer.from(base64, "base64")).revoked.keys()];
}
