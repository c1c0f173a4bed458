import { chownSync, rmSync } from "node:fs";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, expect, type TestContext, test } from "vitest";
import { startSambaDomain } from "../interop/samba/samba-domain.ts";
import { missing, peer } from "../peers.ts";
import { isEngineRunning } from "../setup/container-engine.ts";
import { startGssAcceptor } from "../simulators/adcs/gss-acceptor.ts";
import { startSite } from "../simulators/configmgr/site.ts";
import { BridgeContainer, type Ended } from "./bridge-container.ts";

/** The bridge's image with a keytab, in a real domain, at a site that lets in nothing but its tickets. */

const HOST = "localhost";
const PRINCIPAL = "isthmus@CORP.TEST";
const AS_OPERATOR = "CORP\\isthmus";
/** The image is built where no layer of it is there yet: a compiler is installed. */
const TIMEOUT_MS = 600_000;
const SCANNED_WITHIN_MS = 60_000;
/** What the package `kerberos` opens; with nothing in its place it is as if it were not installed. */
const LIBRARY = "/usr/lib/x86_64-linux-gnu/libgssapi_krb5.so.2";

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync(), 120_000);

type Lab = Awaited<ReturnType<typeof startLab>>;
let started: Promise<Lab> | undefined;

async function startLab(context: TestContext) {
  await BridgeContainer.build();
  const domain = stack.use(await startSambaDomain(context));
  const { keytabFile } = await domain.account({ name: "isthmus" });
  const server = await domain.account({ name: "web", servicePrincipal: `HTTP/${HOST}` });
  const { krb5ConfigFile } = domain;
  const acceptor = stack.use(startGssAcceptor({ keytabFile: server.keytabFile, krb5ConfigFile }));
  const principals = { [PRINCIPAL]: { name: AS_OPERATOR, rights: ["read"] as const } };
  const site = stack.use(await startSite({ devices: 5, negotiate: acceptor, principals }));
  const files = { siteUrl: site.url, siteCaPem: site.caPem, principal: PRINCIPAL };
  return { site, files: { ...files, keytabFile, krb5ConfigFile } };
}

async function bridgeOf(context: TestContext) {
  if (!isEngineRunning()) missing("a container engine", context);
  peer("gssapi", context);
  started ??= startLab(context);
  const { site, files } = await started;
  return { site, bridge: new BridgeContainer(files) };
}

function authenticationIn({ stdout, stderr }: Ended) {
  expect(stdout, stderr).toMatch(/^\{/);
  const { checks } = JSON.parse(stdout) as { checks: { name: string; [key: string]: string }[] };
  return checks.find(({ name }) => name === "site-authentication");
}

test("check passes with a ticket that the container fetched with its keytab", {
  timeout: TIMEOUT_MS,
}, async (context) => {
  const { site, bridge } = await bridgeOf(context);
  await using _ = bridge;
  const ended = await bridge.check();
  expect(authenticationIn(ended)).toMatchObject({ status: "healthy" });
  expect(ended).toMatchObject({ exitCode: 0 });
  expect(site.requests().at(-1)).toMatchObject({ principal: AS_OPERATOR, status: 200 });
});

test("the running bridge reads the site as an ordinary user, and keeps tickets in its volume alone", {
  timeout: TIMEOUT_MS,
}, async (context) => {
  const { site, bridge } = await bridgeOf(context);
  await using _ = bridge;
  const before = site.requests().length;
  await bridge.start();
  const isRead = () =>
    site
      .requests()
      .slice(before)
      .some(({ rows }) => rows === 5);
  await until(isRead, "a reading of all devices", SCANNED_WITHIN_MS).catch(async (cause) => {
    throw new Error(`${cause}\n${await bridge.logs()}`);
  });
  for (const { principal } of site.requests().slice(before)) expect(principal).toBe(AS_OPERATOR);
  expect(await bridge.inspect("id", "-u")).toBe("1000\n");
  const found = ["find", "/var/lib/isthmus", "/tmp", "-name", "*krb5*", "-o", "-name", "*ccache"];
  expect(await bridge.inspect(...found)).toBe("/var/lib/isthmus/kerberos.ccache\n");
});

test("a keytab that is not there or that the container's user cannot read is named at once", {
  timeout: TIMEOUT_MS,
}, async (context) => {
  const { bridge } = await bridgeOf(context);
  await using _ = bridge;
  chownSync(bridge.keytab, 0, 0);
  const unreadable = await bridge.check();
  expect(unreadable.exitCode).not.toBe(0);
  expect(unreadable.stderr + unreadable.stdout).toContain(
    "/etc/isthmus/isthmus.keytab may not be read by this user (uid 1000)",
  );
  rmSync(bridge.keytab);
  const gone = await bridge.check();
  expect(gone.exitCode).not.toBe(0);
  expect(gone.stderr + gone.stdout).toContain("there is no file /etc/isthmus/isthmus.keytab");
});

test("without the system's Kerberos library the check says what to do", {
  timeout: TIMEOUT_MS,
}, async (context) => {
  const { bridge } = await bridgeOf(context);
  await using _ = bridge;
  const ended = await bridge.check(["-v", `/dev/null:${LIBRARY}:ro`]);
  expect(ended.exitCode).toBe(1);
  expect(authenticationIn(ended)).toMatchObject({
    status: "unhealthy",
    reason: expect.stringContaining("libgssapi-krb5-2"),
    remedy: expect.stringContaining("build the image anew"),
  });
});
