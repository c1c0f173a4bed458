import { generateKeyPairSync } from "node:crypto";
import {
  bitString,
  integer,
  nullValue,
  objectIdentifier,
  sequence,
} from "@isthmus/shared/x509/der-writer";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import { LintBench, rulesOf } from "./lint-fixture.ts";
import { RSA_RULES } from "./lint-rsa-rules.ts";

const rsaKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
let bench: LintBench;

beforeAll(async () => {
  bench = await LintBench.make();
});

function faultsOfKey(modulus: bigint, exponent = 65_537n): string[] {
  const key = sequence(integer(modulus), integer(exponent));
  const algorithm = sequence(objectIdentifier(OID.rsaEncryption), nullValue());
  return bench.faults(bench.withKey(sequence(algorithm, bitString(key))));
}

function goodModulus(): bigint {
  const { n = "" } = rsaKey.export({ format: "jwk" });
  return BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`);
}

/** Two odd numbers of 1,024 bits so far apart. Rules on the factors do not ask whether they are prime. */
function closeFactors(apart: bigint): bigint {
  const factor = 2n ** 1_023n + 2n ** 1_022n + 2n ** 700n + 12_345n;
  return factor * (factor + apart);
}

/** A number that is a power of 65,537 modulo each of the primes from 3 to 167, as moduli of the broken library are. */
function rocaModulus(): bigint {
  const isPrime = (n: number) =>
    !Array.from({ length: n - 2 }, (_, i) => i + 2).some((d) => n % d === 0);
  const primes = Array.from({ length: 165 }, (_, i) => i + 3).filter(isPrime);
  const product = primes.reduce((all, prime) => all * BigInt(prime), 1n);
  const power = 65_537n ** 29n % product;
  const high = (2n ** 2_047n + 2n ** 2_000n) / product;
  const candidate = power + high * product;
  return candidate % 2n === 1n ? candidate : candidate + product;
}

type Bad = readonly [rule: string, what: string, faults: () => string[]];
const bad: readonly Bad[] = [
  ["rsa-exponent", "an exponent of 3", () => faultsOfKey(goodModulus(), 3n)],
  ["rsa-size", "2,049 bits", () => faultsOfKey(2n ** 2_048n + 2n ** 1_999n + 1n)],
  ["rsa-size", "2,052 bits", () => faultsOfKey(2n ** 2_051n + 2n ** 1_999n + 1n)],
  [
    "rsa-small-factor",
    "a modulus divisible by 751",
    () => faultsOfKey(((goodModulus() / 751n) | 1n) * 751n),
  ],
  ["rsa-small-factor", "divisible by 3", () => faultsOfKey(((goodModulus() / 3n) | 1n) * 3n)],
  ["rsa-close-primes", "next to each other", () => faultsOfKey(closeFactors(2n))],
  // Found in the last of the hundred rounds: a root so far above that of the product.
  ["rsa-close-primes", "half of their octets equal", () => faultsOfKey(closeFactors(2n ** 515n))],
  ["rsa-roca", "of the broken library", () => faultsOfKey(rocaModulus())],
];

describe("one bad key for each rule", () => {
  test.each(bad)("%s: %s", (rule, _what, faults) => {
    expect(rulesOf(faults())).toContain(rule);
  });

  test("every rule has one", () => {
    const tested = new Set(bad.map(([rule]) => rule));
    expect(RSA_RULES.map(({ name }) => name).filter((name) => !tested.has(name))).toEqual([]);
  });
});

test.each([2_048, 3_072])(
  "a key of %d bits as OpenSSL makes it breaks no rule",
  (modulusLength) => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength });
    expect(bench.faults(bench.withKey(publicKeyInfoOf(publicKey)))).toEqual([]);
  },
);

test("factors a hundred rounds apart and more are not told from good ones", () => {
  expect(rulesOf(faultsOfKey(closeFactors(2n ** 530n)))).not.toContain("rsa-close-primes");
});
