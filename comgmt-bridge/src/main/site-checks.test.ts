import { systemClock } from "@isthmus/shared/clock";
import { ConnectorError } from "@isthmus/shared/errors";
import { runCheck } from "@isthmus/shared/kernel/health";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { configuredSite } from "../testing/configured-site.ts";
import { startStrictAdminService, TOKEN } from "../testing/strict-admin-service.ts";
import { bridge } from "./definition.ts";
import { siteChecks } from "./site-checks.ts";
import { failedSiteCheck, rightsRemedies } from "./site-remedies.ts";

const parts = { clock: systemClock, random: systemRandom, stateFolder: "" };

async function resultsOf(checks: ReturnType<typeof siteChecks>) {
  const results = await Promise.all(checks.map(runCheck));
  return new Map(results.map((result) => [result.name, result]));
}

test("with a site that answers, check says so of certificate, credentials and clock, and of each class", async () => {
  await using service = await startStrictAdminService();
  service.behave = ({ path }) =>
    path.startsWith("wmi/SMS_Client_ComanagementState")
      ? { kind: "answer", status: 403, body: { error: { message: "No rights." } } }
      : path.startsWith("wmi/SMS_R_System") || path.startsWith("v1.0/Device")
        ? { kind: "serve" }
        : path.startsWith("wmi/SMS_G_System_CH_ClientSummary")
          ? { kind: "answer", status: 404, body: { error: { message: "No class." } } }
          : { kind: "answer", status: 200, body: { value: [] } };
  using site = configuredSite(service, TOKEN);
  const checks = bridge.checks?.({ site: site.configuration, sites: [] } as never) ?? [];
  const results = await resultsOf(checks);
  for (const name of ["tls", "authentication", "clock", "rights-device", "rights-sms-r-system"]) {
    expect(results.get(`site-${name}`)).toMatchObject({ status: "healthy" });
  }
  expect(results.get("site-authentication")?.reason).toMatch(/is site CM1/);
  expect(results.get("site-rights-sms-r-user")).toMatchObject({
    ...{ status: "warning", remedy: expect.stringMatching(/right to read it/) },
  });
  expect(results.get("site-rights-sms-g-system-ch-clientsummary")).toMatchObject({
    status: "warning",
  });
  expect(results.get("site-rights-sms-client-comanagementstate")).toMatchObject({
    ...{ status: "unhealthy", reason: expect.stringMatching(/security role.*No rights/) },
  });
});

test("a class that hangs is told apart from a site that does", async () => {
  await using service = await startStrictAdminService();
  const hangs = "wmi/SMS_G_System_PC_BIOS";
  service.behave = ({ path }) =>
    path.startsWith(hangs)
      ? { kind: "hang" }
      : path.startsWith("wmi/SMS_R_System") || path.startsWith("v1.0/Device")
        ? { kind: "serve" }
        : { kind: "answer", status: 200, body: { value: [] } };
  using site = configuredSite(service, TOKEN, { firstByteTimeoutMs: 2_000 });
  const results = await resultsOf(siteChecks(site.configuration, parts));
  expect(results.get("site-authentication")).toMatchObject({ status: "healthy" });
  expect(results.get("site-rights-sms-g-system-pc-bios")).toMatchObject({
    status: "warning",
    reason: "SMS_G_System_PC_BIOS did not answer in time, and the site does",
    remedy: expect.stringMatching(/look at SMS_G_System_PC_BIOS at the site/),
  });
});

test("a token that is not accepted, and a site that is not there, are told apart", async () => {
  await using service = await startStrictAdminService();
  using site = configuredSite(service, "another.token");
  const refused = await resultsOf(siteChecks(site.configuration, parts));
  expect(refused.get("site-tls")?.status).toBe("healthy");
  expect(refused.get("site-authentication")).toMatchObject({
    ...{ status: "unhealthy", remedy: expect.stringMatching(/renew the token/) },
  });
  expect(refused.get("site-rights-device")).toMatchObject({
    ...{ status: "unknown", reason: expect.stringMatching(/site-authentication/) },
  });
  const gone = { ...site.configuration, url: "https://localhost:1" };
  const results = await resultsOf(siteChecks(gone, parts));
  expect(results.get("site-tls")?.reason).toMatch(
    /cannot be connected to \(ECONNREFUSED\): check site.url/,
  );
});

test("a certificate that ends soon, a clock that is off and a site of another code are warned of", async () => {
  await using service = await startStrictAdminService();
  using site = configuredSite(service, TOKEN);
  const clock = new FakeClock(Date.now() + 80 * 86_400_000);
  const wrong = { ...site.configuration, siteCode: "XYZ" };
  const results = await resultsOf(siteChecks(wrong, { ...parts, clock }));
  expect(results.get("site-tls")).toMatchObject({ status: "warning" });
  expect(results.get("site-clock")).toMatchObject({ status: "unhealthy" });
  expect(results.get("site-clock")?.reason).toMatch(/behind ours/);
  expect(results.get("site-authentication")).toMatchObject({ status: "warning" });
  expect(results.get("site-authentication")?.reason).toMatch(/belongs to site CM1/);
});

test("a certificate that does not verify is named with the reason and with its keys, for a pin", async () => {
  await using service = await startStrictAdminService();
  using site = configuredSite(service, TOKEN);
  const { caFile: _, ...unknown } = site.configuration;
  const results = await resultsOf(siteChecks(unknown, parts));
  const { status, reason } = results.get("site-tls") ?? {};
  expect(status).toBe("unhealthy");
  expect(reason).toMatch(/does not verify \(\w*CERT\w*\)/);
  const [pin] = /sha256\/[A-Za-z0-9+/]{43}=/.exec(reason ?? "") ?? [];
  const pinned = await resultsOf(siteChecks({ ...unknown, pin }, parts));
  expect(pinned.get("site-tls")?.status).toBe("healthy");
});

test.each([
  ["SMS_AppDeploymentAssetDetails", "Read on Application"],
  ["SMS_DeploymentSummary", "Read on Application"],
  ["SMS_UpdateComplianceStatus", "Read on Software Updates"],
  ["SMS_Scripts", "Read on SMS Scripts"],
  ["SMS_BoundaryGroup", "Read on Boundary Group"],
  ["SMS_R_System", "Read and Read Resource on Collection"],
])("where %s is forbidden, the role is to be given %s", (name, permission) => {
  const refused = new ConnectorError("site-forbidden", "no");
  expect(failedSiteCheck(refused, rightsRemedies(name)).remedy).toBe(
    `give the account's security role ${permission}`,
  );
});

test("a host without the AdminService is told to be another one than site.url should name", async () => {
  await using service = await startStrictAdminService();
  service.behave = () => ({ kind: "answer", status: 404, body: { error: { message: "No." } } });
  using site = configuredSite(service, TOKEN);
  const results = await resultsOf(siteChecks(site.configuration, parts));
  expect(results.get("site-authentication")?.remedy).toMatch(/^set site\.url to the SMS provider/);
});
