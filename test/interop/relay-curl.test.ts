import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { missing, peer } from "../peers.ts";
import { findCurlBackport } from "../setup/curl-backport.ts";
import { findTool } from "../tools.ts";
import { runPeer } from "./run-peer.ts";

/** A standalone gateway as its own process, certificates made by openssl, curl as the device. */
const ENTRY = fileURLToPath(new URL("../../tunnel-gateway/src/main.ts", import.meta.url));
const PAGE = Buffer.alloc(20_000_000, "a page behind the relay ");

let folder: string;
let site: Server;
let sitePort: number;
let gateway: ChildProcess | undefined;
let proxy: string;
const uploads: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-curl-"));
  site = createServer((request, response) => {
    const digest = createHash("sha256");
    request.on("data", (chunk: Buffer) => digest.update(chunk));
    request.on("end", () => {
      uploads.push(digest.digest("hex"));
      response.end(request.method === "PUT" ? "stored" : PAGE);
    });
  });
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  sitePort = (site.address() as { port: number }).port;
  const openssl = findTool("openssl");
  if (openssl === undefined) return;
  await makeCertificates(openssl);
  await startGateway();
});

afterAll(async () => {
  if (gateway?.exitCode === null) {
    const ended = once(gateway, "exit");
    gateway.kill("SIGTERM");
    await ended;
  }
  site.close();
  rmSync(folder, { recursive: true, force: true });
});

const file = (name: string) => join(folder, name);

async function makeCertificates(openssl: string): Promise<void> {
  const issue = async (
    name: string,
    subject: string,
    issuer: string | undefined,
    extensions: string,
  ) => {
    const key = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
    const request = ["-keyout", file(`${name}.key`), "-out", file(`${name}.csr`), "-subj", subject];
    await runPeer(openssl, [...key, ...request]);
    writeFileSync(file(`${name}.ext`), extensions);
    const signed = ["x509", "-req", "-in", file(`${name}.csr`), "-days", "30", "-CAcreateserial"];
    const by =
      issuer === undefined
        ? ["-signkey", file(`${name}.key`)]
        : ["-CA", file(`${issuer}.pem`), "-CAkey", file(`${issuer}.key`)];
    const as = ["-extfile", file(`${name}.ext`), "-out", file(`${name}.pem`)];
    const words =
      issuer === undefined ? signed.filter((word) => word !== "-CAcreateserial") : signed;
    await runPeer(openssl, [...words, ...by, ...as]);
  };
  const authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign";
  const device = (id: string) =>
    `subjectAltName=URI:urn:isthmus:device:${id}\nextendedKeyUsage=clientAuth`;
  await issue("root", "/CN=Root", undefined, authority);
  await issue("issuing", "/CN=Issuing", "root", authority);
  await issue("server", "/CN=localhost", "root", "subjectAltName=DNS:localhost");
  await issue("device", "/CN=device", "issuing", device("d1"));
  await issue("revoked", "/CN=revoked", "issuing", device("d1"));
  await issue("stranger", "/CN=stranger", "issuing", device("d9"));
  const pem = (name: string) => readFileSync(file(`${name}.pem`), "utf8");
  writeFileSync(file("anchors.pem"), pem("issuing") + pem("root"));
  await revoke(openssl);
}

/** A revocation list as `openssl ca` makes it from its database. */
async function revoke(openssl: string): Promise<void> {
  const configuration = [
    "[ca]\ndefault_ca=here\n[here]",
    `database=${file("index.txt")}`,
    `crlnumber=${file("number")}`,
    "default_md=sha256\ndefault_crl_days=7\ncrl_extensions=extensions",
    "[extensions]\nauthorityKeyIdentifier=keyid",
  ];
  writeFileSync(file("ca.cnf"), `${configuration.join("\n")}\n`);
  writeFileSync(file("index.txt"), "");
  writeFileSync(file("number"), "01\n");
  const by = [
    "-config",
    file("ca.cnf"),
    "-cert",
    file("issuing.pem"),
    "-keyfile",
    file("issuing.key"),
  ];
  await runPeer(openssl, ["ca", "-revoke", file("revoked.pem"), ...by]);
  await runPeer(openssl, ["ca", "-gencrl", "-out", file("list.pem"), ...by]);
}

async function startGateway(): Promise<void> {
  const ports = [sitePort];
  const rules = [
    { name: "closed", action: "deny", destinations: [{ name: "closed.test", ports }] },
    { name: "site", action: "allow", destinations: [{ name: "site.test", ports }] },
  ];
  const list = [{ deviceId: "d1", groups: [], compliance: "compliant" }];
  const configuration = {
    policies: [{ name: "staff", groups: ["*"], rules }],
    devices: { source: "list", list },
  };
  writeFileSync(file("desired.json"), JSON.stringify({ version: 1, configuration }));
  const local = {
    stateFolder: "state",
    standalone: { desiredConfigurationFile: "desired.json" },
    listen: { address: "127.0.0.1", port: 0 },
    tls: { certificateFile: "server.pem", keyFile: "server.key" },
    trustAnchors: { devices: { file: "anchors.pem", crl: { file: "list.pem" } } },
    allowedInternal: [{ cidr: "127.0.0.1/32", ports }],
    resolver: { hosts: { "site.test": "127.0.0.1", "closed.test": "127.0.0.1" } },
  };
  writeFileSync(file("gateway.json"), JSON.stringify(local));
  gateway = spawn(process.execPath, [ENTRY, "run", "--config", file("gateway.json")], {
    stdio: "ignore",
  });
  const run = file("state/run.json");
  const url = await until(
    () => existsSync(run) && String(JSON.parse(readFileSync(run, "utf8")).tunnelUrl),
    "the gateway's start",
    20_000,
  );
  proxy = `https://localhost:${new URL(url).port}`;
}

/** curl through the relay as one of the devices; what it wrote, and what it said on the way. */
function curl(context: TestContext, as: string | undefined, ...words: string[]) {
  peer("openssl", context);
  const identity =
    as === undefined ? [] : ["--proxy-cert", file(`${as}.pem`), "--proxy-key", file(`${as}.key`)];
  const relay = ["--proxy", proxy, "--proxy-cacert", file("root.pem"), "--proxytunnel"];
  const all = ["-sS", "-v", "--max-time", "20", ...relay, ...identity, ...words];
  return runPeer(peer("curl", context), all);
}

const siteUrl = () => `http://site.test:${sitePort}/`;
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("curl fetches a page of 20 MB whole, with its client certificate", async (context) => {
  await curl(context, "device", "-o", file("page"), siteUrl());
  expect(sha256(readFileSync(file("page")))).toBe(sha256(PAGE));
});

test("curl sends a file of 20 MB whole", async (context) => {
  writeFileSync(file("upload"), PAGE);
  const { text } = await curl(context, "device", "-T", file("upload"), "-H", "Expect:", siteUrl());
  expect(text).toContain("stored");
  expect(uploads.at(-1)).toBe(sha256(PAGE));
});

test("curl is shown the rule that refuses", async (context) => {
  const closed = curl(context, "device", `http://closed.test:${sitePort}/`);
  await expect(closed).rejects.toThrow(/403[\s\S]*Proxy-Status: .*details="rule staff\/closed"/);
  const metadata = curl(context, "device", "http://169.254.169.254/");
  await expect(metadata).rejects.toThrow(/403[\s\S]*details="rule egress\/metadata"/);
});

test("curl is refused for a device that is unknown and for a certificate that is revoked", async (context) => {
  await expect(curl(context, "stranger", siteUrl())).rejects.toThrow(/rule gate\/known-device/);
  await expect(curl(context, "revoked", siteUrl())).rejects.toThrow(/rule revocation\/devices/);
});

test("curl without a client certificate gets no answer", async (context) => {
  await expect(curl(context, undefined, siteUrl())).rejects.toThrow(/failed/);
});

/** The same with the curl that speaks HTTP/2 to the relay. */
function curlHttp2(context: TestContext, as: string, ...words: string[]) {
  peer("openssl", context);
  const curl = findCurlBackport() ?? missing("curl 8 of bookworm-backports", context);
  const identity = ["--proxy-cert", file(`${as}.pem`), "--proxy-key", file(`${as}.key`)];
  const relay = ["--proxy", proxy, "--proxy-cacert", file("root.pem"), "--proxy-http2"];
  // Of an answer that refuses, curl shows nothing over HTTP/2 unless it is told to trace it.
  const said = ["-sS", "-v", "--trace-config", "h2-proxy", "--max-time", "20", "--proxytunnel"];
  const all = [...said, ...relay, ...identity, ...words];
  return runPeer(curl.program, all, curl.environment);
}

test("curl fetches and sends 20 MB over HTTP/2 CONNECT with its client certificate", async (context) => {
  const { text } = await curlHttp2(context, "device", "-o", file("page2"), siteUrl());
  expect(text).toContain("CONNECT tunnel: HTTP/2 negotiated");
  expect(sha256(readFileSync(file("page2")))).toBe(sha256(PAGE));
  writeFileSync(file("upload2"), PAGE);
  await curlHttp2(context, "device", "-T", file("upload2"), "-H", "Expect:", siteUrl());
  expect(uploads.at(-1)).toBe(sha256(PAGE));
});

test("curl is refused over HTTP/2 by the same rules", async (context) => {
  const closed = curlHttp2(context, "device", `http://closed.test:${sitePort}/`);
  await expect(closed).rejects.toThrow(/403[\s\S]*proxy-status: .*details="rule staff\/closed"/i);
  await expect(curlHttp2(context, "stranger", siteUrl())).rejects.toThrow(
    /rule gate\/known-device/,
  );
});
