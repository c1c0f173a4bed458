import { DerReader } from "@isthmus/shared/x509/der-reader";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import type { LintRule } from "./lint-rule.ts";

/** NIST SP 800-56B section 6.2: exponents start here. */
const SMALLEST_EXPONENT = 65_537n;
/** The Baseline Requirements ask for a hundred rounds of Fermat's method. */
const FERMAT_ROUNDS = 100;
/** Trial division goes up to the prime 751, as the Baseline Requirements advise. */
const SMALL_PRIME_LIMIT = 752;
/** ROCA (CVE-2017-15361): primes of the broken library are powers of this number, modulo each of the first primes. */
const ROCA_GENERATOR = 65_537;
const ROCA_LARGEST_PRIME = 167;

/** Hex of a number whose highest bit is the highest of an octet. */
const WHOLE_OCTETS = /^[89a-f][0-9a-f]([0-9a-f]{2})*$/;

interface RsaNumbers {
  readonly modulus: bigint;
  readonly exponent: bigint;
}

/** What an RSA key has to be so that nobody finds its factors by what is known of how bad ones are made. */
const RSA_CHECKS: readonly RsaCheck[] = [
  rsaCheck("rsa-exponent", "NIST SP 800-56B section 6.2", ({ exponent }) =>
    exponent < SMALLEST_EXPONENT ? `${exponent} is too small` : undefined,
  ),
  rsaCheck("rsa-size", "CA/Browser Forum Baseline Requirements section 6.1.5", ({ modulus }) =>
    WHOLE_OCTETS.test(modulus.toString(16)) ? undefined : "the modulus is not of whole octets",
  ),
  rsaCheck(
    "rsa-small-factor",
    "CA/Browser Forum Baseline Requirements section 6.1.6",
    ({ modulus }) => {
      const factor = smallFactor(modulus);
      return factor === undefined ? undefined : `${factor} divides the modulus`;
    },
  ),
  rsaCheck(
    "rsa-close-primes",
    "CA/Browser Forum Baseline Requirements section 6.1.1.3; CVE-2022-26320",
    ({ modulus }) =>
      isFoundByFermat(modulus) ? "the two primes are so close that both are found" : undefined,
  ),
  rsaCheck(
    "rsa-roca",
    "CA/Browser Forum Baseline Requirements section 6.1.1.3; CVE-2017-15361",
    ({ modulus }) =>
      isOfRoca(modulus) ? "made by a library whose keys can be factored (ROCA)" : undefined,
  ),
];

export const RSA_RULES: readonly LintRule[] = RSA_CHECKS.map(lintRule);

/** The same of a key alone, e.g. of an authority's request: what is wrong, by rule. Empty for other kinds of key. */
export function rsaKeyFaults(publicKeyInfo: Buffer): string[] {
  return RSA_CHECKS.flatMap(({ name, fault }) => {
    const numbers = rsaNumbers(publicKeyInfo);
    const found = numbers && fault(numbers);
    return found === undefined ? [] : [`${name}: ${found}`];
  });
}

interface RsaCheck {
  readonly name: string;
  readonly source: string;
  readonly fault: (numbers: RsaNumbers) => string | undefined;
}

function rsaCheck(name: string, source: string, fault: RsaCheck["fault"]): RsaCheck {
  return { name, source, fault };
}

function lintRule({ name, source, fault }: RsaCheck): LintRule {
  return {
    name,
    source,
    fault: ({ certificate }) => {
      const numbers = rsaNumbers(certificate.publicKeyInfo);
      return numbers && fault(numbers);
    },
  };
}

/** All rules look at the same key: it is read once. */
const READ = new WeakMap<Buffer, RsaNumbers>();

/** RSAPublicKey of a SubjectPublicKeyInfo; undefined for other keys. */
function rsaNumbers(publicKeyInfo: Buffer): RsaNumbers | undefined {
  const known = READ.get(publicKeyInfo);
  if (known !== undefined) return known;
  const body = new DerReader(publicKeyInfo).enter();
  if (body.enter().readObjectIdentifier() !== OID.rsaEncryption) return undefined;
  const key = new DerReader(body.readBitStringOctets()).enter();
  const numbers = { modulus: unsigned(key.readInteger()), exponent: unsigned(key.readInteger()) };
  READ.set(publicKeyInfo, numbers);
  return numbers;
}

function unsigned(content: Buffer): bigint {
  return BigInt(`0x${content.toString("hex")}`);
}

/** So many primes that their product is an exact number: the long number is divided once for all of them. */
const PRIMES_AT_ONCE = 5;
const SMALL_PRIMES = primesBelow(SMALL_PRIME_LIMIT);
const SMALL_PRIMES_PRODUCT = product(SMALL_PRIMES);
const SMALL_PRIME_GROUPS = SMALL_PRIMES.flatMap((_, index) => {
  const primes = index % PRIMES_AT_ONCE ? [] : SMALL_PRIMES.slice(index, index + PRIMES_AT_ONCE);
  return primes.length === 0 ? [] : [{ primes, of: product(primes) }];
});

function smallFactor(modulus: bigint): number | undefined {
  const rest = modulus % SMALL_PRIMES_PRODUCT;
  for (const { primes, of } of SMALL_PRIME_GROUPS) {
    const short = Number(rest % of);
    const factor = primes.find((prime) => short % prime === 0);
    if (factor !== undefined) return factor;
  }
  return undefined;
}

/**
 * Fermat's method: a number of two close factors is a² - b² with `a` just over its root. Whether a² - n is a square is
 * asked of its remainders first, with small numbers: one in some thousand is left for the long ones.
 */
function isFoundByFermat(modulus: bigint): boolean {
  const start = rootAbove(modulus);
  const remainders = SQUARE_MODULI.map(({ of, isSquare }) => ({
    of,
    isSquare,
    start: Number(start % BigInt(of)),
    modulus: Number(modulus % BigInt(of)),
  }));
  for (let round = 0; round < FERMAT_ROUNDS; round += 1) {
    const mayBeSquare = remainders.every(({ of, isSquare, start: first, modulus: rest }) => {
      const a = (first + round) % of;
      return isSquare[(a * a - rest + of * of) % of];
    });
    if (!mayBeSquare) continue;
    const a = start + BigInt(round);
    const square = a * a - modulus;
    if (rootAbove(square) ** 2n === square) return true;
  }
  return false;
}

const SQUARE_MODULI = [256, 45, 77, 221].map((of) => ({ of, isSquare: squaresModulo(of) }));

function squaresModulo(of: number): readonly boolean[] {
  const isSquare = Array.from({ length: of }, () => false);
  for (let each = 0; each < of; each += 1) isSquare[(each * each) % of] = true;
  return isSquare;
}

/** The smallest number whose square is not below `number`, by Newton's method from a start of 50 right bits. */
function rootAbove(number: bigint): bigint {
  if (number <= 1n) return number;
  const bits = number.toString(16).length * 4;
  const shift = Math.max(0, bits - 104) & ~1;
  let root = BigInt(Math.ceil(Math.sqrt(Number(number >> BigInt(shift)))) + 1) << BigInt(shift / 2);
  for (;;) {
    const next = (root + number / root) >> 1n;
    if (next >= root) break;
    root = next;
  }
  return root * root === number ? root : root + 1n;
}

const ROCA_MARKS = primesBelow(ROCA_LARGEST_PRIME + 1)
  .slice(1)
  .map((prime) => ({ prime, isPower: powersModulo(prime) }));
const ROCA_PRODUCT = product(ROCA_MARKS.map(({ prime }) => prime));

/** Of other keys one in some hundred million has this mark. */
function isOfRoca(modulus: bigint): boolean {
  const rest = modulus % ROCA_PRODUCT;
  return ROCA_MARKS.every(({ prime, isPower }) => isPower[Number(rest % BigInt(prime))]);
}

function powersModulo(prime: number): readonly boolean[] {
  const isPower = Array.from({ length: prime }, () => false);
  for (let power = 1; !isPower[power]; power = (power * ROCA_GENERATOR) % prime) {
    isPower[power] = true;
  }
  return isPower;
}

function primesBelow(limit: number): number[] {
  const candidates = Array.from({ length: limit - 2 }, (_, index) => index + 2);
  return candidates.filter((number) =>
    candidates.every((other) => other >= number || number % other !== 0),
  );
}

function product(numbers: readonly number[]): bigint {
  return numbers.reduce((all, number) => all * BigInt(number), 1n);
}
