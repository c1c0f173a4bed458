import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startConnector } from "@isthmus/cert-connector/testing/connector-under-test";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fetchAuthorities, strongSwan } from "./strongswan.ts";

/** strongSwan, which checks that the answer is signed by the RA that it was given, before and after the RA's key has changed. */

const DAY_MS = 86_400_000;
const folder = temporaryFolder();
let site: Awaited<ReturnType<typeof startConnector>>;

beforeAll(async () => {
  // strongSwan compares certificates with the real clock.
  const of = { now: Date.now(), algorithm: "rsa-2048" } as const;
  site = await startConnector([{ id: "device" }], of);
});
afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test("who kept the RA's certificate from before a rollover enrols, and so does who asks anew", async (context) => {
  const pki = strongSwan(context);
  const url = `${site.url}/scep/device`;
  const key = join(folder.path, "key.der");
  writeFileSync(key, await pki("--gen", "--type", "rsa", "--size", "2048"));
  const enrol = async (authorities: readonly string[]) => {
    const challenge = await site.challenge({ subject: "CN=roller" });
    const about = ["--url", url, "--dn", "CN=roller", "--in", key, "--password", challenge];
    return new X509Certificate(await pki("--scep", ...about, ...authorities));
  };

  const before = await fetchAuthorities(pki, url, folder.path);
  expect((await enrol(before)).subject).toBe("CN=roller");
  await site.service.controls?.["ca.renew-ra"]?.({});
  const after = await fetchAuthorities(pki, url, folder.path);
  expect((await enrol(before)).subject).toBe("CN=roller");
  expect((await enrol(after)).subject).toBe("CN=roller");

  site.kernel.clock.advance(31 * DAY_MS);
  await expect(enrol(before)).rejects.toThrow(/fail/i);
  expect((await enrol(after)).subject).toBe("CN=roller");
});
