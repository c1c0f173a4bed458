import { type ChildProcess, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { peer } from "../peers.ts";
import { runPeer } from "./run-peer.ts";

/** Debian's certmonger: its daemon with a socket and folders of its own, and its `scep-submit` between it and us. */

const WAIT_MS = 60_000;
let site: Awaited<ReturnType<typeof startConnector>>;
beforeAll(async () => {
  // certmonger compares certificates with the real clock.
  const of = { now: Date.now(), algorithm: "rsa-2048" } as const;
  site = await startConnector([{ id: "device", renewalWindowPercent: 100 }], of);
});
afterAll(() => site?.[Symbol.asyncDispose]());

class Certmonger {
  readonly #folder: string;
  readonly #getcert: string;
  readonly #child: ChildProcess;

  constructor(folder: string, context: TestContext) {
    this.#folder = folder;
    this.#getcert = peer("getcert", context);
    const words = ["-n", "-L", "-P", join(folder, "socket"), "-d", "1"];
    this.#child = spawn(peer("certmonger", context), words, {
      stdio: "ignore",
      env: { ...process.env, ...this.#environment() },
    });
  }

  #environment(): Record<string, string> {
    const place = (name: string) => {
      const folder = join(this.#folder, name);
      mkdirSync(folder, { recursive: true });
      return folder;
    };
    return {
      CERTMONGER_CONFIG_DIR: place("config"),
      CERTMONGER_REQUESTS_DIR: place("requests"),
      CERTMONGER_CAS_DIR: place("cas"),
      CERTMONGER_TMPDIR: place("tmp"),
      CERTMONGER_LOCAL_CA_DIR: place("local"),
      CERTMONGER_SYSTEM_LOCK_FILE: join(this.#folder, "lock"),
    };
  }

  async ready(): Promise<void> {
    await until(() => existsSync(join(this.#folder, "socket")), "certmonger's socket", WAIT_MS);
  }

  async run(...words: string[]): Promise<string> {
    const address = `unix:path=${join(this.#folder, "socket")}`;
    return (await runPeer(this.#getcert, words, { CERTMONGER_PVT_ADDRESS: address })).text;
  }

  /** Waits until what it tracks in `file` has a certificate that is not `before`. */
  async certificateIn(file: string, before?: string): Promise<X509Certificate> {
    return await until(
      async () => {
        const listed = await this.run("list", "-f", file);
        if (/stuck: yes|CA_REJECTED|ca-error/.test(listed)) throw new Error(listed);
        if (!listed.includes("status: MONITORING")) return undefined;
        const certificate = new X509Certificate(readFileSync(file));
        return certificate.serialNumber === before ? undefined : certificate;
      },
      "a certificate from certmonger",
      WAIT_MS,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }
}

test("certmonger enrols by scep-submit, and renews with a new key signed by the old certificate", async (context) => {
  using folder = temporaryFolder();
  await using certmonger = new Certmonger(folder.path, context);
  await certmonger.ready();
  const [file, key] = [join(folder.path, "device.pem"), join(folder.path, "device.key")];
  await certmonger.run("add-scep-ca", "-c", "isthmus", "-u", `${site.url}/scep/device`);
  const about = { deviceId: "monitored-1", subject: "CN=monitored-1" };
  const challenge = await site.challenge(about);
  const subject = ["-N", "CN=monitored-1", "-L", challenge];
  await certmonger.run("request", "-c", "isthmus", "-f", file, "-k", key, ...subject);
  const enrolled = await certmonger.certificateIn(file);
  expect(enrolled.subject).toBe("CN=monitored-1");
  expect(enrolled.subjectAltName).toContain("URI:urn:isthmus:device:monitored-1");

  // It sends the challenge again, which is used up by then, in a PKCSReq that the old certificate signs.
  await certmonger.run("rekey", "-f", file);
  const renewed = await certmonger.certificateIn(file, enrolled.serialNumber);
  expect(renewed.subject).toBe(enrolled.subject);
  expect(renewed.publicKey.equals(enrolled.publicKey)).toBe(false);
  const [row] = await site.kernel.store.query<{ renews_serial_number: string }>(
    "SELECT renews_serial_number FROM enrolment WHERE renews_serial_number IS NOT NULL",
    [],
    1,
  );
  expect(row?.renews_serial_number).toBe(enrolled.serialNumber.toLowerCase());
});

test.each(["0", "1"])(
  "scep-submit's question with message=%s is understood",
  async (identifier) => {
    const response = await fetch(
      `${site.url}/scep/device?operation=GetCACert&message=${identifier}`,
    );
    expect(response.headers.get("content-type")).toBe("application/x-x509-ca-ra-cert");
  },
);
