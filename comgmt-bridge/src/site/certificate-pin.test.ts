import { X509Certificate } from "node:crypto";
import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { rejectedCode, thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { SYSTEM } from "../protocol/admin-service/rows.ts";
import { asking, clientOf } from "../testing/site-under-test.ts";
import {
  type StrictAdminService,
  startStrictAdminService,
} from "../testing/strict-admin-service.ts";
import { pinOf, requirePinned } from "./certificate-pin.ts";

const certificatesOf = ({ leaf, authority }: StrictAdminService) =>
  [leaf, authority].map(({ certificate }) => new X509Certificate(certificate.der)) as [
    X509Certificate,
    X509Certificate,
  ];

async function strangerPin(): Promise<string> {
  return pinOf(new X509Certificate((await testAuthority()).certificate.der));
}

test.each(["leaf", "root"])(
  "the pin of the %s alone is enough, and its CA beside it, too",
  async (which) => {
    await using service = await startStrictAdminService();
    const [leaf, root] = certificatesOf(service);
    const pin = pinOf(which === "leaf" ? leaf : root);
    for (const ca of [undefined, service.caPem]) {
      using client = clientOf(service, { ca, pin });
      expect(await rejectedCode(() => client.rows(SYSTEM, { top: 1 }, asking()))).toBe("nothing");
    }
  },
);

test("with another key than the pinned one no request leaves, whatever the CA says", async () => {
  await using service = await startStrictAdminService();
  const pin = await strangerPin();
  for (const ca of [undefined, service.caPem]) {
    using client = clientOf(service, { ca, pin });
    expect(await rejectedCode(() => client.rows(SYSTEM, {}, asking()))).toBe("site-pin");
  }
  expect(service.requests).toEqual([]);
});

test("a provider of another name, or of an unknown CA, is not asked", async () => {
  await using service = await startStrictAdminService(["elsewhere.test"]);
  const [, root] = certificatesOf(service);
  for (const settings of [{}, { ca: undefined }, { ca: undefined, pin: pinOf(root) }]) {
    using client = clientOf(service, settings);
    expect(await rejectedCode(() => client.rows(SYSTEM, {}, asking()))).toBe("site-certificate");
  }
  expect(service.requests).toEqual([]);
});

test("the pinned key has to have signed what is below it, and all has to hold now", async () => {
  await using service = await startStrictAdminService();
  const [leaf, root] = certificatesOf(service);
  const stranger = new X509Certificate((await testAuthority()).certificate.der);
  const noCa = new X509Certificate((await testCertificate()).certificate.der);
  const now = Date.now();
  const codeOf = (chain: readonly X509Certificate[], pinned: X509Certificate, at = now) =>
    thrownCode(() => requirePinned(chain, { pin: pinOf(pinned), host: "localhost", now: at }));
  expect(codeOf([leaf, root], root)).toBe("nothing");
  expect(codeOf([leaf, stranger], stranger)).toBe("site-certificate");
  expect(codeOf([leaf, noCa], noCa)).toBe("site-certificate");
  expect(codeOf([leaf, root], root, now + 91 * 86_400_000)).toBe("site-certificate");
  expect(codeOf([leaf, root], root, now - 2 * 86_400_000)).toBe("site-certificate");
  expect(codeOf([], root)).toBe("site-pin");
});
