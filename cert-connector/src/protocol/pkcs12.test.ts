import { createPrivateKey, type KeyObject } from "node:crypto";
import { createSecureContext } from "node:tls";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { integer } from "@isthmus/shared/x509/der-writer";
import { beforeAll, describe, expect, test } from "vitest";
import { identityIn } from "./pkcs12-identity.ts";
import { bmpPassword, KDF_PURPOSE, pkcs12Kdf } from "./pkcs12-kdf.ts";
import { MAX_PKCS12_BYTES, parsePkcs12 } from "./pkcs12-reader.ts";
import { encodePkcs12, type Pkcs12Format } from "./pkcs12-writer.ts";

const PASSWORD = "correct horse é 漢";
const FORMATS = ["legacy", "modern"] as const;

let authority: TestIdentity;
let device: TestIdentity;
const files = new Map<Pkcs12Format, Buffer>();
beforeAll(async () => {
  authority = await testAuthority({ subject: "CN=CA" });
  device = await testCertificate({ subject: "CN=device", key: testRsaKey() }, authority);
  for (const format of FORMATS) files.set(format, await written(format, PASSWORD));
});

function written(format: Pkcs12Format, password: string, identity = device): Promise<Buffer> {
  const content = {
    privateKey: pkcs8(identity.key),
    certificate: identity.certificate.der,
    chain: [authority.certificate.der],
    friendlyName: "a device: é 漢",
    localKeyId: Buffer.from("0102", "hex"),
  };
  return encodePkcs12(content, { format, password }, systemRandom);
}

const pkcs8 = (key: KeyObject) => key.export({ format: "der", type: "pkcs8" });
const file = (format: Pkcs12Format) => files.get(format) ?? Buffer.alloc(0);
const codeOf = (parsing: Promise<unknown>) =>
  parsing.then(
    () => "read",
    (error) => error.code as string,
  );

describe.each(FORMATS)("a %s PFX", (format) => {
  test("gives back key, certificate, chain and name", async () => {
    const identity = identityIn(await parsePkcs12(file(format), PASSWORD));
    expect(pkcs8(identity.privateKey)).toEqual(pkcs8(device.key));
    expect(identity.certificate.der).toEqual(device.certificate.der);
    expect(identity.chain.map(({ der }) => der)).toEqual([authority.certificate.der]);
    expect(identity.friendlyName).toBe("a device: é 漢");
  });

  test("is what Node's own TLS takes", async () => {
    const pfx = await written(format, "ascii");
    expect(() => createSecureContext({ pfx, passphrase: "ascii" })).not.toThrow();
    expect(() => createSecureContext({ pfx, passphrase: "other" })).toThrow();
  });

  test("tells a wrong password from a broken file", async () => {
    expect(await codeOf(parsePkcs12(file(format), "wrong"))).toBe("pkcs12-password");
    expect(await codeOf(parsePkcs12(file(format), ""))).toBe("pkcs12-password");
    const half = file(format).subarray(0, 200);
    expect(await codeOf(parsePkcs12(half, PASSWORD))).toBe("der-truncated");
    expect(await codeOf(parsePkcs12(half, "wrong"))).toBe("der-truncated");
  });

  test("shows neither key nor password", async () => {
    const secrets = [pkcs8(device.key).subarray(40, 72), Buffer.from(PASSWORD)];
    for (const secret of secrets) expect(file(format).includes(secret)).toBe(false);
  });

  test("may have an empty password", async () => {
    const { keys } = await parsePkcs12(await written(format, ""), "");
    expect(keys).toHaveLength(1);
  });
});

describe("a reader", () => {
  test("takes as many iterations as it is told, and not one more", async () => {
    const [at, below] = [{ maxIterations: 10_000 }, { maxIterations: 9_999 }];
    expect(await codeOf(parsePkcs12(file("modern"), PASSWORD, at))).toBe("read");
    expect(await codeOf(parsePkcs12(file("modern"), PASSWORD, below))).toBe("pkcs12-iterations");
  });

  test("takes as many rounds of hashing in all as it is told, those of the MAC among them", async () => {
    // The MAC, and for each of two bags two parts of a key and an initialization vector.
    const rounds = 2_048 * (1 + 2 * 3);
    const [at, below] = [{ maxHashRounds: rounds }, { maxHashRounds: rounds - 1 }];
    expect(await codeOf(parsePkcs12(file("legacy"), PASSWORD, at))).toBe("read");
    expect(await codeOf(parsePkcs12(file("legacy"), PASSWORD, below))).toBe("pkcs12-iterations");
  });

  test("refuses a billion iterations of the MAC before it makes the first", async () => {
    // The MAC's count is the last element.
    const count = integer(2_048);
    expect(file("legacy").subarray(-count.length)).toEqual(count);
    const grown = Buffer.concat([
      file("legacy").subarray(0, -count.length),
      integer(1_000_000_000),
    ]);
    const added = grown.length - file("legacy").length;
    grown.writeUInt16BE(file("legacy").readUInt16BE(2) + added, 2);
    const macAt = grown.length - added - count.length - 18 - 35 - 2;
    grown[macAt + 1] = (grown[macAt + 1] ?? 0) + added;
    expect(await codeOf(parsePkcs12(grown, PASSWORD))).toBe("pkcs12-iterations");
  });

  test("refuses a file over its limit", async () => {
    const parsing = parsePkcs12(Buffer.alloc(MAX_PKCS12_BYTES + 1), PASSWORD);
    expect(await codeOf(parsing)).toBe("pkcs12-malformed");
  });

  test("wants the certificate of the very key", async () => {
    const other = { certificate: authority.certificate, key: device.key };
    const stranger = await parsePkcs12(await written("legacy", "x", other), "x");
    expect(() => identityIn(stranger)).toThrow(
      expect.objectContaining({ code: "pkcs12-certificate" }),
    );
    expect(() => identityIn({ ...stranger, keys: [] })).toThrow(
      expect.objectContaining({ code: "pkcs12-key" }),
    );
  });

  test("takes EC keys too", async () => {
    const leaf = await testCertificate({ subject: "CN=ec" }, authority);
    const { keys } = await parsePkcs12(await written("modern", "x", leaf), "x");
    const key = createPrivateKey({
      key: keys[0]?.privateKey ?? Buffer.alloc(0),
      format: "der",
      type: "pkcs8",
    });
    expect(key.asymmetricKeyType).toBe("ec");
  });
});

/** Vectors made with `openssl kdf -kdfopt ... PKCS12KDF` of OpenSSL 3. */
test.each([
  ["sha1", 1, 24, 1_000],
  ["sha256", 3, 32, 1],
] as const)("derives as OpenSSL does (%s)", (digest, id, bytes, iterations) => {
  const purpose = id === 1 ? KDF_PURPOSE.key : KDF_PURPOSE.mac;
  const salt = Buffer.from("0102030405060708", "hex");
  const derived = pkcs12Kdf({
    digest,
    password: bmpPassword("queeg"),
    salt,
    iterations,
    purpose,
    bytes,
  });
  expect(derived.toString("hex")).toBe(VECTORS[digest]);
});

const VECTORS = {
  sha1: "ca1d7f5fa6eaa6989b01b98d488789d66e741bc8c3a6d048",
  sha256: "fbd61411ee41e8f3a192c60715a6526f1a249c1fd76833abd51f964eb7c0454d",
};

test("a password outside BMPString is refused by name", () => {
  expect(() => bmpPassword("\u{1f600}")).toThrow(
    expect.objectContaining({ code: "pkcs12-password-form" }),
  );
});
