import { beforeAll, describe, expect, test } from "vitest";
import {
  CA_EXTENSIONS,
  TEST_NOW,
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "../testing/certificate-authority.ts";
import { thrownCode } from "../testing/thrown-code.ts";
import type { Certificate } from "./certificate.ts";
import { buildChain, verifyIssuedBy } from "./chain.ts";
import {
  basicConstraintsExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from "./extensions.ts";
import { nameConstraintsExtension } from "./name-constraints.ts";
import { formatName } from "./name-text.ts";

let root: TestIdentity;
let issuing: TestIdentity;
let device: TestIdentity;
beforeAll(async () => {
  root = await testAuthority({ subject: "CN=root" });
  issuing = await testAuthority({ subject: "CN=issuing" }, root);
  device = await testCertificate({ subject: "CN=device" }, issuing);
});

const chainCode = (leaf: Certificate, intermediates: readonly Certificate[], now = TEST_NOW) =>
  thrownCode(() => buildChain(leaf, intermediates, [root.certificate], now));

describe("a chain", () => {
  test("leads from the leaf over what came along to the anchor", () => {
    const noise = [device.certificate, root.certificate, issuing.certificate];
    const chain = buildChain(device.certificate, noise, [root.certificate], TEST_NOW);
    expect(chain.map(({ subject }) => formatName(subject))).toEqual([
      "CN=device",
      "CN=issuing",
      "CN=root",
    ]);
  });

  test("ends at an anchor that is itself the issuing CA", () => {
    const chain = buildChain(device.certificate, [], [issuing.certificate], TEST_NOW);
    expect(chain).toHaveLength(2);
  });

  test("may be one certificate that is trusted itself", () => {
    expect(buildChain(device.certificate, [], [device.certificate], TEST_NOW)).toHaveLength(1);
  });

  test("is incomplete without the certificate between", () => {
    expect(chainCode(device.certificate, [])).toBe("x509-chain-incomplete");
  });

  test("finds the way that holds when two CAs have one name and key", async () => {
    const expired = await testAuthority(
      { subject: "CN=issuing", key: issuing.key, notAfter: TEST_NOW - 1_000 },
      root,
    );
    const both = [expired.certificate, issuing.certificate];
    expect(chainCode(device.certificate, both)).toBe("nothing");
    expect(chainCode(device.certificate, [expired.certificate])).toBe("x509-chain-time");
  });

  test("does not run in circles where CAs signed each other", async () => {
    const a = await testAuthority({ subject: "CN=a" });
    const b = await testAuthority({ subject: "CN=b" }, a);
    const aByB = await testAuthority({ subject: "CN=a", key: a.key }, b);
    const leaf = await testCertificate({}, a);
    expect(chainCode(leaf.certificate, [a.certificate, b.certificate, aByB.certificate])).toBe(
      "x509-chain-incomplete",
    );
  });

  test.each([
    ["on its first moment", 0, "nothing"],
    ["before it", -1, "x509-chain-time"],
  ])("holds %s", (_, offset, code) => {
    const { notBefore } = device.certificate;
    expect(chainCode(device.certificate, [issuing.certificate], notBefore + offset)).toBe(code);
  });

  test.each([
    ["on its last moment", 0, "nothing"],
    ["after it", 1, "x509-chain-time"],
  ])("holds %s", (_, offset, code) => {
    const { notAfter } = device.certificate;
    expect(chainCode(device.certificate, [issuing.certificate], notAfter + offset)).toBe(code);
  });

  test.each([
    [7, "nothing"],
    [8, "x509-chain-incomplete"],
  ])("of %i certificates and an anchor: %s", async (count, code) => {
    const cas: TestIdentity[] = [root];
    for (let depth = 1; depth < count; depth += 1) {
      cas.push(await testAuthority({ subject: `CN=ca ${depth}` }, cas.at(-1)));
    }
    const leaf = await testCertificate({}, cas.at(-1));
    expect(
      chainCode(
        leaf.certificate,
        cas.map(({ certificate }) => certificate),
      ),
    ).toBe(code);
  });
});

describe("a certificate above the leaf", () => {
  const leafUnder = async (issuer: TestIdentity) => {
    const { certificate } = await testCertificate({}, issuer);
    return chainCode(certificate, [issuer.certificate]);
  };

  test.each([
    ["without basic constraints", [keyUsageExtension(["keyCertSign"])]],
    ["that is no CA", [basicConstraintsExtension({ isCa: false })]],
    [
      "that may sign lists alone",
      [basicConstraintsExtension({ isCa: true }), keyUsageExtension(["cRLSign"])],
    ],
    [
      "with another key identifier",
      [...CA_EXTENSIONS, subjectKeyIdentifierExtension(Buffer.from([1]))],
    ],
  ])("%s does not count", async (_, extensions) => {
    const issuer = await testCertificate({ subject: "CN=x", extensions }, root);
    expect(await leafUnder(issuer)).toBe("x509-chain-incomplete");
  });

  test("with a critical extension that we do not know is refused", async () => {
    const unknown = { oid: "1.2.3", critical: true, value: Buffer.from([5, 0]) };
    const extensions = [...CA_EXTENSIONS, unknown];
    const issuer = await testAuthority({ subject: "CN=x", extensions }, root);
    expect(await leafUnder(issuer)).toBe("x509-chain-critical");
  });

  test("of the right name but another key does not count", async () => {
    const impostor = await testAuthority({
      subject: "CN=issuing",
      extensions: [
        ...CA_EXTENSIONS,
        subjectKeyIdentifierExtension(issuing.certificate.subjectKeyIdentifier ?? Buffer.alloc(0)),
      ],
    });
    expect(verifyIssuedBy(device.certificate, impostor.certificate)).toBe(false);
    expect(verifyIssuedBy(device.certificate, issuing.certificate)).toBe(true);
  });

  test("has as many CAs below it as its path length says", async () => {
    const limited = async (pathLength: number) => {
      const extensions = [basicConstraintsExtension({ isCa: true, pathLength })];
      const top = await testAuthority({ subject: "CN=top", extensions }, root);
      const middle = await testAuthority({ subject: "CN=middle" }, top);
      const leaf = await testCertificate({}, middle);
      return chainCode(leaf.certificate, [top.certificate, middle.certificate]);
    };
    expect(await limited(1)).toBe("nothing");
    expect(await limited(0)).toBe("x509-chain-path-length");
  });
});

describe("name constraints", () => {
  const constrained = async (leafOptions: Parameters<typeof testCertificate>[0]) => {
    const constraints = nameConstraintsExtension({
      permitted: [
        { type: "dns", value: "example.com" },
        { type: "email", value: "example.com" },
      ],
      excluded: [],
    });
    const extensions = [...CA_EXTENSIONS, constraints];
    const ca = await testAuthority({ subject: "CN=constrained", extensions }, root);
    const leaf = await testCertificate(leafOptions, ca);
    return chainCode(leaf.certificate, [ca.certificate]);
  };
  const dns = (value: string) => [subjectAltNameExtension([{ type: "dns", value }])];

  test("hold for alternative names below", async () => {
    expect(await constrained({ extensions: dns("a.example.com") })).toBe("nothing");
    expect(await constrained({ extensions: dns("example.org") })).toBe("x509-chain-names");
  });

  test("hold for mail addresses in the subject", async () => {
    expect(await constrained({ subject: "emailAddress=a@example.com" })).toBe("nothing");
    expect(await constrained({ subject: "emailAddress=a@example.org" })).toBe("x509-chain-names");
  });

  test("do not bind the CA itself", async () => {
    expect(await constrained({ subject: "CN=no constrained form" })).toBe("nothing");
  });
});
