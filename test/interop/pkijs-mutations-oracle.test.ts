import { appendFileSync } from "node:fs";
import type { TestIdentity } from "@isthmus/shared/testing/certificate-authority";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type GeneratedCertificate,
  generatedCertificates,
  issueGenerated,
} from "./generated-certificates.ts";
import * as oracle from "./pkijs-adapter.ts";
import { KINDS, type Kind, prepareKinds } from "./pkijs-kinds.ts";

/**
 * The same changed messages for both codecs. Where pkijs accepts and we refuse, the code of our refusal is in this list
 * with the reason: pkijs reads BER, and passes over much that it does not use.
 */
const STRICTER_THAN_PKIJS: Readonly<Record<string, string>> = {
  "der-bit-string": "unused bits of a BIT STRING are not checked",
  "der-enumerated": "a reason code may have any form",
  "der-integer": "INTEGERs may be padded, versions may be any",
  "der-length": "lengths may be other than in their shortest form",
  "der-oid": "arcs may be other than in their shortest form",
  "der-string": "strings may hold octets that their type forbids",
  "der-tag": "parameters, signature values and names may have any tag",
  "der-time": "times need not be dates",
  "der-trailing": "what follows the last element is not looked at",
  "der-truncated": "parts that are not used need not be whole",
  "x509-certificate": "the two algorithms of a certificate may differ",
  "x509-certificate-list": "the two algorithms of a list may differ",
  "x509-certification-request": "an attribute may come twice",
  "x509-extension": "reason codes need not exist",
  "x509-general-name": "names may hold control characters",
  "x509-public-key": "an RSA key may be of no use",
  "x509-serial-number": "serial numbers may be negative",
  recipient: "it is told whose envelope it is, whatever the envelope says",
  content: "padding and blocks of the content are not always looked at",
  "scep-message": "SCEP's attributes are not for it to judge",
  "cms-attribute": "SCEP's attributes are not for it to judge",
  "cms-algorithm": "parameters of OAEP and of the content cipher need not be right",
  "cms-enveloped-data": "versions and sizes are not looked at",
  "cms-signer": "the signer is looked for by the serial number alone",
  "cms-signed-data": "content types need not be known",
  "cms-signature": "the attribute contentType is not compared",
  signature: "an ECDSA signature need not be DER",
};

/**
 * Where we accept what pkijs refuses, it is in what neither uses: values in names that are of no type of string, and values
 * of attributes and parameters of algorithms that are not known, are kept as they are and not looked into; or in BER that
 * only one of the two reads. At most this share of the messages may be such.
 */
const LAXER_THAN_PKIJS_SHARE = 0.003;

const SEED = 8894;
/** Sets of messages below: two for each kind that can be signed again, one for the others, one generated. */
const SETS = Object.values(KINDS).reduce((sum, { resigned }) => sum + (resigned ? 2 : 1), 1);
const ORDINARY_PER_SET = 400;
/** `npm run differential [-- TOTAL]` sets how many messages are tried in all. */
const TOTAL = Number(process.env["DIFFERENTIAL"] ?? "0");
const PER_SET = TOTAL > 0 ? Math.ceil(TOTAL / SETS) : fuzzRuns(ORDINARY_PER_SET);

let authority: TestIdentity;
beforeAll(async () => {
  ({ authority } = await prepareKinds());
});

/** Notes what was found, for the program that was asked to count. */
function note(kind: string, messages: number, accepted: number, differences: Map<string, number>) {
  const file = process.env["DIFFERENTIAL_RECORD"];
  if (file === undefined) return;
  const found = Object.fromEntries(differences);
  appendFileSync(file, `${JSON.stringify({ kind, messages, accepted, differences: found })}\n`);
}

describe.each(Object.entries(KINDS))("a changed %s", (name, kind) => {
  test("is judged alike, or we are stricter in a way that is listed", async () => {
    const good = await kind.make();
    expect([kind.ours(good), await kind.theirs(good)]).toEqual(["nothing", "accepted"]);
    const messages = await changed(kind, good);
    let accepted = 0;
    let laxer = 0;
    const differences = new Map<string, number>();
    for (const message of messages) {
      const [ours, theirs] = [kind.ours(message), await kind.theirs(message)];
      if (ours === "nothing") accepted += 1;
      if ((ours === "nothing") === (theirs === "accepted")) continue;
      const isLaxer = ours === "nothing";
      if (isLaxer) laxer += 1;
      const what = isLaxer ? `we accept: ${oracle.reasonOfRefusal()}` : ours;
      differences.set(what, (differences.get(what) ?? 0) + 1);
    }
    note(name, messages.length, accepted, differences);
    expect(laxer).toBeLessThanOrEqual(Math.max(2, messages.length * LAXER_THAN_PKIJS_SHARE));
    const unlisted = [...differences.keys()].filter(
      (ours) => !ours.startsWith("we accept") && !(ours in STRICTER_THAN_PKIJS),
    );
    expect(unlisted).toEqual([]);
    // Messages that only one of the two accepts are few: mostly both refuse, and enough is accepted by both.
    expect(accepted).toBeGreaterThan(messages.length / 1_000);
  });
});

test("a generated certificate is accepted by both, and read alike in every field", async () => {
  const sample = fc.sample(generatedCertificates, { numRuns: PER_SET, seed: SEED });
  const differences = new Map<string, number>();
  for (const each of sample) {
    const fault = await differenceOf(each);
    if (fault !== undefined) differences.set(fault, (differences.get(fault) ?? 0) + 1);
  }
  note("generated", sample.length, sample.length - differences.size, differences);
  expect([...differences]).toEqual([]);
});

const hex = (bytes: ArrayBuffer | Uint8Array) => Buffer.from(bytes as Uint8Array).toString("hex");

async function differenceOf(generated: GeneratedCertificate): Promise<string | undefined> {
  const der = await issueGenerated(generated, authority);
  const [ours, theirs] = [parseCertificate(der), oracle.readCertificate(der)];
  if ((await oracle.judgeCertificate(der, authority.certificate.der)) !== "accepted") {
    return oracle.reasonOfRefusal();
  }
  const serial = hex(theirs.serialNumber.valueBlock.valueHexView).replace(/^00(?=.)/, "");
  const pairs: [string, unknown, unknown][] = [
    ["serialNumber", ours.serialNumber, serial],
    ["notBefore", ours.notBefore, theirs.notBefore.value.getTime()],
    ["notAfter", ours.notAfter, theirs.notAfter.value.getTime()],
    ["subject", hex(ours.subject.der), hex(theirs.subject.toSchema().toBER())],
    ["key", hex(ours.publicKeyInfo), hex(theirs.subjectPublicKeyInfo.toSchema().toBER())],
    [
      "extensions",
      ours.extensions.map(({ oid, critical, value }) => `${oid} ${critical} ${hex(value)}`).join(),
      (theirs.extensions ?? [])
        .map(
          ({ extnID, critical, extnValue }) =>
            `${extnID} ${critical} ${hex(extnValue.valueBlock.valueHexView)}`,
        )
        .join(),
    ],
  ];
  return pairs.find(([, one, other]) => one !== other)?.[0];
}

/** Changes anywhere, and changes to what is signed with a right signature. */
async function changed({ signedPart, resigned }: Kind, good: Buffer): Promise<Buffer[]> {
  const sampled = (bytes: Buffer) =>
    fc.sample(hostileBytes([bytes]), { numRuns: PER_SET, seed: SEED });
  if (signedPart === undefined || resigned === undefined) return sampled(good);
  return [...sampled(good), ...(await Promise.all(sampled(signedPart(good)).map(resigned)))];
}
