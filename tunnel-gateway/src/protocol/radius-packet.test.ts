import { createHash, createHmac } from "node:crypto";
import { thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { decodeAccessAnswer, encodeAccessRequest } from "./radius-packet.ts";

const SECRET = "a shared secret";
const request = {
  identifier: 7,
  authenticator: Buffer.alloc(16, 9),
  userName: "alice",
  password: "a password longer than one block",
  nasIdentifier: "isthmus",
  callingStationId: "192.0.2.1",
  state: undefined,
};

/** An answer as a server makes it (RFC 2865 section 3, RFC 3579 section 3.2). */
function answer(
  code: number,
  attributes: readonly (readonly [number, Buffer])[],
  options: {
    readonly secret?: string;
    readonly signs?: boolean;
    readonly identifier?: number;
  } = {},
): Buffer {
  const { secret = SECRET, signs = true, identifier = request.identifier } = options;
  const all = signs ? [[80, Buffer.alloc(16)] as const, ...attributes] : attributes;
  const body = all.map(([type, value]) =>
    Buffer.concat([Buffer.from([type, value.length + 2]), value]),
  );
  const packet = Buffer.concat([
    Buffer.from([code, identifier, 0, 0]),
    request.authenticator,
    ...body,
  ]);
  packet.writeUInt16BE(packet.length, 2);
  if (signs) createHmac("md5", secret).update(packet).digest().copy(packet, 22);
  const digest = createHash("md5").update(packet).update(secret).digest();
  digest.copy(packet, 4);
  return packet;
}

const read = (bytes: Uint8Array, isRequired = true) =>
  decodeAccessAnswer(bytes, request, SECRET, isRequired);

test("a request hides the password and is signed first of all", () => {
  const packet = encodeAccessRequest(request, SECRET);
  expect(packet.includes("a password")).toBe(false);
  expect([...packet.subarray(20, 22)]).toEqual([80, 18]);
  const unsigned = Buffer.from(packet);
  const signature = Buffer.from(packet.subarray(22, 38));
  unsigned.fill(0, 22, 38);
  expect(createHmac("md5", SECRET).update(unsigned).digest()).toEqual(signature);
  // RFC 2865 section 5.2, the first block undone by hand.
  const at = 38 + 7;
  expect([...packet.subarray(at, at + 2)]).toEqual([2, 34]);
  const mask = createHash("md5").update(SECRET).update(request.authenticator).digest();
  const block = packet.subarray(at + 2, at + 18).map((byte, index) => byte ^ (mask[index] ?? 0));
  expect(Buffer.from(block).toString()).toBe("a password longe");
});

test("accept, reject and challenge are read with message, state and groups", () => {
  const message = [18, Buffer.from("Welcome")] as const;
  expect(
    read(answer(2, [message, [25, Buffer.from("OU=staff;")], [11, Buffer.from("vpn")]])),
  ).toEqual({
    kind: "accept",
    userName: undefined,
    replyMessage: "Welcome",
    state: undefined,
    groups: ["OU=staff;", "vpn"],
  });
  expect(read(answer(3, [])).kind).toBe("reject");
  const state = Buffer.from("state");
  expect(read(answer(11, [[24, state]]))).toMatchObject({ kind: "challenge", state });
});

test("a name that the server writes otherwise is read, and a Class of bytes names no group", () => {
  const opaque = Buffer.from([0, 0, 1, 0xff]);
  const accepted = read(
    answer(2, [
      [1, Buffer.from("Alice")],
      [25, opaque],
      [25, Buffer.alloc(0)],
    ]),
  );
  expect(accepted).toMatchObject({ userName: "Alice", groups: [] });
});

test.each([
  ["made with another secret", answer(2, [], { secret: "guessed" }), "radius-forged"],
  ["for another request", answer(2, [], { identifier: 8 }), "radius-forged"],
  ["without a signature", answer(2, [], { signs: false }), "radius-forged"],
  ["of an unknown code", answer(4, []), "radius-malformed"],
  ["cut short", answer(2, []).subarray(0, 30), "radius-malformed"],
  ["too short for a head", Buffer.alloc(19), "radius-malformed"],
  ["too long", Buffer.alloc(4_097), "radius-malformed"],
])("an answer %s is refused", (_what, bytes, code) => {
  expect(thrownCode(() => read(bytes))).toBe(code);
});

test("an unsigned answer passes only where the configuration lets it", () => {
  expect(read(answer(2, [], { signs: false }), false).kind).toBe("accept");
});

test("a changed octet anywhere is noticed", () => {
  const genuine = answer(2, [[25, Buffer.from("staff")]]);
  for (let at = 4; at < genuine.length; at++) {
    const changed = Buffer.from(genuine);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(
      thrownCode(() => read(changed)),
      `octet ${at}`,
    ).toMatch(/^radius-/);
  }
});

test.each([
  [{ password: "p".repeat(128) }, undefined],
  [{ password: "p".repeat(129) }, "radius-value"],
  [{ userName: "u".repeat(253) }, undefined],
  [{ userName: "u".repeat(254) }, "radius-value"],
])("what fits no attribute is refused, never cut", (change, code) => {
  const encode = () => encodeAccessRequest({ ...request, ...change }, SECRET);
  if (code === undefined) expect(encode()).toBeInstanceOf(Buffer);
  else expect(thrownCode(encode)).toBe(code);
});
