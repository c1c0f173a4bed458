import { ConnectorError } from "@isthmus/shared/errors";
import { testAuthority } from "@isthmus/shared/testing/certificate-authority";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { derToPem } from "@isthmus/shared/x509/pem";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { ejbcaAltNames } from "./ejbca-names.ts";
import { readProvisionerKey } from "./provisioner-key.ts";
import { certificatesOfPem, readJson, shortened, wordsOf } from "./remote-answer.ts";

let pem: string;
beforeAll(async () => {
  pem = derToPem((await testAuthority()).certificate.der, "CERTIFICATE");
});

/** Returns, or throws what belongs to us. */
function holds(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error;
  }
}

const answerOf = (body: Uint8Array) => ({ status: 200, headers: {}, body: Buffer.from(body) });
const shape = z.object({ data: z.object({ certificate: z.string() }) });

test("JSON of an authority is read or refused, and its words are short and printable", () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 2_000 }),
    fc.json().map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(body, (bytes) => {
      holds(() => readJson(answerOf(bytes), shape));
      const words = wordsOf(answerOf(bytes), z.object({ message: z.string() }), (it) => it.message);
      expect(words).not.toMatch(/\p{Cc}/u);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("words are cut, and without control characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 2_000 }), (text) => {
      const words = shortened(text);
      expect(words.length).toBeLessThanOrEqual(300);
      expect(words).not.toMatch(/\p{Cc}/u);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("certificates of an answer are read or refused, whatever one character is", () => {
  const change = fc.record({ at: fc.nat(), by: fc.string({ maxLength: 3 }) });
  fc.assert(
    fc.property(change, ({ at, by }) => {
      const start = at % pem.length;
      holds(() => certificatesOfPem(pem.slice(0, start) + by + pem.slice(start + 1)));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("a provisioner's key is read or refused", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 500 }),
    fc.json(),
    fc
      .array(fc.base64String({ maxLength: 20 }), { minLength: 5, maxLength: 5 })
      .map((parts) => parts.join(".")),
    fc
      .record({
        kty: fc.constantFrom("EC", "RSA", "OKP", "oct"),
        crv: fc.string(),
        x: fc.base64String(),
        y: fc.base64String(),
        d: fc.base64String(),
      })
      .map((jwk) => JSON.stringify(jwk)),
  );
  fc.assert(
    fc.property(text, (content) => holds(() => readProvisionerKey(content, "password"))),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("no value of an alternative name becomes another name at EJBCA", () => {
  const name = fc.record({
    type: fc.constantFrom("dns", "uri", "upn", "email"),
    value: fc.string({ minLength: 1, maxLength: 60 }),
  });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), (names) => {
      const text = ejbcaAltNames(names as Parameters<typeof ejbcaAltNames>[0]) ?? "";
      const parts = text.match(/(\\[\s\S]|[^,\\])+/g) ?? [];
      expect(parts).toHaveLength(names.length);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});
