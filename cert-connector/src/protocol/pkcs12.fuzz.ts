import { ProtocolError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { identityIn } from "./pkcs12-identity.ts";
import { parsePkcs12 } from "./pkcs12-reader.ts";
import { encodePkcs12 } from "./pkcs12-writer.ts";

/** Few iterations make a run quick; a file that asks for more is refused before it costs anything. */
const BOUND = { maxIterations: 20_000 };

let files: Buffer[];
beforeAll(async () => {
  const { certificate, key } = await testCertificate();
  const content = {
    privateKey: key.export({ format: "der", type: "pkcs8" }),
    certificate: certificate.der,
    chain: [],
    friendlyName: "device",
    localKeyId: Buffer.of(1),
  };
  files = await Promise.all(
    (["legacy", "modern"] as const).map((format) =>
      encodePkcs12(content, { format, password: "x" }, systemRandom),
    ),
  );
});

test("a hostile PFX is read or refused", async () => {
  await fc.assert(
    fc.asyncProperty(hostileBytes(files), async (bytes) => {
      try {
        identityIn(await parsePkcs12(bytes, "x", BOUND));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }),
    { numRuns: fuzzRuns(300) },
  );
});

test("any password of the Basic Multilingual Plane opens what it closed, and no other does", async () => {
  const { certificate, key } = await testCertificate();
  const content = {
    privateKey: key.export({ format: "der", type: "pkcs8" }),
    certificate: certificate.der,
    chain: [],
    localKeyId: Buffer.of(1),
  };
  const plain = fc.string({ unit: "grapheme-composite", maxLength: 20 }).filter(isBasic);
  await fc.assert(
    fc.asyncProperty(plain, fc.constantFrom("legacy", "modern"), async (password, format) => {
      const file = await encodePkcs12(content, { format, password }, systemRandom);
      expect((await parsePkcs12(file, password)).keys).toHaveLength(1);
      await expect(parsePkcs12(file, `${password}.`)).rejects.toMatchObject({
        code: "pkcs12-password",
      });
    }),
    { numRuns: fuzzRuns(20) },
  );
});

const isBasic = (text: string) => !/[\ud800-\udfff]/.test(text);
