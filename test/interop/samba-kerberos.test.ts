import { join } from "node:path";
import { KerberosTickets } from "@isthmus/cert-connector/ca/kerberos-tickets";
import { systemClock } from "@isthmus/shared/clock";
import { systemRandom } from "@isthmus/shared/random";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterAll, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { type GssAcceptor, startGssAcceptor } from "../simulators/adcs/gss-acceptor.ts";
import { startSambaDomain } from "./samba/samba-domain.ts";

/** Tickets of a real domain, taken up by MIT's library on the server's side as IIS would. */

const HOST = "ca.corp.test";
const CHANNEL = Buffer.from("tls-server-end-point:a digest");
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

let started: Promise<{ acceptor: GssAcceptor; tickets: KerberosTickets }> | undefined;

/** One domain for all: the Kerberos library reads its environment once. */
function kerberos(context: TestContext) {
  peer("gssapi", context);
  started ??= start(context);
  return started;
}

async function start(context: TestContext) {
  const domain = stack.use(await startSambaDomain(context));
  const client = await domain.account({ name: "isthmus" });
  const server = await domain.account({ name: "web", servicePrincipal: `HTTP/${HOST}` });
  process.env["KRB5_CONFIG"] = domain.krb5ConfigFile;
  process.env["KRB5_CLIENT_KTNAME"] = client.keytabFile;
  process.env["KRB5CCNAME"] = `FILE:${join(domain.folder, "krb5cc")}`;
  const { krb5ConfigFile } = domain;
  const acceptor = stack.use(startGssAcceptor({ keytabFile: server.keytabFile, krb5ConfigFile }));
  const parts = { principal: "isthmus@CORP.TEST", clock: systemClock, random: systemRandom };
  return { acceptor, tickets: new KerberosTickets(parts) };
}

async function tokenFor(tickets: KerberosTickets, channel: Uint8Array | undefined) {
  const [scheme, token = ""] = (await tickets.authorization(HOST, channel)).split(" ");
  expect(scheme).toBe("Negotiate");
  return token;
}

test("the server knows who we are, and that the token was made for this channel", async (context) => {
  const { acceptor, tickets } = await kerberos(context);
  const token = await tokenFor(tickets, CHANNEL);
  expect(await acceptor.accept(token, CHANNEL)).toEqual({ user: "isthmus@CORP.TEST", bound: true });
});

test("on another channel the token is worth nothing", async (context) => {
  const { acceptor, tickets } = await kerberos(context);
  const token = await tokenFor(tickets, CHANNEL);
  const other = Buffer.from("tls-server-end-point:b digest");
  expect(await acceptor.accept(token, other)).toEqual({ error: "BadChannelBindingsError" });
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
