import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { fetchAuthorities, type Pki, strongSwan } from "./strongswan.ts";

/** A profile that wants a person's approval, and strongSwan's pki that asks again every second until it is given. */

const DAY_MS = 86_400_000;
const folder = temporaryFolder();
let site: Awaited<ReturnType<typeof startConnector>>;

beforeEach(async () => {
  // strongSwan compares certificates with the real clock.
  const of = { now: Date.now(), algorithm: "rsa-2048" } as const;
  site = await startConnector([{ id: "device", approval: true }], of);
});
afterEach(() => site?.[Symbol.asyncDispose]());
afterAll(() => folder[Symbol.dispose]());

/** Starts an enrolment that polls every second, and returns when the request waits for a person. */
async function begin(pki: Pki, name: string) {
  const file = (end: string) => join(folder.path, `${name}-${end}`);
  const url = `${site.url}/scep/device`;
  const authorities = await fetchAuthorities(pki, url, folder.path);
  writeFileSync(file("key.der"), await pki("--gen", "--type", "rsa", "--size", "2048"));
  const challenge = await site.challenge({ subject: `CN=${name}` });
  const about = ["--url", url, "--dn", `CN=${name}`, "--in", file("key.der")];
  const polling = ["--interval", "1", "--maxpolltime", "20"];
  const ended = pki("--scep", ...about, "--password", challenge, ...authorities, ...polling);
  ended.catch(() => undefined);
  const [pendingId] = await until(async () => {
    const waiting = (await control("request.list", {})) as { readonly id: number }[];
    return waiting.length > 0 ? waiting.map(({ id }) => id) : undefined;
  }, "a request that waits");
  return { ended, pendingId };
}

const control = (name: string, argument: unknown) =>
  site.service.controls?.[name]?.(argument) as Promise<unknown>;

test("strongSwan asks until a person has approved, and has its certificate then", async (context) => {
  const { ended, pendingId } = await begin(strongSwan(context), "approved");
  await control("request.approve", { pendingId });
  const certificate = new X509Certificate(await ended);
  expect(certificate.subject).toBe("CN=approved");
  expect(certificate.subjectAltName).toContain("URI:urn:isthmus:device:device-1");
});

test("strongSwan ends with a failure once a person has rejected", async (context) => {
  const { ended, pendingId } = await begin(strongSwan(context), "rejected");
  await control("request.reject", { pendingId });
  await expect(ended).rejects.toThrow(/fail/i);
  await expect(control("request.approve", { pendingId })).rejects.toMatchObject({
    code: "request-unknown",
  });
});

test("a request that nobody decided on in thirty days is over, for the device and for a person", async (context) => {
  const { ended, pendingId } = await begin(strongSwan(context), "forgotten");
  site.kernel.clock.advance(30 * DAY_MS + 60_000);
  await expect(ended).rejects.toThrow(/fail/i);
  await expect(control("request.approve", { pendingId })).rejects.toMatchObject({
    code: "request-expired",
  });
});
