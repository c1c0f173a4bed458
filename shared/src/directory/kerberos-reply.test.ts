import { expect, test } from "vitest";
import { thrownCode } from "../testing/thrown-code.ts";
import {
  element,
  explicit,
  generalizedTime,
  integer,
  objectIdentifier,
  octetString,
  sequence,
} from "../x509/der-writer.ts";
import { encryptKerberos } from "./kerberos-encryption.ts";
import { parseKerberosReply, requireProof } from "./kerberos-reply.ts";

const KERBEROS = "1.2.840.113554.1.2.2";
const NOW = Date.UTC(2026, 5, 1, 12, 0, 0);
const request = { now: NOW + 345, microseconds: 678_901 };
const key = Buffer.alloc(32, 5);

const answered = (...parts: Buffer[]) => element(0xa1, sequence(...parts));
const state = explicit(0, Buffer.from([0x0a, 1, 0]));
const tokenOf = (kind: string, message: Buffer, mechanism = KERBEROS) =>
  answered(
    state,
    explicit(1, objectIdentifier(mechanism)),
    explicit(
      2,
      octetString(element(0x60, objectIdentifier(mechanism), Buffer.from(kind, "hex"), message)),
    ),
  );

function proof({ time = NOW, microseconds = request.microseconds, with: by = key } = {}): Buffer {
  const plain = element(
    0x7b,
    sequence(explicit(0, generalizedTime(time)), explicit(1, integer(microseconds))),
  );
  const cipher = encryptKerberos({ key: by, usage: 12, plain, confounder: Buffer.alloc(16, 1) });
  const encrypted = sequence(explicit(0, integer(18)), explicit(2, octetString(cipher)));
  return element(
    0x6f,
    sequence(explicit(0, integer(5)), explicit(1, integer(15)), explicit(2, encrypted)),
  );
}

function judged(token: Buffer): string {
  return thrownCode(() => {
    const reply = parseKerberosReply(token);
    expect(reply.kind).toBe("proof");
    if (reply.kind === "proof") requireProof(reply.cipher, { key }, request);
  });
}

test("a server that could read the ticket is proved by the time of our request", () => {
  expect(judged(tokenOf("0200", proof()))).toBe("nothing");
});

test.each([
  ["another key", { with: Buffer.alloc(32, 6) }],
  ["another second", { time: NOW + 1_000 }],
  ["another microsecond", { microseconds: 1 }],
])("a reply with %s proves nothing", (_, change) => {
  expect(judged(tokenOf("0200", proof(change)))).toBe("kerberos-reply");
});

test("a server that says nothing of Kerberos is neither proved nor in error", () => {
  expect(parseKerberosReply(answered(state))).toEqual({ kind: "silent" });
});

test("an error comes with its code and the server's time", () => {
  const message = element(
    0x7e,
    sequence(
      explicit(0, integer(5)),
      explicit(1, integer(30)),
      explicit(4, generalizedTime(NOW)),
      explicit(5, integer(1)),
      explicit(6, integer(37)),
    ),
  );
  expect(parseKerberosReply(tokenOf("0300", message))).toEqual({
    ...{ kind: "error", errorCode: 37, serverTime: NOW },
  });
});

test("another mechanism, another kind of token and too much of it are refused", () => {
  const ntlm = "1.3.6.1.4.1.311.2.2.10";
  for (const token of [
    tokenOf("0200", proof(), ntlm),
    tokenOf("0100", proof()),
    Buffer.alloc(65_537),
    Buffer.from("NTLMSSP\0"),
    Buffer.alloc(0),
  ]) {
    expect(thrownCode(() => parseKerberosReply(token))).toBe("kerberos-reply");
  }
});
