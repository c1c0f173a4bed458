/** ClientHellos by hand (RFC 8446 section 4.1.2, RFC 6347 section 4.2.2), for clients that go no further. */

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const HELLO_VERIFY_REQUEST = 3;
const RECORD_HEAD_BYTES = 13;
const MESSAGE_HEAD_BYTES = 12;
const VERSION_BYTES = 2;
const SUITES = Buffer.from("130113021303c02bc02f", "hex");
const DTLS_SUITES = Buffer.from("00a900a8", "hex");
/** GnuTLS and OpenSSL of openconnect put X-DTLS-App-ID into this one. */
const APP_ID_EXTENSION = 48_018;

/** A record with a whole hello of TLS 1.3 with padding, so that half of it is half. */
export function tlsHello(): Buffer {
  const extensions = Buffer.concat([
    extension(43, Buffer.from("020304", "hex")),
    extension(10, Buffer.from("0002001d", "hex")),
    extension(13, Buffer.from("00020403", "hex")),
    extension(51, Buffer.concat([Buffer.from("0024001d0020", "hex"), Buffer.alloc(32, 9)])),
    extension(21, Buffer.alloc(100)),
  ]);
  const body = hello(0x0303, Buffer.alloc(32, 5), SUITES, extensions, Buffer.alloc(0));
  return Buffer.concat([Buffer.from([HANDSHAKE, 3, 1]), sized(2, message(body))]);
}

/**
 * A datagram with a hello of DTLS 1.2; `appId` is what would name a session. Without a cookie it is a client's first one, with the
 * cookie of a HelloVerifyRequest its second.
 */
export function dtlsHello(appId: Buffer, cookie: Buffer = Buffer.alloc(0)): Buffer {
  const extensions = extension(APP_ID_EXTENSION, sized(1, appId));
  const body = hello(0xfefd, appId, DTLS_SUITES, extensions, sized(1, cookie));
  const sequence = cookie.length === 0 ? 0 : 1;
  const fragment = Buffer.concat([
    Buffer.from([CLIENT_HELLO]),
    uint(3, body.length),
    uint(2, sequence),
    uint(3, 0),
    uint(3, body.length),
    body,
  ]);
  const epoch = uint(2, 0);
  const head = Buffer.concat([Buffer.from([HANDSHAKE, 0xfe, 0xff]), epoch, uint(6, sequence)]);
  return Buffer.concat([head, sized(2, fragment)]);
}

/** The cookie of a HelloVerifyRequest (RFC 6347 section 4.2.1); undefined where a datagram is none. */
export function cookieOf(datagram: Buffer): Buffer | undefined {
  const at = RECORD_HEAD_BYTES + MESSAGE_HEAD_BYTES + VERSION_BYTES;
  if (datagram[0] !== HANDSHAKE || datagram[RECORD_HEAD_BYTES] !== HELLO_VERIFY_REQUEST) return;
  return datagram.subarray(at + 1, at + 1 + (datagram[at] ?? 0));
}

function hello(
  version: number,
  sessionId: Buffer,
  suites: Buffer,
  extensions: Buffer,
  cookie: Buffer,
): Buffer {
  const random = Buffer.alloc(32, 3);
  const head = [uint(2, version), random, sized(1, sessionId), cookie];
  return Buffer.concat([...head, sized(2, suites), Buffer.from([1, 0]), sized(2, extensions)]);
}

function message(body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([CLIENT_HELLO]), sized(3, body)]);
}

function extension(type: number, body: Buffer): Buffer {
  return Buffer.concat([uint(2, type), sized(2, body)]);
}

function sized(bytes: number, body: Buffer): Buffer {
  return Buffer.concat([uint(bytes, body.length), body]);
}

function uint(bytes: number, value: number): Buffer {
  const field = Buffer.alloc(bytes);
  field.writeUIntBE(value, 0, bytes);
  return field;
}
