import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { assembleSigned } from "@isthmus/shared/x509/certificate";
import {
  encodeCertificationRequest,
  parseCertificationRequest,
} from "@isthmus/shared/x509/certification-request";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { sign } from "@isthmus/shared/x509/signature";
import { beforeAll, describe, expect, test } from "vitest";
import { Authorities } from "./authorities.ts";
import type { DirectoryLookup } from "./directory-entry.ts";
import type { EnrolmentRequest } from "./enrolment-request.ts";
import { EnrolmentService } from "./enrolment-service.ts";
import { goodEntry, goodGrant, goodIssuer, goodProfile, NOON } from "./fixture.ts";
import type { Issuer } from "./issuer.ts";
import type { Intent, IssuedRecord, Ledger, UnfinishedIntent } from "./ledger.ts";
import type { CertificateAuthority, IssuanceAnswer } from "./ports.ts";
import type { Profile } from "./profile.ts";

let issuer: Issuer;
let issuerKey: KeyObject;
let request: EnrolmentRequest;

beforeAll(async () => {
  ({ issuer, key: issuerKey } = await goodIssuer());
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const der = await encodeCertificationRequest({ subject: parseNameText("CN=a") }, privateKey);
  const certificationRequest = parseCertificationRequest(der);
  request = {
    frontDoor: "scep",
    transactionId: "t-1",
    profile: goodProfile,
    certificationRequest,
    requesterKeyInfo: certificationRequest.publicKeyInfo,
    proof: { kind: "challenge", challengePassword: "good" },
  };
});

/** A service whose steps are written down in order; `issue` replaces what the authority does. */
function service(
  of: {
    readonly issue?: CertificateAuthority["issue"];
    readonly unfinished?: readonly UnfinishedIntent[];
    readonly find?: DirectoryLookup["find"];
  } = {},
) {
  const steps: string[] = [];
  const intents: Intent[] = [];
  const failures: unknown[] = [];
  const signed = async (tbs: Uint8Array): Promise<IssuanceAnswer> => {
    const { signatureAlgorithm } = issuer;
    const signature = await sign(signatureAlgorithm, tbs, issuerKey);
    return { kind: "issued", certificate: assembleSigned(tbs, signatureAlgorithm, signature) };
  };
  const ledger = {
    standingOf: async () => undefined,
    unfinishedIntents: async () => of.unfinished ?? [],
    recordIntent: async (intent: Intent) => {
      steps.push("intent");
      intents.push(intent);
      return { kind: "recorded" };
    },
    recordIssued: async ({ certificate }: IssuedRecord) => {
      steps.push("issued");
      return certificate;
    },
  } as Partial<Ledger> as Ledger;
  const authority: CertificateAuthority = {
    name: "embedded",
    labels: [],
    kind: "embedded",
    issuer: () => issuer,
    obstacle: () => undefined,
    issue: async (order) => {
      steps.push("sign");
      return await (of.issue?.(order) ?? signed(order.tbs));
    },
    revoke: async () => undefined,
  };
  const verifier = {
    verify: async ({ challengePassword }: { challengePassword: string | undefined }) => {
      steps.push("challenge");
      if (challengePassword !== "good") throw new RefusalError("challenge-invalid", "r", "no");
      return goodGrant;
    },
  };
  const enrolments = new EnrolmentService({
    ledger,
    authorities: new Authorities([authority]),
    challenges: { signed: verifier, static: verifier },
    ...(of.find && { directories: new Map([["ad", { find: of.find }]]) }),
    guard: {
      judgeProfile: () => undefined,
      judgePlan: () => undefined,
      judgeBytes: () => undefined,
      window: undefined,
    },
    signingObstacle: () => undefined,
    recordFailure: async ({ error }) => void failures.push(error),
    tellAuthority: async () => "revoked",
    notifications: { deliver: async () => "accepted" },
    publicUrls: () => ({}),
    clock: new FakeClock(NOON),
    random: systemRandom,
  });
  return { enrolments, steps, intents, failures };
}

test("intent is stored before anything is signed, and the certificate before the device has it", async () => {
  const { enrolments, steps, intents } = service();
  const outcome = await enrolments.enrol(request);
  expect(steps).toEqual(["challenge", "intent", "sign", "issued"]);
  expect(outcome).toMatchObject({ kind: "issued", issuerKeyId: issuer.keyId });
  expect(intents[0]?.serialNumber).toMatch(/^[0-9a-f]{40}$/);
});

test("what is refused before the intent leaves nothing behind but its record", async () => {
  const { enrolments, steps, failures } = service();
  const proof = { kind: "challenge", challengePassword: "bad" } as const;
  await expect(enrolments.enrol({ ...request, proof })).rejects.toMatchObject({
    code: "challenge-invalid",
  });
  expect(steps).toEqual(["challenge"]);
  expect(failures).toHaveLength(1);
});

test("a key below the profile's floor is never intended", async () => {
  const { enrolments, steps } = service();
  const profile = { ...goodProfile, keyFloor: { rsaBits: 2048, curves: [] } };
  await expect(enrolments.enrol({ ...request, profile })).rejects.toMatchObject({
    code: "key-below-floor",
  });
  expect(steps).toEqual(["challenge"]);
});

test("after a crash the very bytes of each intent are signed, and one that cannot be stays", async () => {
  const unfinished = ["01", "02", "03"].map((serialNumber) => ({
    transactionId: serialNumber,
    authority: serialNumber === "02" ? "gone" : "embedded",
    issuerKeyId: issuer.keyId,
    serialNumber,
    tbs: Buffer.from([0x30, 0x00]),
  }));
  const orders: string[] = [];
  const { enrolments, failures } = service({
    unfinished,
    issue: async ({ serialNumber, tbs }) => {
      orders.push(`${serialNumber} ${Buffer.from(tbs).toString("hex")}`);
      return { kind: "issued", certificate: Buffer.from(serialNumber) };
    },
  });
  expect(await enrolments.completeUnfinished("embedded")).toEqual({ completed: 2, left: 1 });
  expect(orders).toEqual(["01 3000", "03 3000"]);
  expect(failures).toEqual([expect.objectContaining({ code: "authority-unknown" })]);
});

describe("an account in a directory", () => {
  const directory = { name: "ad", lookUp: "user", required: true, publish: false } as const;
  const profile = {
    ...goodProfile,
    directory,
    subject: { template: "CN={{OnPremisesSamAccountName}}" },
  };
  const enrolWith = (find: DirectoryLookup["find"] | undefined, changes: Partial<Profile> = {}) => {
    const it = service(find && { find });
    return {
      ...it,
      outcome: it.enrolments.enrol({ ...request, profile: { ...profile, ...changes } }),
    };
  };

  test("is looked for by what the challenge proves, once it is proven, and before the intent", async () => {
    const asked: unknown[] = [];
    const { outcome, intents, steps } = enrolWith(async (lookUp, grant) => {
      asked.push(lookUp, grant.userPrincipalName, [...steps]);
      return goodEntry;
    });
    await outcome;
    expect(asked).toEqual(["user", goodGrant.userPrincipalName, ["challenge"]]);
    expect(intents[0]?.subject).toBe("CN=ada");
    expect(JSON.stringify(intents[0]?.grant)).not.toContain(goodEntry.securityIdentifier);
  });

  test("that is not there refuses the request, if the profile requires one", async () => {
    const { outcome, steps } = enrolWith(async () => undefined);
    await expect(outcome).rejects.toMatchObject({ code: "account-missing" });
    expect(steps).toEqual(["challenge"]);
    const optional = {
      directory: { ...directory, required: false },
      subject: { template: "CN=x" },
    };
    expect(await enrolWith(async () => undefined, optional).outcome).toMatchObject({
      kind: "issued",
    });
  });

  test("that cannot be looked for now is no reason to issue without it", async () => {
    const away = new ConnectorError("directory-unreachable", "away", { isRetryable: true });
    for (const required of [true, false]) {
      const changes = { directory: { ...directory, required } };
      const { outcome } = enrolWith(async () => Promise.reject(away), changes);
      await expect(outcome).rejects.toBe(away);
    }
    await expect(enrolWith(undefined).outcome).rejects.toMatchObject({ code: "directory-unknown" });
  });

  test("is not looked for where the challenge lacks its key and the profile can do without", async () => {
    const lacking = new RefusalError("directory-key-missing", "profile.directory", "no UPN");
    const optional = {
      directory: { ...directory, required: false },
      subject: { template: "CN=x" },
    };
    const find = async () => Promise.reject(lacking);
    expect(await enrolWith(find, optional).outcome).toMatchObject({ kind: "issued" });
    await expect(enrolWith(find).outcome).rejects.toBe(lacking);
  });
});
