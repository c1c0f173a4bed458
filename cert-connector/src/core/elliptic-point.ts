import type { EllipticCurve } from "@isthmus/shared/x509/public-key";

/** y² = x³ - 3x + b modulo p (NIST SP 800-186 section 3.2.1). */
interface CurveNumbers {
  readonly p: bigint;
  readonly b: bigint;
  readonly octets: number;
}

const CURVES: Readonly<Record<EllipticCurve, CurveNumbers>> = {
  "P-256": {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    octets: 32,
  },
  "P-384": {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    octets: 48,
  },
  "P-521": {
    p: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    octets: 66,
  },
};

/** The mark of a point that carries both coordinates (SEC 1 section 2.3.3). */
const UNCOMPRESSED = 0x04;

/** Whether these octets are an uncompressed point, other than infinity, of the curve. */
export function isPointOf(curve: EllipticCurve, point: Buffer): boolean {
  const { p, b, octets } = CURVES[curve];
  if (point.length !== 1 + 2 * octets || point[0] !== UNCOMPRESSED) return false;
  const x = BigInt(`0x${point.toString("hex", 1, 1 + octets)}`);
  const y = BigInt(`0x${point.toString("hex", 1 + octets)}`);
  return x < p && y < p && (x * (x * x - 3n) + b - y * y) % p === 0n;
}
