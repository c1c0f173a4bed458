import { join } from "node:path";
import { loadKerberos } from "@isthmus/cert-connector/ca/kerberos-library";
import { systemClock } from "@isthmus/shared/clock";
import { KerberosTickets } from "@isthmus/shared/directory/kerberos-tickets";
import { systemRandom } from "@isthmus/shared/random";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterAll, expect, type TestContext, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { startGssAcceptor } from "../simulators/adcs/gss-acceptor.ts";
import { startSite } from "../simulators/configmgr/site.ts";
import { AdminServiceClient } from "./configmgr/admin-service-client.ts";
import { startSambaDomain } from "./samba/samba-domain.ts";

/** /AdminService/ takes tickets of a real domain, and nothing else. */

const HOST = "localhost";
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

async function ticketsOf(context: TestContext) {
  peer("gssapi", context);
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
  const tickets = new KerberosTickets(parts);
  const code = await rejectedCode(() => tickets.authorization(HOST, undefined));
  if (code === "kerberos-unavailable") missing("the npm package kerberos (libkrb5-dev)", context);
  return { acceptor, tickets };
}

test("a ticket of the domain is let in by its name, its rights are the principal's", async (context) => {
  const { acceptor, tickets } = await ticketsOf(context);
  const principals = { "isthmus@CORP.TEST": { name: "CORP\\isthmus", rights: ["read"] as const } };
  await using site = await startSite({ devices: 3, negotiate: acceptor, principals });
  const ask = async (authorization: string) => {
    using client = new AdminServiceClient(site, { authorization });
    return await client.get("v1.0/Device");
  };
  const answer = await ask(await tickets.authorization(HOST, undefined));
  expect(answer.status).toBe(200);
  expect(answer.json?.value).toHaveLength(3);
  expect(site.requests().at(-1)).toMatchObject({ principal: "CORP\\isthmus" });
  using client = new AdminServiceClient(site, {
    authorization: await tickets.authorization(HOST, undefined),
  });
  const body = { Type: 8, TargetCollectionID: "SMS00001" };
  const initiate = "wmi/SMS_ClientOperation.InitiateClientOperation";
  expect((await client.post(initiate, body)).status).toBe(403);
  for (const wrong of ["Negotiate AAAA", "NTLM TlRMTVNTUAAB", "Basic eDp5"]) {
    const refused = await ask(wrong);
    expect(refused, wrong).toMatchObject({
      status: 401,
      headers: { "www-authenticate": "Negotiate" },
    });
  }
  const channel = Buffer.from("tls-server-end-point:of another server");
  expect((await ask(await tickets.authorization(HOST, channel))).status).toBe(401);
});
