import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { ConnectorError, RefusalError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import {
  assembleSigned,
  encodeTbsCertificate,
  type TbsCertificate,
} from "@isthmus/shared/x509/certificate";
import {
  explicit,
  implicit,
  objectIdentifier,
  sequence,
  utf8String,
} from "@isthmus/shared/x509/der-writer";
import {
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  sidExtension,
  subjectAltNameExtension,
} from "@isthmus/shared/x509/extensions";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { sign } from "@isthmus/shared/x509/signature";
import { beforeAll, describe, expect, test } from "vitest";
import type { AuthorityTold } from "./authority-revocation.ts";
import { goodIssuer, goodPublicKeyInfo, NOON } from "./fixture.ts";
import type { Issuer } from "./issuer.ts";
import type { AskOutcome, IssuedCertificate, IssuedRecord, UnfinishedIntent } from "./ledger.ts";
import type { CertificateAuthority, IssuanceAnswer, IssuanceOrder } from "./ports.ts";
import { RemoteIssuance } from "./remote-issuance.ts";

const DAY_MS = 86_400_000;
const KEY_INFO = goodPublicKeyInfo();
let issuer: Issuer;
let issuerKey: KeyObject;
beforeAll(async () => {
  ({ issuer, key: issuerKey } = await goodIssuer());
});

function content(changes: Partial<TbsCertificate> = {}): TbsCertificate {
  return {
    serialNumber: "0a",
    issuer: issuer.certificate.subject,
    subject: parseNameText("CN=device-1,O=Example"),
    notBefore: NOON,
    notAfter: NOON + 30 * DAY_MS,
    publicKeyInfo: KEY_INFO,
    extensions: [keyUsage, clientAuth, names],
    signatureAlgorithm: issuer.signatureAlgorithm,
    ...changes,
  };
}
const keyUsage = keyUsageExtension(["digitalSignature", "keyEncipherment"]);
const clientAuth = extendedKeyUsageExtension([OID.clientAuth]);
const names = subjectAltNameExtension([{ type: "dns", value: "a.example" }], false);

/** [MS-WCCE]: certificate request agent, who may enrol for anybody else. */
const AGENT = "1.3.6.1.4.1.311.20.2.1";
const noted = (oid: string) => ({ oid, critical: false, value: Buffer.from([0x05, 0]) });
const policies = (...oids: readonly string[]) => ({
  oid: OID.applicationPolicies,
  critical: false,
  value: sequence(...oids.map((oid) => sequence(objectIdentifier(oid)))),
});
const netscape = (bits: number) => ({
  oid: OID.netscapeCertificateType,
  critical: false,
  value: Buffer.from([0x03, 0x02, 0, bits]),
});
/** otherName id-pkinit-san: whom a KDC takes the holder for. */
const kerberosName = implicit(
  0,
  Buffer.concat([objectIdentifier("1.3.6.1.5.2.2"), explicit(0, utf8String("admin"))]),
  true,
);

async function signed(changes: Partial<TbsCertificate> = {}, key = issuerKey): Promise<Buffer> {
  const tbs = encodeTbsCertificate(content({ serialNumber: "0b", ...changes }));
  const { signatureAlgorithm } = issuer;
  return assembleSigned(tbs, signatureAlgorithm, await sign(signatureAlgorithm, tbs, key));
}

function intent(): UnfinishedIntent {
  return {
    transactionId: "t-1",
    authority: "elsewhere",
    issuerKeyId: issuer.keyId,
    serialNumber: "0a",
    tbs: encodeTbsCertificate(content()),
    certificationRequest: Buffer.from("request"),
  };
}

/** A remote authority that answers so, and what was written down. */
function remote(
  issue: (order: IssuanceOrder) => Promise<IssuanceAnswer>,
  of: {
    readonly asking?: AskOutcome;
    readonly told?: AuthorityTold;
    readonly trouble?: string;
    /** In the ledger, of other orders. */
    readonly known?: readonly Buffer[];
  } = {},
) {
  const steps: string[] = [];
  const issuedRecords: IssuedRecord[] = [];
  const authority: CertificateAuthority = {
    name: "elsewhere",
    labels: [],
    kind: "remote",
    issuer: () => issuer,
    obstacle: () => of.trouble,
    issue,
    revoke: () => Promise.reject(new Error("it is told of what was ordered, and not by us")),
  };
  const issuance = new RemoteIssuance({
    ledger: {
      beginAsking: async () =>
        of.asking ?? { kind: "ask", isRepeated: false, reference: undefined },
      endAsking: async ({ reference }) => void steps.push(`end ${reference}`),
      recordRefused: async ({ revoke }) =>
        void steps.push(
          revoke === undefined ? "refused" : `refused, ordered ${revoke.serialNumber}`,
        ),
      findCertificates: async () =>
        (of.known ?? []).map((certificate) => ({ certificate }) as unknown as IssuedCertificate),
      recordIssued: async (issued) => {
        if (of.known?.some((each) => each.equals(issued.certificate))) {
          throw new RefusalError("ca-mismatch", "ledger.serial", "of another order");
        }
        steps.push("issued");
        issuedRecords.push(issued);
        return issued.certificate;
      },
    },
    recordFailure: async ({ error }) => void steps.push(`failure ${(error as Error).message}`),
    tellAuthority: async ({ authority: name, serialNumber }) => {
      steps.push(`tell ${name} ${serialNumber}`);
      return of.told ?? "revoked";
    },
    clock: new FakeClock(NOON),
  });
  return { ask: () => issuance.ask(intent(), authority), steps, issuedRecords };
}

const issuedWith = async (changes: Partial<TbsCertificate>, key?: KeyObject) => {
  const certificate = await signed(changes, key);
  return remote(async () => ({ kind: "issued", certificate }));
};

test("a certificate as planned is stored under the number that the authority chose", async () => {
  const it = await issuedWith({ notAfter: NOON + 20 * DAY_MS });
  expect(await it.ask()).toMatchObject({ kind: "issued", issuerKeyId: issuer.keyId });
  expect(it.issuedRecords[0]).toMatchObject({
    serialNumber: "0a",
    actual: { serialNumber: "0b", notAfter: NOON + 20 * DAY_MS, issuer: "CN=Test Issuing CA" },
  });
});

describe("a certificate beyond the plan is revoked there and refused", () => {
  test.each<[string, () => Promise<ReturnType<typeof remote>>]>([
    ["it is for another key", () => issuedWith({ publicKeyInfo: goodPublicKeyInfo() })],
    ["its subject is another", () => issuedWith({ subject: parseNameText("CN=admin") })],
    [
      "it is a CA's",
      () =>
        issuedWith({
          extensions: [keyUsage, clientAuth, names, basicConstraintsExtension({ isCa: true })],
        }),
    ],
    ["it is valid for longer", () => issuedWith({ notAfter: NOON + 32 * DAY_MS })],
    [
      "it has further key usages",
      () => issuedWith({ extensions: [keyUsageExtension(["keyCertSign"]), clientAuth, names] }),
    ],
    ["no bounds on them", () => issuedWith({ extensions: [keyUsage, names] })],
    [
      "it has further extended key usages",
      () =>
        issuedWith({
          extensions: [
            keyUsage,
            extendedKeyUsageExtension([OID.clientAuth, OID.serverAuth]),
            names,
          ],
        }),
    ],
    ["its alternative names are others", () => issuedWith({ extensions: [keyUsage, clientAuth] })],
    [
      "its security identifier is another",
      () => issuedWith({ extensions: [keyUsage, clientAuth, names, sidExtension("S-1-5-21-1")] }),
    ],
    [
      "it has application policies beyond",
      () =>
        issuedWith({
          extensions: [keyUsage, clientAuth, names, policies(OID.clientAuth, AGENT)],
        }),
    ],
    [
      "it has application policies beyond",
      () =>
        issuedWith({ extensions: [keyUsage, clientAuth, names, noted(OID.applicationPolicies)] }),
    ],
    [
      "its Netscape type is a CA's",
      () => issuedWith({ extensions: [keyUsage, clientAuth, names, netscape(0x84)] }),
    ],
    [
      "it may issue proxy certificates",
      () =>
        issuedWith({ extensions: [keyUsage, clientAuth, names, noted(OID.proxyCertificateInfo)] }),
    ],
    [
      "it has unknown critical extensions: 1.2.3.4",
      () =>
        issuedWith({
          extensions: [keyUsage, clientAuth, names, { ...noted("1.2.3.4"), critical: true }],
        }),
    ],
    [
      "its alternative names are others",
      () =>
        issuedWith({
          extensions: [
            keyUsage,
            clientAuth,
            subjectAltNameExtension([
              { type: "dns", value: "a.example" },
              { type: "other", value: kerberosName },
            ]),
          ],
        }),
    ],
    [
      "it is not signed by the authority's issuer",
      () => issuedWith({}, generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
    ],
  ])("%s", async (deviation, make) => {
    const it = await make();
    await expect(it.ask()).rejects.toMatchObject({
      code: "ca-mismatch",
      message: expect.stringContaining(deviation),
    });
    expect(it.steps).toEqual(["refused, ordered 0b", "tell elsewhere 0b"]);
  });

  test.each<[AuthorityTold, RegExp]>([
    ["later", /revoked there as soon as/],
    ["by-hand", /revoked there by hand/],
  ])("and a person reads where it is not yet: %s", async (told, words) => {
    const certificate = await signed({ subject: parseNameText("CN=admin") });
    const it = remote(async () => ({ kind: "issued", certificate }), { told });
    await expect(it.ask()).rejects.toThrow(words);
  });
});

test("an authority that would not sign now is not asked, and the device waits", async () => {
  const it = remote(() => Promise.reject(new Error("asked")), { trouble: "it is away" });
  expect(await it.ask()).toEqual({ kind: "pending" });
  expect(it.steps).toEqual([]);
});

test("what an authority adds of its own passes: policies of the same purposes, a Netscape client", async () => {
  const own = [policies(OID.clientAuth), netscape(0xa0), noted("1.3.6.1.4.1.37476.9000.64.1")];
  const it = await issuedWith({ extensions: [keyUsage, clientAuth, names, ...own] });
  expect(await it.ask()).toMatchObject({ kind: "issued" });
});

describe("what is in the ledger for another order is not revoked for this one", () => {
  const others = async () => ({ known: [await signed({ subject: parseNameText("CN=other") })] });

  test("another device's certificate is refused", async () => {
    const [certificate = Buffer.alloc(0)] = (await others()).known;
    const it = remote(async () => ({ kind: "issued", certificate }), await others());
    await expect(it.ask()).rejects.toThrow(/of another order; nothing is revoked/);
    expect(it.steps).toEqual(["refused"]);
  });

  test("a stranger's certificate with the number of another device's is refused", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const certificate = await signed({}, privateKey);
    const it = remote(async () => ({ kind: "issued", certificate }), await others());
    await expect(it.ask()).rejects.toMatchObject({ code: "ca-mismatch" });
    expect(it.steps).toEqual(["refused"]);
  });

  test("the certificate of an earlier order of the same key is refused", async () => {
    const certificate = await signed();
    const it = remote(async () => ({ kind: "issued", certificate }), { known: [certificate] });
    await expect(it.ask()).rejects.toMatchObject({ code: "ca-mismatch" });
    expect(it.steps).toEqual(["refused"]);
  });
});

test("names in another case are the same host", async () => {
  const upper = subjectAltNameExtension([{ type: "dns", value: "A.example" }], false);
  const it = await issuedWith({ extensions: [keyUsage, clientAuth, upper] });
  expect(await it.ask()).toMatchObject({ kind: "issued" });
});

test("one that decides later leaves the request pending, under the name it gave the order", async () => {
  const it = remote(async () => ({ kind: "pending", reference: "42" }));
  expect(await it.ask()).toEqual({ kind: "pending" });
  expect(it.steps).toEqual(["end 42"]);
});

test("one that refuses ends the intent and is heard", async () => {
  const it = remote(async () => ({ kind: "refused", code: "ca-policy", message: "no" }));
  await expect(it.ask()).rejects.toMatchObject({ code: "ca-policy", rule: "authority.elsewhere" });
  expect(it.steps).toEqual(["refused"]);
});

test("one that cannot be reached keeps the device waiting, and the cause is said once", async () => {
  const unreachable = () =>
    Promise.reject(new ConnectorError("ca-unreachable", "it is away", { isRetryable: true }));
  const first = remote(unreachable);
  expect(await first.ask()).toEqual({ kind: "pending" });
  expect(first.steps).toEqual(["end undefined", "failure it is away"]);
  const again = remote(unreachable, {
    asking: { kind: "ask", isRepeated: true, reference: "42" },
  });
  expect(await again.ask()).toEqual({ kind: "pending" });
  expect(again.steps).toEqual(["end 42"]);
});

test("while one call waits for the answer another does not ask", async () => {
  const it = remote(() => Promise.reject(new Error("asked")), { asking: { kind: "busy" } });
  expect(await it.ask()).toEqual({ kind: "pending" });
  expect(it.steps).toEqual([]);
});

test("an order that was asked for before says so", async () => {
  const orders: IssuanceOrder[] = [];
  const it = remote(
    async (order) => {
      orders.push(order);
      return { kind: "pending" };
    },
    { asking: { kind: "ask", isRepeated: true, reference: "42" } },
  );
  await it.ask();
  expect(orders).toEqual([expect.objectContaining({ isRepeated: true, reference: "42" })]);
  expect(it.steps).toEqual(["end 42"]);
});

test("bytes that are no certificate are an error to try again after", async () => {
  const it = remote(async () => ({ kind: "issued", certificate: Buffer.from("<html>") }));
  await expect(it.ask()).rejects.toMatchObject({ code: "ca-answer", isRetryable: true });
});
