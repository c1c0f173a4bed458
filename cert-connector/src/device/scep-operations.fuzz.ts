import { generateKeyPairSync } from "node:crypto";
import { ConnectorError, ProtocolError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { issueCertificate, publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { Authorities } from "../core/authorities.ts";
import { EnrolmentService } from "../core/enrolment-service.ts";
import { goodIssuer, goodProfile, NOON } from "../core/fixture.ts";
import type { Ledger } from "../core/ledger.ts";
import { staticChallenge } from "../core/static-challenge.ts";
import { beginScepTransaction } from "../protocol/scep-client.ts";
import { parsePkiMessage } from "../protocol/scep-message.ts";
import type { ScepSigner } from "../protocol/scep-writer.ts";
import { envelopeOpener } from "./envelope-opener.ts";
import { IssuanceGate } from "./issuance-gate.ts";
import { ScepOperations } from "./scep-operations.ts";

/** The whole PKIOperation, with a ledger that accepts nothing: bytes in, a CertRep or a ProtocolError out. */

const legacyProfile = { ...goodProfile, legacyAlgorithms: true };
let operations: ScepOperations;
let message: Buffer;
const unexpected: unknown[] = [];

beforeAll(async () => {
  const { issuer } = await goodIssuer();
  const ra = await selfSigned("CN=RA");
  const device = await selfSigned("CN=device");
  const ledger = {
    standingOf: async () => undefined,
    standingOfKey: async () => undefined,
    findCertificates: async () => [],
  } as Partial<Ledger> as Ledger;
  const clock = new FakeClock(NOON);
  const recordFailure = async ({ error }: { readonly error: unknown }) => {
    if (!(error instanceof ConnectorError)) unexpected.push(error);
  };
  const never = staticChallenge(() => undefined);
  const enrolments = new EnrolmentService({
    ledger,
    authorities: new Authorities([]),
    challenges: { signed: never, static: never },
    guard: {
      judgeProfile: () => undefined,
      judgePlan: () => undefined,
      judgeBytes: () => undefined,
      window: undefined,
    },
    signingObstacle: () => undefined,
    recordFailure,
    tellAuthority: async () => "revoked",
    notifications: { deliver: async () => "accepted" },
    publicUrls: () => ({}),
    clock,
    random: systemRandom,
  });
  const key = { responder: ra, opener: envelopeOpener(ra.privateKey, 0) };
  operations = new ScepOperations({
    enrolments,
    ledger,
    authorityOf: () => ({
      registration: { current: () => key, accepted: () => [key], lookAgain: async () => undefined },
      issuers: [issuer.certificate],
      chain: () => issuer.chain,
      nextChain: [],
      currentList: () => undefined,
    }),
    gate: new IssuanceGate(clock),
    clock,
    random: systemRandom,
    report: () => undefined,
    recordFailure,
  });
  const subject = parseNameText("CN=device");
  const certificationRequest = await encodeCertificationRequest({ subject }, device.privateKey);
  const wish = { messageType: "PKCSReq", certificationRequest } as const;
  const server = { recipient: ra.certificate };
  ({ message } = await beginScepTransaction(wish, device, server, systemRandom));
});

async function selfSigned(name: string): Promise<ScepSigner> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const der = await issueCertificate({
    subject: parseNameText(name),
    issuer: { selfSignedWith: privateKey },
    publicKeyInfo: publicKeyInfoOf(privateKey),
    validity: { notBefore: 0, notAfter: 4_000_000_000_000 },
    serialNumber: "01",
    extensions: [],
  });
  return { certificate: parseCertificate(der), privateKey };
}

/** True of bytes that got an answer, false of bytes that are no SCEP message; anything else fails the test. */
async function isAnswered(bytes: Uint8Array): Promise<boolean> {
  try {
    const answer = await operations.answer(bytes, legacyProfile);
    expect(parsePkiMessage(answer).messageType).toBe("CertRep");
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

test("the valid message is answered, so that mutations of it reach every step", async () => {
  expect(await isAnswered(message)).toBe(true);
});

test("random bytes are no SCEP message", async () => {
  const bytes = fc.uint8Array({ maxLength: 2_048 });
  const property = fc.asyncProperty(bytes, async (each) => !(await isAnswered(each)));
  await fc.assert(property, { numRuns: fuzzRuns(2_000) });
});

test("a mutated message is answered with a CertRep or refused, and breaks nothing", async () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  const whole = { weight: 9, arbitrary: fc.constant(undefined) };
  const length = fc.oneof(whole, { weight: 1, arbitrary: fc.nat() });
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(edits, length, async (changes, cut) => {
      const mutated = Buffer.from(message);
      for (const [at, octet] of changes) mutated[at % mutated.length] = octet;
      const bytes = cut === undefined ? mutated : mutated.subarray(0, cut % mutated.length);
      if (await isAnswered(bytes)) answered += 1;
    }),
    { numRuns: fuzzRuns(1_500) },
  );
  expect(answered).toBeGreaterThan(0);
  expect(unexpected).toEqual([]);
});
