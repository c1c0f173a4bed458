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

interface RsaNumbers {
  readonly modulus: bigint;
  readonly exponent: bigint;
  /** Whether the modulus's highest bit is the highest of an octet: then DER puts an octet for the sign before it. */
  readonly isOfWholeOctets: boolean;
}

/** What an RSA key has to be so that nobody finds its factors by what is known of how bad ones are made. */
const RSA_CHECKS: readonly RsaCheck[] = [
  rsaCheck("rsa-exponent", "NIST SP 800-56B section 6.2", ({ exponent }) =>
    exponent < SMALLEST_EXPONENT ? `${exponent} is too small` : undefined,
  ),
  rsaCheck(
    "rsa-size",
    "CA/Browser Forum Baseline Requirements section 6.1.5",
    ({ isOfWholeOctets }) => (isOfWholeOctets ? undefined : "the modulus is not of whole octets"),
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
  const modulus = key.readInteger();
  const numbers = {
    modulus: unsigned(modulus),
    exponent: unsigned(key.readInteger()),
    isOfWholeOctets: modulus[0] === 0,
  };
  READ.set(publicKeyInfo, numbers);
  return numbers;
}

function unsigned(content: Buffer): bigint {
  return BigInt(`0x${content.toString("hex")}`);
}

/** So many primes that their product is an exact number, and so many products that are divided by together before. */
const PRIMES_AT_ONCE = 5;
const PRODUCTS_AT_ONCE = 5;
const SMALL_PRIMES = primesBelow(SMALL_PRIME_LIMIT);
const SMALL_PRIMES_PRODUCT = product(SMALL_PRIMES);
const SMALL_PRIME_GROUPS = inGroups(
  inGroups(SMALL_PRIMES, PRIMES_AT_ONCE).map((primes) => ({ primes, of: product(primes) })),
  PRODUCTS_AT_ONCE,
).map((groups) => ({ groups, of: product(groups.flatMap(({ primes }) => primes)) }));

/** The long number is divided once, and what is left of it by ever shorter ones. */
function smallFactor(modulus: bigint): number | undefined {
  const rest = modulus % SMALL_PRIMES_PRODUCT;
  for (const { groups, of } of SMALL_PRIME_GROUPS) {
    const part = rest % of;
    for (const { primes, of } of groups) {
      const short = Number(part % of);
      // Below 2^48, so that a quotient by one of the group's primes shows its fraction; `%` costs five times as much.
      for (const prime of primes) if (Number.isInteger(short / prime)) return prime;
    }
  }
  return undefined;
}

function inGroups<T>(all: readonly T[], size: number): T[][] {
  return all.flatMap((_, index) => (index % size === 0 ? [all.slice(index, index + size)] : []));
}

/**
 * Fermat's method: a number of two close factors is a² - b² with `a` just over its root. Whether a² - n is a square is
 * asked of its remainders first, with small numbers: one in some thousand is left for the long ones.
 */
function isFoundByFermat(modulus: bigint): boolean {
  const start = rootAbove(modulus);
  const startRest = Number(start % SQUARE_MODULI_PRODUCT);
  const modulusRest = Number(modulus % SQUARE_MODULI_PRODUCT);
  for (let round = 0; round < FERMAT_ROUNDS; round += 1) {
    if (!mayBeSquare(startRest + round, modulusRest)) continue;
    const a = start + BigInt(round);
    const square = a * a - modulus;
    if (rootAbove(square) ** 2n === square) return true;
  }
  return false;
}

const SQUARE_MODULI = [256, 45, 77, 221].map((of) => ({ of, isSquare: squaresModulo(of) }));
const SQUARE_MODULI_PRODUCT = product(SQUARE_MODULI.map(({ of }) => of));

/** Whether a² - n is a square modulo each of the moduli. */
function mayBeSquare(a: number, n: number): boolean {
  for (const { of, isSquare } of SQUARE_MODULI) {
    const rest = a % of;
    if (!isSquare[(rest * rest + of - (n % of)) % of]) return false;
  }
  return true;
}

function squaresModulo(of: number): readonly boolean[] {
  const isSquare = Array.from({ length: of }, () => false);
  for (let each = 0; each < of; each += 1) isSquare[(each * each) % of] = true;
  return isSquare;
}

/** So many bits of a root come out of floating point less than one off. */
const FIRST_ROOT_BITS = 48;

/**
 * The smallest number whose square is not below `number`. Each step of Newton's method has twice the bits of the one before,
 * so that the last alone divides long numbers; as Python's math.isqrt does, where the proof is.
 */
function rootAbove(number: bigint): bigint {
  if (number <= 1n) return number;
  const half = (bitLength(number) - 1) >> 1;
  let step = 0;
  while (half >> step > FIRST_ROOT_BITS) step += 1;
  let bits = half >> step;
  let root = BigInt(Math.round(Math.sqrt(Number(number >> BigInt(2 * (half - bits))))));
  while (step > 0) {
    step -= 1;
    const before = bits;
    bits = half >> step;
    root =
      (root << BigInt(bits - before - 1)) + (number >> BigInt(2 * half - before - bits + 1)) / root;
  }
  return root * root < number ? root + 1n : root;
}

function bitLength(number: bigint): number {
  const hex = number.toString(16);
  return hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 28;
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
