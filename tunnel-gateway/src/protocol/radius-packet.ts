import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "@isthmus/shared/errors";

/*
 * RADIUS (RFC 2865 section 3):
 *
 *   code8 | identifier8 | length16 BE | authenticator 16 bytes | attributes
 *   attribute: type8 | length8 (with these two) | value
 *
 * The authenticator of a request is random; that of an answer is MD5(code, identifier, length, request's authenticator,
 * attributes, secret). Message-Authenticator (RFC 3579 section 3.2) is an HMAC-MD5 over the whole packet; without it answers
 * can be forged (CVE-2024-3596), so it goes first in every request and is demanded of answers.
 */
const HEAD_BYTES = 20;
const MAX_PACKET_BYTES = 4_096;
const MAX_VALUE_BYTES = 253;
const BLOCK_BYTES = 16;
/** RFC 2865 section 5.2. */
const MAX_PASSWORD_BYTES = 128;

export const RADIUS_CODE = { request: 1, accept: 2, reject: 3, challenge: 11 } as const;

export const RADIUS_ATTRIBUTE = {
  userName: 1,
  userPassword: 2,
  replyMessage: 18,
  state: 24,
  class: 25,
  filterId: 11,
  callingStationId: 31,
  nasIdentifier: 32,
  nasPortType: 61,
  messageAuthenticator: 80,
} as const;

/** NAS-Port-Type "Virtual" (RFC 2865 section 5.41). */
const VIRTUAL_PORT = Buffer.from([0, 0, 0, 5]);

export interface AccessRequest {
  readonly identifier: number;
  /** 16 random bytes. */
  readonly authenticator: Uint8Array;
  readonly userName: string;
  readonly password: string;
  readonly nasIdentifier: string;
  readonly callingStationId: string;
  /** Of the challenge that this answers. */
  readonly state: Uint8Array | undefined;
}

export interface AccessAnswer {
  readonly kind: "accept" | "reject" | "challenge";
  /** As the server writes the user's name (RFC 2865 section 5.1). */
  readonly userName: string | undefined;
  readonly replyMessage: string;
  readonly state: Buffer | undefined;
  /** Class and Filter-Id, the two that servers name groups by. */
  readonly groups: readonly string[];
}

/** Encodes an Access-Request. @throws ProtocolError `radius-value` for what does not fit an attribute */
export function encodeAccessRequest(request: AccessRequest, secret: string): Buffer {
  const { identifier, authenticator } = request;
  const attributes = [
    attribute(RADIUS_ATTRIBUTE.messageAuthenticator, Buffer.alloc(16)),
    attribute(RADIUS_ATTRIBUTE.userName, Buffer.from(request.userName)),
    attribute(
      RADIUS_ATTRIBUTE.userPassword,
      hidePassword(Buffer.from(request.password), authenticator, secret),
    ),
    attribute(RADIUS_ATTRIBUTE.nasIdentifier, Buffer.from(request.nasIdentifier)),
    attribute(RADIUS_ATTRIBUTE.callingStationId, Buffer.from(request.callingStationId)),
    attribute(RADIUS_ATTRIBUTE.nasPortType, VIRTUAL_PORT),
    ...(request.state ? [attribute(RADIUS_ATTRIBUTE.state, request.state)] : []),
  ];
  const packet = Buffer.concat([
    head(RADIUS_CODE.request, identifier, authenticator),
    ...attributes,
  ]);
  packet.writeUInt16BE(packet.length, 2);
  // The first attribute: its value begins two bytes behind the head.
  createHmac("md5", secret)
    .update(packet)
    .digest()
    .copy(packet, HEAD_BYTES + 2);
  return packet;
}

/** Reads and verifies the answer to a request. @throws ProtocolError `radius-malformed`, `radius-forged` */
export function decodeAccessAnswer(
  bytes: Uint8Array,
  request: Pick<AccessRequest, "identifier" | "authenticator">,
  secret: string,
  requireMessageAuthenticator: boolean,
): AccessAnswer {
  const packet = Buffer.from(bytes);
  if (packet.length < HEAD_BYTES || packet.length > MAX_PACKET_BYTES) {
    throw malformed(`${packet.length} bytes`);
  }
  const length = packet.readUInt16BE(2);
  if (length < HEAD_BYTES || length > packet.length) throw malformed(`a length of ${length}`);
  const whole = packet.subarray(0, length);
  const code = whole.readUInt8(0);
  const kind = kindOf(code);
  if (whole.readUInt8(1) !== request.identifier) throw forged("is for another request");
  const attributes = readAttributes(whole);
  verify(whole, request.authenticator, secret);
  verifyMessage(whole, attributes, request.authenticator, secret, requireMessageAuthenticator);
  const values = (type: number) =>
    attributes.filter((one) => one.type === type).map(({ value }) => value);
  const groups = [...values(RADIUS_ATTRIBUTE.class), ...values(RADIUS_ATTRIBUTE.filterId)];
  return {
    kind,
    userName: values(RADIUS_ATTRIBUTE.userName)[0]?.toString("utf8"),
    replyMessage: Buffer.concat(values(RADIUS_ATTRIBUTE.replyMessage)).toString("utf8"),
    state: values(RADIUS_ATTRIBUTE.state)[0],
    groups: groups.flatMap(groupText),
  };
}

/** NPS adds a Class of its own, which is bytes and names no group. */
function groupText(value: Buffer): string[] {
  const text = value.toString("utf8");
  return /^[^\p{Cc}\ufffd]+$/u.test(text) ? [text] : [];
}

interface Attribute {
  readonly type: number;
  /** Where its value begins in the packet. */
  readonly offset: number;
  readonly value: Buffer;
}

function readAttributes(packet: Buffer): Attribute[] {
  const attributes: Attribute[] = [];
  for (let at = HEAD_BYTES; at < packet.length; ) {
    const length = at + 2 <= packet.length ? packet.readUInt8(at + 1) : 0;
    if (length < 2 || at + length > packet.length)
      throw malformed(`an attribute of ${length} bytes`);
    const value = packet.subarray(at + 2, at + length);
    attributes.push({ type: packet.readUInt8(at), offset: at + 2, value });
    at += length;
  }
  return attributes;
}

function verify(packet: Buffer, requestAuthenticator: Uint8Array, secret: string): void {
  const expected = createHash("md5")
    .update(packet.subarray(0, 4))
    .update(requestAuthenticator)
    .update(packet.subarray(HEAD_BYTES))
    .update(secret)
    .digest();
  if (!timingSafeEqual(expected, packet.subarray(4, HEAD_BYTES))) {
    throw forged("was not made with our secret");
  }
}

function verifyMessage(
  packet: Buffer,
  attributes: readonly Attribute[],
  requestAuthenticator: Uint8Array,
  secret: string,
  isRequired: boolean,
): void {
  const given = attributes.filter(({ type }) => type === RADIUS_ATTRIBUTE.messageAuthenticator);
  const [first, ...others] = given;
  if (!first) {
    if (isRequired) throw forged("has no Message-Authenticator (CVE-2024-3596)");
    return;
  }
  if (others.length > 0 || first.value.length !== 16) throw malformed("its Message-Authenticator");
  const copy = Buffer.from(packet);
  Buffer.from(requestAuthenticator).copy(copy, 4);
  copy.fill(0, first.offset, first.offset + 16);
  const expected = createHmac("md5", secret).update(copy).digest();
  if (!timingSafeEqual(expected, first.value)) throw forged("has a wrong Message-Authenticator");
}

/** RFC 2865 section 5.2: each block is masked by a digest over the one before. */
function hidePassword(password: Buffer, authenticator: Uint8Array, secret: string): Buffer {
  if (password.length > MAX_PASSWORD_BYTES) {
    throw new ProtocolError("radius-value", `a password exceeds ${MAX_PASSWORD_BYTES} bytes`);
  }
  const blocks = Math.max(1, Math.ceil(password.length / BLOCK_BYTES));
  const hidden = Buffer.alloc(blocks * BLOCK_BYTES);
  password.copy(hidden);
  let former: Uint8Array = authenticator;
  for (let at = 0; at < hidden.length; at += BLOCK_BYTES) {
    const mask = createHash("md5").update(secret).update(former).digest();
    const block = hidden.subarray(at, at + BLOCK_BYTES);
    for (const [index, byte] of mask.entries()) block[index] = (block[index] ?? 0) ^ byte;
    former = block;
  }
  return hidden;
}

function head(code: number, identifier: number, authenticator: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([code, identifier, 0, 0]), authenticator]);
}

function attribute(type: number, value: Uint8Array): Buffer {
  if (value.length > MAX_VALUE_BYTES) {
    throw new ProtocolError("radius-value", `attribute ${type} exceeds ${MAX_VALUE_BYTES} bytes`);
  }
  return Buffer.concat([Buffer.from([type, value.length + 2]), value]);
}

function kindOf(code: number): AccessAnswer["kind"] {
  if (code === RADIUS_CODE.accept) return "accept";
  if (code === RADIUS_CODE.reject) return "reject";
  if (code === RADIUS_CODE.challenge) return "challenge";
  throw malformed(`code ${code}`);
}

function malformed(what: string): ProtocolError {
  return new ProtocolError("radius-malformed", `a RADIUS answer with ${what}`);
}

function forged(what: string): ProtocolError {
  return new ProtocolError("radius-forged", `a RADIUS answer that ${what}`);
}
