import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SiteConfiguration } from "@isthmus/comgmt-bridge/config/site";
import { openSite } from "@isthmus/comgmt-bridge/main/site";
import { siteChecks } from "@isthmus/comgmt-bridge/main/site-checks";
import { SYSTEM } from "@isthmus/comgmt-bridge/protocol/admin-service/rows";
import { asking, LIMITS } from "@isthmus/comgmt-bridge/testing/site-under-test";
import { type Clock, systemClock } from "@isthmus/shared/clock";
import { runCheck } from "@isthmus/shared/kernel/health";
import { systemRandom } from "@isthmus/shared/random";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterAll, expect, type TestContext, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { type GssAcceptor, startGssAcceptor } from "../simulators/adcs/gss-acceptor.ts";
import { startSite } from "../simulators/configmgr/site.ts";
import type { SiteOptions } from "../simulators/configmgr/site-options.ts";
import { startSambaDomain } from "./samba/samba-domain.ts";

/** The bridge's `site.kerberos` against a real domain, keytabs on both sides, the server's judged by MIT's library. */

const HOST = "localhost";
const ISTHMUS = "isthmus@CORP.TEST";
const INITIATE = "wmi/SMS_ClientOperation.InitiateClientOperation";
const NOTIFY = { Type: 8, TargetCollectionID: "SMS00001", TargetResourceIDs: [] };
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

interface Lab {
  readonly acceptor: GssAcceptor;
  readonly stateFolder: string;
  readonly keytabFile: string;
}
let started: Promise<Lab> | undefined;

/** One domain for all: the Kerberos library reads its environment once. */
async function theLab(context: TestContext): Promise<Lab> {
  peer("gssapi", context);
  started ??= (async () => {
    const domain = stack.use(await startSambaDomain(context));
    const { keytabFile } = await domain.account({ name: "isthmus" });
    const server = await domain.account({ name: "web", servicePrincipal: `HTTP/${HOST}` });
    const { krb5ConfigFile } = domain;
    process.env["KRB5_CONFIG"] = krb5ConfigFile;
    const acceptor = stack.use(startGssAcceptor({ keytabFile: server.keytabFile, krb5ConfigFile }));
    return { acceptor, stateFolder: stack.use(temporaryFolder()).path, keytabFile };
  })();
  return await started;
}

interface Changes {
  readonly site?: SiteOptions;
  readonly kerberos?: Partial<NonNullable<SiteConfiguration["kerberos"]>>;
  readonly clock?: Clock;
}

async function siteOf(context: TestContext, changes: Changes = {}) {
  const { acceptor, stateFolder, keytabFile } = await theLab(context);
  const site = stack.use(await startSite({ devices: 5, negotiate: acceptor, ...changes.site }));
  const caFile = join(stateFolder, "sms-issuing.pem");
  writeFileSync(caFile, site.caPem);
  const configuration: SiteConfiguration = {
    ...{ url: site.url, siteCode: "CM1", caFile, limits: LIMITS, scriptParameterHash: "lower" },
    kerberos: { principal: ISTHMUS, keytabFile, channelBinding: true, ...changes.kerberos },
  };
  const parts = { clock: changes.clock ?? systemClock, random: systemRandom, stateFolder };
  const client = stack.use(openSite(configuration, parts));
  const read = () => client.rows(SYSTEM, { top: 2 }, asking());
  if ((await rejectedCode(read)) === "kerberos-unavailable")
    missing("the npm package kerberos (libkrb5-dev)", context);
  return { site, client, read, configuration, parts };
}

/** The acceptor, whose answers a test may change. */
function changed(
  acceptor: GssAcceptor,
  change: (
    of: Awaited<ReturnType<GssAcceptor["accept"]>>,
    channel: Uint8Array | undefined,
  ) => object,
): GssAcceptor {
  return {
    accept: async (token, channel) => {
      const accepted = await acceptor.accept(token, channel);
      return { ...accepted, ...change(accepted, channel) } as typeof accepted;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

test("the provider knows the bridge by its ticket, and the bridge the provider by its answer", async (context) => {
  const { acceptor } = await theLab(context);
  const seen: object[] = [];
  const watched = changed(acceptor, (accepted) => {
    seen.push(accepted);
    return {};
  });
  const principals = { [ISTHMUS]: { name: "CORP\\isthmus", rights: ["read"] as const } };
  const { site, read } = await siteOf(context, { site: { negotiate: watched, principals } });
  for (let count = 0; count < 3; count += 1) expect((await read()).rows).toHaveLength(2);
  expect(site.requests().at(-1)).toMatchObject({ principal: "CORP\\isthmus", status: 200 });
  expect(seen.length).toBeGreaterThan(3);
  for (const each of seen)
    expect(each).toMatchObject({ user: ISTHMUS, bound: true, token: expect.any(String) });
});

test("every check of the site passes with a ticket", async (context) => {
  const { configuration, parts } = await siteOf(context);
  const results = await Promise.all(siteChecks(configuration, parts).map((one) => runCheck(one)));
  expect(results.filter(({ status }) => status === "unhealthy")).toEqual([]);
  expect(results.map(({ status }) => status)).toContain("healthy");
});

test("tickets are kept in the state folder, and one is fetched for many requests", async (context) => {
  const { client, parts } = await siteOf(context);
  expect(existsSync(join(parts.stateFolder, "kerberos.ccache"))).toBe(true);
  rmSync(join(parts.stateFolder, "kerberos.ccache"));
  const all = Array.from({ length: 20 }, () => client.rows(SYSTEM, { top: 1 }, asking()));
  for (const { rows } of await Promise.all(all)) expect(rows).toHaveLength(1);
  expect(existsSync(join(parts.stateFolder, "kerberos.ccache"))).toBe(false);
});

test("an action shows a ticket, too", async (context) => {
  const { site, client } = await siteOf(context);
  const action = { ...asking("command"), asked: "action" } as const;
  await client.call(INITIATE, NOTIFY, action);
  expect(site.requests().at(-1)).toMatchObject({ method: "POST", status: 201 });
});

test("a host's clock that is off is named, with how far", async (context) => {
  const ahead = { now: () => Date.now() + 600_000 };
  const { read } = await siteOf(context, { clock: ahead });
  await expect(read()).rejects.toMatchObject({ code: "site-clock-skew" });
  await expect(read()).rejects.toThrow(/(599|600|601) s behind ours/);
});

test("a ticket bound to another connection is refused, and with binding off it is not bound", async (context) => {
  const { acceptor } = await theLab(context);
  const elsewhere: GssAcceptor = {
    accept: (token) => acceptor.accept(token, Buffer.from("tls-server-end-point:other")),
    [Symbol.asyncDispose]: async () => {},
  };
  const bound = await siteOf(context, { site: { negotiate: elsewhere } });
  expect(await rejectedCode(bound.read)).toBe("site-ticket-refused");
  const kerberos = { channelBinding: false };
  const unbound = await siteOf(context, { site: { negotiate: elsewhere }, kerberos });
  expect((await unbound.read()).rows).toHaveLength(2);
});

test("an answer with a proof of another request, or of nothing, is not taken", async (context) => {
  const { acceptor } = await theLab(context);
  let first: string | undefined;
  for (const token of [() => first, () => Buffer.from("nonsense").toString("base64")]) {
    const forging = changed(acceptor, (accepted) => {
      first ??= accepted.token;
      return { token: token() };
    });
    const { read, client } = await siteOf(context, { site: { negotiate: forging } });
    expect(await rejectedCode(read)).toBe("site-server-unproven");
    const action = { ...asking("command"), asked: "action" } as const;
    const code = await rejectedCode(() => client.call(INITIATE, NOTIFY, action));
    expect(code).toBe("site-outcome-unknown");
  }
});

test("a server that proves nothing is one that TLS has proved", async (context) => {
  const { acceptor } = await theLab(context);
  const silent = changed(acceptor, () => ({ token: undefined }));
  const { read } = await siteOf(context, { site: { negotiate: silent } });
  expect((await read()).rows).toHaveLength(2);
});

test("a provider whose key changed is let in with a new ticket, by itself", async (context) => {
  const { acceptor } = await theLab(context);
  const clock = { at: Date.now(), now: () => clock.at };
  let isRefusing = false;
  const refusing = changed(acceptor, () =>
    isRefusing ? { user: undefined, error: "BadKey", token: undefined } : {},
  );
  const strict: GssAcceptor = {
    accept: async (token, channel) => {
      const { user, ...rest } = (await refusing.accept(token, channel)) as { user?: string };
      return (user === undefined ? rest : { user, ...rest }) as Awaited<
        ReturnType<GssAcceptor["accept"]>
      >;
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const { read, parts } = await siteOf(context, { site: { negotiate: strict }, clock });
  await read();
  isRefusing = true;
  expect(await rejectedCode(read)).toBe("site-ticket-refused");
  expect(existsSync(join(parts.stateFolder, "kerberos.ccache"))).toBe(false);
  isRefusing = false;
  expect((await read()).rows).toHaveLength(2);
  expect(existsSync(join(parts.stateFolder, "kerberos.ccache"))).toBe(true);
});

test("an account that the keytab does not have is named beside the one that it has", async (context) => {
  const { read } = await siteOf(context, { kerberos: { principal: "nobody@CORP.TEST" } });
  await expect(read()).rejects.toMatchObject({ code: "kerberos-credentials" });
  await expect(read()).rejects.toThrow(
    /HTTP\/localhost.* keys of isthmus@CORP\.TEST and none of nobody@/,
  );
});
