import { constants, publicEncrypt } from "node:crypto";
import { systemRandom } from "@isthmus/shared/random";
import {
  type TestIdentity,
  testCertificate,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { DerReader } from "@isthmus/shared/x509/der-reader";
import {
  explicit,
  implicit,
  integer,
  nullValue,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
} from "@isthmus/shared/x509/der-writer";
import { OID } from "@isthmus/shared/x509/object-identifiers";
import { beforeAll, describe, expect, test } from "vitest";
import type { ContentCipher } from "./content-cipher.ts";
import { OPENING_PRIMITIVES, openEnvelope, type SealedEnvelope } from "./envelope-opening.ts";
import { encodeEnvelopedData, parseEnvelopedData, sealedFor } from "./enveloped-data.ts";
import { encodeIssuerAndSerial } from "./issuer-and-serial.ts";
import { encodeKeyEncryption, type KeyEncryption, readKeyEncryption } from "./key-encryption.ts";

let recipient: TestIdentity;
let stranger: TestIdentity;
beforeAll(async () => {
  recipient = await testCertificate({ subject: "CN=RA", key: testRsaKey() });
  stranger = await testCertificate({ subject: "CN=another", key: testRsaKey() });
});

const content = Buffer.from("a certification request, say");
const PKCS1: KeyEncryption = { scheme: "pkcs1" };

function envelope(cipher: ContentCipher = "aes-256-cbc", keyEncryption = PKCS1): Buffer {
  const to = recipient.certificate;
  return encodeEnvelopedData({ content, recipient: to, cipher, keyEncryption }, systemRandom);
}

function sealed(der: Buffer): SealedEnvelope {
  const found = sealedFor(parseEnvelopedData(der, { allowLegacy: true }), [
    stranger.certificate,
    recipient.certificate,
  ]);
  if (found === undefined) throw new Error("it is not for the recipient");
  expect(found.index).toBe(1);
  return found.sealed;
}

const opened = (der: Buffer) => openEnvelope(sealed(der), recipient.key);

describe("an envelope is opened", () => {
  test.each<ContentCipher>([
    "aes-128-cbc",
    "aes-192-cbc",
    "aes-256-cbc",
    "des-ede3-cbc",
    "des-cbc",
  ])("with %s", (cipher) => {
    expect(opened(envelope(cipher))).toEqual({ plaintext: content, isIntact: true });
  });

  test.each(["sha1", "sha256", "sha384", "sha512"] as const)("with OAEP and %s", (digest) => {
    const der = envelope("aes-256-cbc", { scheme: "oaep", digest });
    expect(sealed(der).keyEncryption).toEqual({ scheme: "oaep", digest });
    expect(opened(der)).toEqual({ plaintext: content, isIntact: true });
  });

  test("named by key identifier", () => {
    const { certificate } = recipient;
    const [key, iv] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    const wrapped = publicEncrypt(
      { key: certificate.publicKey(), padding: constants.RSA_PKCS1_PADDING },
      key,
    );
    const keyIdentifier = certificate.subjectKeyIdentifier ?? Buffer.alloc(0);
    const info = sequence(
      integer(2),
      implicit(0, keyIdentifier),
      encodeKeyEncryption(PKCS1),
      octetString(wrapped),
    );
    const found = sealedFor(parseEnvelopedData(shell({ infos: [info], iv })), [certificate]);
    expect(found?.index).toBe(0);
  });

  test("sent as BER with indefinite lengths and the content in pieces, as Apple does", () => {
    const { encryptedContent, iv, encryptedKey } = sealed(envelope("aes-128-cbc"));
    const indefinite = (tag: number, ...parts: Uint8Array[]) =>
      Buffer.concat([Buffer.from([tag, 0x80]), ...parts, Buffer.from([0, 0])]);
    const pieces = [encryptedContent.subarray(0, 5), encryptedContent.subarray(5)];
    const der = indefinite(
      0x30,
      objectIdentifier(OID.envelopedData),
      indefinite(
        0xa0,
        indefinite(
          0x30,
          integer(0),
          setOf(recipientInfo(encryptedKey)),
          indefinite(
            0x30,
            objectIdentifier(OID.data),
            sequence(objectIdentifier(OID.aes128Cbc), octetString(iv)),
            indefinite(0xa0, ...pieces.map(octetString)),
          ),
        ),
      ),
    );
    expect(opened(der)).toEqual({ plaintext: content, isIntact: true });
  });

  test("but not by somebody it is not addressed to", () => {
    expect(sealedFor(parseEnvelopedData(envelope()), [stranger.certificate])).toBeUndefined();
  });
});

function recipientInfo(
  encryptedKey: Uint8Array,
  keyEncryption = encodeKeyEncryption(PKCS1),
): Buffer {
  const name = encodeIssuerAndSerial(recipient.certificate);
  return sequence(integer(0), name, keyEncryption, octetString(encryptedKey));
}

interface Shell {
  readonly infos?: Buffer[];
  readonly cipher?: string;
  readonly iv?: Uint8Array;
  readonly encryptedContent?: Uint8Array;
  readonly type?: string;
}

/** EnvelopedData put together by hand. */
function shell(parts: Shell = {}): Buffer {
  const {
    infos = [recipientInfo(Buffer.alloc(256))],
    cipher = OID.aes128Cbc,
    iv = Buffer.alloc(16),
  } = parts;
  const info = sequence(
    objectIdentifier(OID.data),
    sequence(objectIdentifier(cipher), octetString(iv)),
    implicit(0, parts.encryptedContent ?? Buffer.alloc(32)),
  );
  return sequence(
    objectIdentifier(parts.type ?? OID.envelopedData),
    explicit(0, sequence(integer(0), setOf(...infos), info)),
  );
}

describe("what can be seen from outside is refused before any key is used", () => {
  const many = (count: number) => ({
    infos: Array.from({ length: count }, () => recipientInfo(Buffer.alloc(1))),
  });

  test.each<[string, () => Buffer, string]>([
    ["nothing wrong", () => shell(), "nothing"],
    ["another content type", () => shell({ type: OID.signedData }), "cms-enveloped-data"],
    ["another cipher", () => shell({ cipher: "1.2.840.113549.3.2" }), "cms-algorithm"],
    [
      "triple DES without the legacy switch",
      () => shell({ cipher: OID.desEde3Cbc, iv: Buffer.alloc(8) }),
      "cms-algorithm",
    ],
    [
      "DES without the legacy switch",
      () => shell({ cipher: OID.desCbc, iv: Buffer.alloc(8) }),
      "cms-algorithm",
    ],
    [
      "an initialization vector of 15 octets",
      () => shell({ iv: Buffer.alloc(15) }),
      "cms-enveloped-data",
    ],
    ["half a block", () => shell({ encryptedContent: Buffer.alloc(24) }), "cms-enveloped-data"],
    ["no content", () => shell({ encryptedContent: Buffer.alloc(0) }), "cms-enveloped-data"],
    ["8 recipients", () => shell(many(8)), "nothing"],
    ["9 recipients", () => shell(many(9)), "cms-enveloped-data"],
    [
      "another key encryption",
      () => shell({ infos: [recipientInfo(Buffer.alloc(1), sequence(objectIdentifier("1.2.3")))] }),
      "cms-algorithm",
    ],
    ["something behind it", () => Buffer.concat([shell(), Buffer.from([0])]), "der-trailing"],
  ])("%s", (_, bytes, code) => {
    expect(thrownCode(() => parseEnvelopedData(bytes()))).toBe(code);
  });

  test("a recipient by another way than key transport is passed over", () => {
    const keyAgreement = explicit(1, integer(3));
    const der = shell({ infos: [keyAgreement, recipientInfo(Buffer.alloc(256))] });
    expect(parseEnvelopedData(der).recipients).toHaveLength(1);
  });

  test("content for a key that is not RSA is not sealed", async () => {
    const { certificate } = await testCertificate();
    const of = {
      content,
      recipient: certificate,
      cipher: "aes-128-cbc",
      keyEncryption: PKCS1,
    } as const;
    expect(thrownCode(() => encodeEnvelopedData(of, systemRandom))).toBe("cms-recipient");
  });
});

describe("parameters of OAEP", () => {
  const oaep = (...parameters: Buffer[]) =>
    sequence(objectIdentifier(OID.rsaesOaep), ...parameters);
  const digest = (oid: string) => sequence(objectIdentifier(oid), nullValue());
  const mask = (oid: string, of: string = OID.mgf1) => sequence(objectIdentifier(of), digest(oid));
  const label = (octets: string) =>
    explicit(2, sequence(objectIdentifier(OID.pSpecified), octetString(Buffer.from(octets))));
  const sha256 = [explicit(0, digest(OID.sha256)), explicit(1, mask(OID.sha256))];
  const read = (der: Buffer) => readKeyEncryption(new DerReader(der));

  test.each<[string, Buffer, string]>([
    ["absent", oaep(), "sha1"],
    ["NULL", oaep(nullValue()), "sha1"],
    ["the defaults left out", oaep(sequence()), "sha1"],
    [
      "the defaults spelled out",
      oaep(sequence(explicit(0, digest(OID.sha1)), explicit(1, mask(OID.sha1)), label(""))),
      "sha1",
    ],
    ["SHA-256 throughout", oaep(sequence(...sha256)), "sha256"],
  ])("%s", (_, der, expected) => {
    expect(read(der)).toEqual({ scheme: "oaep", digest: expected });
  });

  test.each<[string, Buffer, string]>([
    ["two digests", oaep(sequence(explicit(0, digest(OID.sha256)))), "cms-algorithm"],
    ["MD5", oaep(sequence(explicit(0, digest(OID.md5)))), "cms-algorithm"],
    ["another mask", oaep(sequence(explicit(1, mask(OID.sha1, "1.2.3")))), "cms-algorithm"],
    ["a label", oaep(sequence(label("x"))), "cms-algorithm"],
    ["something that is no parameter", oaep(integer(1)), "der-tag"],
  ])("%s: refused", (_, der, code) => {
    expect(thrownCode(() => read(der))).toBe(code);
  });

  test("RSA without its NULL is read", () => {
    expect(read(sequence(objectIdentifier(OID.rsaEncryption)))).toEqual(PKCS1);
  });
});

describe("opening never fails and always does the same", () => {
  const wrapped = (key: Uint8Array, padding: number = constants.RSA_PKCS1_PADDING) =>
    publicEncrypt({ key: recipient.certificate.publicKey(), padding }, key);

  /** One good envelope with one thing changed. */
  const changed: [string, (good: SealedEnvelope) => Partial<SealedEnvelope>][] = [
    ["nothing", () => ({})],
    ["another content key", () => ({ encryptedKey: wrapped(Buffer.alloc(32)) })],
    ["a content key of the wrong size", () => ({ encryptedKey: wrapped(Buffer.alloc(5)) })],
    ["an encrypted key that is noise", () => ({ encryptedKey: Buffer.alloc(256, 7) })],
    ["an encrypted key over the modulus", () => ({ encryptedKey: Buffer.alloc(256, 0xff) })],
    ["an encrypted key of the wrong size", () => ({ encryptedKey: Buffer.alloc(17) })],
    [
      "PKCS#1 v1.5 where OAEP was said",
      () => ({ keyEncryption: { scheme: "oaep", digest: "sha1" } }),
    ],
    [
      "wrong padding of the content",
      ({ encryptedContent }) => ({ encryptedContent: encryptedContent.subarray(0, 16) }),
    ],
  ];

  // A wrong key leaves padding that looks right once in 256 times, so one opening proves nothing.
  test.each(changed)("%s", (what, change) => {
    const outcomes = Array.from({ length: 8 }, () => {
      const good = sealed(envelope());
      const acts: string[] = [];
      const outcome = countedOpening({ ...good, ...change(good) }, acts);
      expect(acts).toEqual(["random", "unwrap", "decrypt"]);
      if (!outcome.intact) expect(outcome.length % 16).toBe(0);
      return outcome.intact;
    });
    if (what === "nothing") expect(outcomes).not.toContain(false);
    else expect(outcomes).toContain(false);
  });

  function countedOpening(envelopeToOpen: SealedEnvelope, acts: string[]) {
    const { plaintext, isIntact } = openEnvelope(envelopeToOpen, recipient.key, {
      random: {
        bytes: (count) => {
          acts.push("random");
          return OPENING_PRIMITIVES.random.bytes(count);
        },
      },
      unwrap: (...from) => {
        acts.push("unwrap");
        return OPENING_PRIMITIVES.unwrap(...from);
      },
      decrypt: (...from) => {
        acts.push("decrypt");
        return OPENING_PRIMITIVES.decrypt(...from);
      },
    });
    return { intact: isIntact, length: plaintext.length };
  }

  test.each([
    ["a count of 0", "00"],
    ["a count over the block", "11"],
    ["an octet that differs", "03ff03"],
  ])("padding with %s leaves the content as long as it was", (_, tail) => {
    const last = Buffer.from(tail, "hex");
    const padded = Buffer.concat([Buffer.alloc(16 - last.length, 0x41), last]);
    const outcome = openEnvelope(sealed(envelope()), recipient.key, {
      ...OPENING_PRIMITIVES,
      decrypt: () => padded,
    });
    expect(outcome).toEqual({ plaintext: padded, isIntact: false });
  });

  test("a whole block of padding comes off", () => {
    const outcome = openEnvelope(sealed(envelope()), recipient.key, {
      ...OPENING_PRIMITIVES,
      decrypt: () => Buffer.alloc(32, 16),
    });
    expect(outcome).toEqual({ plaintext: Buffer.alloc(16, 16), isIntact: true });
  });
});
