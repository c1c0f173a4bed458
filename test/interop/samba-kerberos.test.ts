import { join } from "node:path";
import { loadKerberos } from "@isthmus/cert-connector/ca/kerberos-library";
import { systemClock } from "@isthmus/shared/clock";
import { KerberosTickets } from "@isthmus/shared/directory/kerberos-tickets";
import { systemRandom } from "@isthmus/shared/random";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { until } from "@isthmus/shared/testing/until";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { afterAll, describe, expect, type TestContext, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { startAdcsSimulator } from "../simulators/adcs/adcs-simulator.ts";
import { type GssAcceptor, startGssAcceptor } from "../simulators/adcs/gss-acceptor.ts";
import { makeAuthorityFiles } from "./ca/authority-files.ts";
import { HOST_PROFILE, STATIC_CHALLENGE, startCaLab } from "./ca/lab.ts";
import { startSambaDomain } from "./samba/samba-domain.ts";

/** Tickets of a real domain, taken up by MIT's library on the server's side as IIS would. */

/** What devices of a domain call a web server; here the name of this machine, so that it is found without DNS. */
const HOST = "localhost";
const DAY_MS = 86_400_000;
const CHANNEL = Buffer.from("tls-server-end-point:a digest");
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

interface Kerberos {
  readonly acceptor: GssAcceptor;
  readonly tickets: KerberosTickets;
  readonly folder: string;
  readonly keytabFile: string;
}
let started: Promise<Kerberos> | undefined;

/** One domain for all: the Kerberos library reads its environment once. */
async function kerberos(context: TestContext): Promise<Kerberos> {
  peer("gssapi", context);
  started ??= start(context);
  const { tickets } = await started;
  const code = await rejectedCode(() => tickets.authorization(HOST, undefined));
  if (code === "kerberos-unavailable") missing("the npm package kerberos (libkrb5-dev)", context);
  return await started;
}

async function start(context: TestContext): Promise<Kerberos> {
  const domain = stack.use(await startSambaDomain(context));
  const client = await domain.account({ name: "isthmus" });
  const server = await domain.account({ name: "web", servicePrincipal: `HTTP/${HOST}` });
  process.env["KRB5_CONFIG"] = domain.krb5ConfigFile;
  process.env["KRB5_CLIENT_KTNAME"] = client.keytabFile;
  process.env["KRB5CCNAME"] = `FILE:${join(domain.folder, "krb5cc")}`;
  const { krb5ConfigFile } = domain;
  const acceptor = stack.use(startGssAcceptor({ keytabFile: server.keytabFile, krb5ConfigFile }));
  const parts = {
    ...{ principal: "isthmus@CORP.TEST", clock: systemClock, random: systemRandom },
    load: loadKerberos,
  };
  const { keytabFile } = client;
  return { acceptor, tickets: new KerberosTickets(parts), folder: domain.folder, keytabFile };
}

async function tokenFor(tickets: KerberosTickets, channel: Uint8Array | undefined) {
  const [scheme, token = ""] = (await tickets.authorization(HOST, channel)).split(" ");
  expect(scheme).toBe("Negotiate");
  return token;
}

test("the server knows who we are, and that the token was made for this channel", async (context) => {
  const { acceptor, tickets } = await kerberos(context);
  const token = await tokenFor(tickets, CHANNEL);
  expect(await acceptor.accept(token, CHANNEL)).toMatchObject({
    user: "isthmus@CORP.TEST",
    bound: true,
  });
});

test("on another channel the token is worth nothing", async (context) => {
  const { acceptor, tickets } = await kerberos(context);
  const token = await tokenFor(tickets, CHANNEL);
  const other = Buffer.from("tls-server-end-point:b digest");
  expect(await acceptor.accept(token, other)).toMatchObject({ error: "BadChannelBindingsError" });
});

test("without TLS there is no channel, and a server that wants one sees that", async (context) => {
  const { acceptor, tickets } = await kerberos(context);
  const token = await tokenFor(tickets, undefined);
  expect(await acceptor.accept(token, undefined)).toMatchObject({ user: "isthmus@CORP.TEST" });
  expect(await acceptor.accept(token, CHANNEL)).toMatchObject({ bound: false });
});

test("a token that was changed is refused", async (context) => {
  const { acceptor, tickets } = await kerberos(context);
  const bytes = Buffer.from(await tokenFor(tickets, CHANNEL), "base64");
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const answer = await acceptor.accept(bytes.toString("base64"), CHANNEL);
  expect(answer).toHaveProperty("error");
});

test("a server that the domain does not know is told by its name", async (context) => {
  const { tickets } = await kerberos(context);
  const ask = () => tickets.authorization("nobody.corp.test", undefined);
  await expect(ask()).rejects.toThrow(/HTTP\/nobody\.corp\.test/);
  expect(await rejectedCode(ask)).toBe("kerberos-credentials");
});

describe.each(["adcs-web", "adcs-ces"] as const)(
  "a CA that demands channel binding, by %s",
  (kind) => {
    async function lab(context: TestContext, login: Readonly<Record<string, unknown>>) {
      const { acceptor, folder, keytabFile } = await kerberos(context);
      const files = await makeAuthorityFiles(folder);
      const server = await testCertificate(
        {
          ...{ subject: `CN=${HOST}`, serialNumber: "03" },
          notBefore: Date.now() - DAY_MS,
          notAfter: Date.now() + DAY_MS,
          extensions: [subjectAltNameExtension([{ type: "dns", value: HOST }])],
        },
        files.issuing,
      );
      const templates = { Devices: { decision: "issue", validityDays: 20 } } as const;
      const adcs = await startAdcsSimulator({
        ...{ issuer: files.issuing, server, templates, login: acceptor },
      });
      stack.use(adcs);
      const path = kind === "adcs-web" ? "" : "/CA_CES_Kerberos/service.svc/CES";
      const configuration = {
        kind,
        urls: [`https://${HOST}:${adcs.port}${path}`],
        caFile: files.chainFile,
        issuerFile: files.chainFile,
        template: "Devices",
        login: { method: "kerberos", keytabFile, principal: "isthmus@CORP.TEST", ...login },
      };
      const profile = { ...HOST_PROFILE, subjectAltNames: [] };
      return { adcs, lab: stack.use(await startCaLab(configuration, profile)) };
    }
    const asked = { subject: "CN=host-1,O=Example", challenge: STATIC_CHALLENGE };

    test("issues to the connector's account", async (context) => {
      const it = await lab(context, {});
      await it.lab.enrol(asked);
      expect(it.adcs.asked.map(({ user }) => user)).toContain("isthmus@CORP.TEST");
      expect(it.adcs.authority.requests).toHaveLength(1);
    });

    test("lets nobody in whose ticket is not bound to the connection", async (context) => {
      const it = await lab(context, { channelBinding: false });
      await expect(it.lab.enrol(asked)).rejects.toThrow(/401|PENDING|503/);
      const check = await until(async () => {
        const result = await it.lab.check("authority-elsewhere");
        return result?.status === "unhealthy" ? result : undefined;
      });
      expect(check.reason).toMatch(/401/);
      expect(it.adcs.asked).toEqual([]);
    });
  },
);
