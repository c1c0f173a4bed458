import { systemClock } from "@isthmus/shared/clock";
import { testAuthority, testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { rejectedCode, thrownCode } from "@isthmus/shared/testing/thrown-code";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { describe, expect, test } from "vitest";
import { makeDeviceAuthority, makeList } from "../testing/test-certificates.ts";
import { acceptList, derOfList, newlyRevoked } from "./certificate-lists.ts";
import { DEFAULT_DEVICE_ID_PREFIX, type TrustAnchor } from "./identity.ts";
import { PeerCertificates } from "./peer-certificates.ts";
import {
  judgeRevocation,
  type KnownAnswer,
  needsAnswer,
  RevocationKnowledge,
} from "./revocation.ts";

const HOUR_MS = 3_600_000;
const NOW = systemClock.now();
const freshness = { softAgeMs: HOUR_MS, hardAgeMs: 24 * HOUR_MS };
const authority = await makeDeviceAuthority();
const issuer = authority.issuing.certificate;

function anchorWith(revocation: Partial<TrustAnchor["revocation"]>): TrustAnchor {
  return {
    name: "devices",
    authorities: [issuer],
    mayAssert: ["deviceId"],
    deviceIdPrefix: DEFAULT_DEVICE_ID_PREFIX,
    revocation: { hasLists: false, hasOcsp: false, ...revocation },
  };
}

const lists = anchorWith({ hasLists: true });
const ocsp = anchorWith({ hasOcsp: true });
const both = anchorWith({ hasLists: true, hasOcsp: true });
const leaf = await testCertificate(
  {
    serialNumber: "4711",
    extensions: [subjectAltNameExtension([{ type: "uri", value: "urn:isthmus:device:d1" }])],
  },
  authority.issuing,
);
const peer = new PeerCertificates([lists]).read(leaf.certificate.der).certificate;
if (!peer) throw new Error("the test certificate is not read");

async function knowledgeOf(of: {
  readonly serials?: readonly string[];
  readonly confirmedAt?: number;
  readonly nextUpdate?: number;
  readonly answer?: Partial<KnownAnswer>;
}): Promise<RevocationKnowledge> {
  const knowledge = new RevocationKnowledge();
  if (of.serials) {
    const list = parseCertificateList(
      await makeList(authority, {
        number: 1,
        serials: of.serials,
        nextUpdate: of.nextUpdate ?? NOW + 48 * HOUR_MS,
      }),
    );
    knowledge.putList(issuer, { list, confirmedAt: of.confirmedAt ?? NOW });
  }
  if (of.answer) {
    const answer = {
      status: "good" as const,
      nextUpdate: undefined,
      confirmedAt: NOW,
      ...of.answer,
    };
    knowledge.putAnswer(peer?.key ?? "", answer);
  }
  return knowledge;
}

async function verdict(anchor: TrustAnchor, of: Parameters<typeof knowledgeOf>[0]) {
  const result = judgeRevocation(peer as never, anchor, await knowledgeOf(of), freshness, NOW);
  return result.refusal?.code ?? result.status;
}

describe("by list", () => {
  test("a certificate that is not on a fresh list is good", async () => {
    expect(await verdict(lists, { serials: ["01"] })).toBe("good");
  });

  test("a certificate on the list is revoked, however old the list is", async () => {
    expect(await verdict(lists, { serials: ["4711"] })).toBe("certificate-revoked");
    const confirmedAt = NOW - 100 * HOUR_MS;
    expect(await verdict(lists, { serials: ["4711"], confirmedAt })).toBe("certificate-revoked");
  });

  test("without a list nothing is known and the certificate is refused", async () => {
    expect(await verdict(lists, {})).toBe("revocation-unknown");
  });

  test("an unconfirmed list is fresh, then stale, then refused", async () => {
    const ages = [HOUR_MS, HOUR_MS + 1, 24 * HOUR_MS, 24 * HOUR_MS + 1];
    const verdicts = ages.map((age) => verdict(lists, { serials: [], confirmedAt: NOW - age }));
    expect(await Promise.all(verdicts)).toEqual(["good", "stale", "stale", "revocation-outdated"]);
  });

  test("a list past its nextUpdate ages although its source still serves it", async () => {
    const at = (age: number) => verdict(lists, { serials: [], nextUpdate: NOW - age });
    expect(await at(HOUR_MS / 2)).toBe("good");
    expect(await at(2 * HOUR_MS)).toBe("stale");
    expect(await at(25 * HOUR_MS)).toBe("revocation-outdated");
  });
});

describe("by OCSP", () => {
  test.each([
    ["good", "good"],
    ["revoked", "certificate-revoked"],
    ["unknown", "certificate-unknown"],
  ] as const)("an answer of %s is %s", async (status, expected) => {
    expect(await verdict(ocsp, { answer: { status } })).toBe(expected);
  });

  test("an answer past its nextUpdate ages like a list", async () => {
    expect(await verdict(ocsp, { answer: { nextUpdate: NOW - 2 * HOUR_MS } })).toBe("stale");
    const old = { nextUpdate: NOW - 25 * HOUR_MS };
    expect(await verdict(ocsp, { answer: old })).toBe("revocation-outdated");
  });

  test("is asked where there is no fresh answer, and only where the anchor has a responder", async () => {
    const asks = async (anchor: TrustAnchor, answer?: Partial<KnownAnswer>) =>
      needsAnswer(peer, anchor, await knowledgeOf(answer ? { answer } : {}), freshness, NOW);
    expect(await asks(ocsp)).toBe(true);
    expect(await asks(ocsp, {})).toBe(false);
    expect(await asks(ocsp, { confirmedAt: NOW - 2 * HOUR_MS })).toBe(true);
    expect(await asks(lists)).toBe(false);
  });
});

describe("by both", () => {
  test("revoked by either is revoked", async () => {
    expect(await verdict(both, { serials: ["4711"], answer: {} })).toBe("certificate-revoked");
    const answer = { status: "revoked" as const };
    expect(await verdict(both, { serials: [], answer })).toBe("certificate-revoked");
  });

  test("one fresh source is enough", async () => {
    expect(await verdict(both, { serials: [] })).toBe("good");
    expect(await verdict(both, { answer: {} })).toBe("good");
    const confirmedAt = NOW - 100 * HOUR_MS;
    expect(await verdict(both, { serials: [], confirmedAt, answer: {} })).toBe("good");
  });
});

test("an anchor without a source is not checked", async () => {
  expect(await verdict(anchorWith({}), {})).toBe("unchecked");
});

test("knowledge of issuers that are no longer trusted is dropped", async () => {
  const knowledge = await knowledgeOf({ serials: [], answer: {} });
  knowledge.retain(new Set(["other"]));
  expect(knowledge.listOf(peer.issuerId)).toBeUndefined();
  expect(knowledge.answerOn(peer.key)).toBeUndefined();
});

describe("a list is accepted", () => {
  const none = () => undefined;

  test("from its issuer, in DER or PEM", async () => {
    const der = await makeList(authority, { number: 7 });
    expect(acceptList(der, [issuer], none, NOW).list.crlNumber).toBe(7n);
    const pem = `-----BEGIN X509 CRL-----\n${der.toString("base64")}\n-----END X509 CRL-----\n`;
    expect(derOfList(Buffer.from(pem))).toEqual(der);
    expect(derOfList(der)).toBe(der);
  });

  const code = (
    der: Buffer,
    held = none as () => ReturnType<typeof parseCertificateList> | undefined,
  ) => thrownCode(() => acceptList(der, [issuer], held, NOW));

  test("not with another key's signature", async () => {
    const { key } = await testAuthority();
    const signer = { certificate: issuer, key };
    expect(code(await makeList(authority, { number: 1, signer }))).toBe("crl-issuer");
  });

  test("not from a CA that may not sign lists", async () => {
    const der = await makeList(authority, { number: 1 });
    const noSigner = { ...issuer, keyUsage: ["keyCertSign"] as const };
    expect(thrownCode(() => acceptList(der, [noSigner], none, NOW))).toBe("crl-issuer");
  });

  test("not from the future beyond five minutes", async () => {
    const at = async (ahead: number) =>
      code(await makeList(authority, { number: 1, thisUpdate: NOW + ahead }));
    expect(await at(290_000)).toBe("nothing");
    expect(await at(310_000)).toBe("crl-from-the-future");
  });

  test("not with a lower number than the one held: that is how a revocation is hidden", async () => {
    const held = parseCertificateList(await makeList(authority, { number: 5, serials: ["4711"] }));
    expect(code(await makeList(authority, { number: 4 }), () => held)).toBe("crl-went-back");
    expect(code(await makeList(authority, { number: 5 }), () => held)).toBe("nothing");
  });

  test("and says what it revokes anew", async () => {
    const list = async (serials: string[]) =>
      parseCertificateList(await makeList(authority, { number: 1, serials }));
    const next = await list(["01", "02"]);
    expect(newlyRevoked(next, await list(["01"]))).toEqual(["02"]);
    expect(newlyRevoked(next, undefined)).toEqual(["01", "02"]);
  });

  test("only when it is one", async () => {
    const broken = Buffer.from("not a list");
    expect(await rejectedCode(async () => acceptList(broken, [issuer], none, NOW))).toMatch(
      /^der-/,
    );
  });
});
