import { appendFileSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { until } from "@isthmus/shared/testing/until";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Asked,
  AttackedBridge,
  application,
  notify,
  query,
  script,
} from "./hostile/attacked-bridge.ts";

/**
 * A listener of the attacker's, whose certificate the bridge would believe: whatever the control plane writes into the fields that it has, nobody comes there,
 * and so no credential of the site's does. At the end the host's own file names it, which shows that it would have seen one.
 */

const DAY_MS = 86_400_000;

let bridge: AttackedBridge;
let listener: Server;
let host = "";
const seen: (string | undefined)[] = [];
let connections = 0;

beforeAll(async () => {
  bridge = await AttackedBridge.open();
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS };
  const authority = await testAuthority({ subject: "CN=Attacker", ...validity });
  const extensions = [subjectAltNameExtension([{ type: "dns", value: "localhost" }])];
  const identity = await testCertificate({ subject: "CN=a", extensions, ...validity }, authority);
  const key = identity.key.export({ type: "pkcs8", format: "pem" });
  const cert = derToPem(identity.certificate.der, "CERTIFICATE");
  listener = createServer({ key, cert }, ({ headers }, response) => {
    seen.push(headers.authorization);
    response.writeHead(401, { "www-authenticate": ["Negotiate", "Bearer"] }).end();
  });
  listener.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  host = `localhost:${(listener.address() as AddressInfo).port}`;
  const { authority: file } = bridge.suite.layout.configurationManager;
  appendFileSync(file, `\n${derToPem(authority.certificate.der, "CERTIFICATE")}`);
  await bridge.tighten((guardrails) => {
    guardrails.commands.allow.push(
      ...["site.application", "site.recovery-key", "site.custom-properties"],
    );
  });
});

afterAll(async () => {
  listener.closeAllConnections();
  listener.close();
  await bridge[Symbol.asyncDispose]();
});

describe("a host that the control plane names", () => {
  const url = () => `https://${host}`;
  const ldap = () => `ldaps://${host}`;
  const site = (more: object) => ({ sites: [{ source: "CM1", ...more }] });
  test.each<readonly [string, () => object]>([
    ["as the address of a site", () => site({ url: url() })],
    ["as its provider", () => site({ provider: host, siteServer: host })],
    ["within its connection", () => site({ site: { url: url(), siteCode: "CM1" } })],
    ["as its code", () => ({ sites: [{ source: host }] })],
    ["as a class", () => site({ inventoryClasses: [`SMS_G_System_X@${host}/`] })],
    ["as a class that is an address", () => site({ inventoryClasses: [url()] })],
    ["as a collection", () => site({ collections: [url()] })],
    ["as the site of the local file", () => ({ sites: [], site: { url: url() } })],
    ["with the file of its credential", () => site({ url: url(), tokenFile: "site-token" })],
    [
      "with a principal",
      () => site({ url: url(), kerberos: { principal: "a@B", keytabFile: "k" } }),
    ],
    ["as a domain", () => ({ sites: [], directories: [{ name: "a.b", urls: [ldap()] }] })],
    ["as its own address", () => ({ sites: [], cloud: { url: url() } })],
    ["as a proxy", () => ({ sites: [], proxy: url(), cloud: { proxy: url() } })],
    ["as a folder of agents", () => ({ sites: [], agents: { folder: `//${host}/share` } })],
  ])("%s in a configuration is refused", async (_, configuration) => {
    await bridge.isRefused(configuration());
  });

  test("in each field of a command brings nobody there", async () => {
    const target = { kind: "devices", resourceIds: [16_777_216] };
    const more = { url: url(), site: { url: url() }, provider: host, host };
    const asked: readonly Asked[] = [
      ["site.notify", { ...notify(target)[1], source: host }],
      ["site.notify", { ...notify(target)[1], ...more }],
      ["site.notify", { ...notify({ kind: "collection", collectionId: url() })[1], ...more }],
      script({ scriptGuid: url(), ...more }),
      script({ version: url(), sha256: url() }),
      script({ parameters: [{ name: url(), value: url() }] }),
      query(`Registry('\\\\${host}\\a')`),
      query(`OperatingSystem | where Caption == '${url()}'`),
      application(`${url()}/Application_`, "reevaluate"),
      ["site.recovery-key", { source: "CM1", resourceId: `1)@${host}/` }],
      ["site.custom-properties", { source: "CM1", resourceId: 16_777_216, set: { a: url() } }],
      ["site.cancel", { source: "CM1", commandId: url() }],
      ["site.refresh", { source: host, resourceIds: [16_777_216] }],
      ["site.refresh", { source: "CM1", resourceIds: [16_777_216], ...more }],
    ];
    const ended = await bridge.send(asked);
    expect(ended).toHaveLength(asked.length);
  });

  test("has seen nobody until now", () => {
    expect([connections, seen]).toEqual([0, []]);
  });
});

test("the credential comes where the host's own file sends it, so that the listener would have seen it", async () => {
  const { configFile } = bridge.suite.layout.of("comgmt-bridge");
  const { tokenFile } = bridge.suite.layout.configurationManager;
  await bridge.edit(configFile, (local) => {
    local.site.url = `https://${host}`;
  });
  await until(() => seen.length > 0, "the credential at the listener", 60_000);
  expect(new Set(seen)).toEqual(new Set([`Bearer ${readFileSync(tokenFile, "utf8")}`]));
});
