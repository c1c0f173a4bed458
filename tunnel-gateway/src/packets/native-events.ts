import type { EngineConnection, SessionEvent, SessionTraffic } from "../core/vpn-engine.ts";
import type { NativeEvent } from "./native-addon.ts";

/** `enum event_kind` of native/src/events.h. */
export const EVENT = {
  connectionOpened: 1,
  connectionBytes: 2,
  connectionClosed: 3,
  socketHanded: 4,
  handshakeFailed: 5,
  connectionDrained: 6,
  sessionTlsUp: 20,
  sessionTlsDown: 21,
  sessionDtlsUp: 22,
  sessionDtlsDown: 23,
  sessionDisconnected: 24,
  sessionIdle: 25,
  sessionDenied: 26,
  sessionClosed: 27,
  sessionFlow: 28,
  failed: 40,
} as const;

const TLS_1_3 = 0x0304;
const NOTHING = Buffer.alloc(0);

/** A connection whose handshake is done. */
export function readConnection(event: NativeEvent): EngineConnection {
  const [, id, text, bytes, remotePort = 0, version = 0, isVerified = 0] = event;
  const [remoteAddress = "", localAddress = "", cipher = "", serverName = "", reason = ""] =
    text.split("\n");
  return {
    id,
    remoteAddress,
    remotePort,
    localAddress,
    tlsVersion: version === TLS_1_3 ? "TLSv1.3" : "TLSv1.2",
    cipher,
    serverName: serverName === "" ? undefined : serverName,
    certificates: readCertificates(bytes ?? NOTHING),
    verification: { isVerified: isVerified === 1, reason },
  };
}

/** Each certificate behind its length in 4 bytes. */
function readCertificates(bytes: Buffer): Buffer[] {
  const certificates: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    certificates.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return certificates;
}

/** What befell a session; undefined for an event of another kind. */
export function readSessionEvent(event: NativeEvent): SessionEvent | undefined {
  const [kind, sessionId, text, bytes, ...numbers] = event;
  switch (kind) {
    case EVENT.sessionTlsUp:
      return { kind: "tls-up", sessionId };
    case EVENT.sessionTlsDown:
      return { kind: "tls-down", sessionId, reason: text };
    case EVENT.sessionDtlsUp: {
      const [remoteAddress = "", cipher = ""] = text.split("\n");
      return { kind: "dtls-up", sessionId, remoteAddress, cipher };
    }
    case EVENT.sessionDtlsDown:
      return { kind: "dtls-down", sessionId, reason: text };
    case EVENT.sessionDisconnected:
      return { kind: "disconnected", sessionId, payload: bytes ?? NOTHING };
    case EVENT.sessionIdle:
      return { kind: "idle", sessionId };
    case EVENT.sessionDenied: {
      const [rule = 0, protocol = 0, port = 0] = numbers;
      return { kind: "denied", sessionId, rule, protocol, address: text, port };
    }
    case EVENT.sessionFlow: {
      const [rule = 0, protocol = 0, port = 0, untold = 0] = numbers;
      return { kind: "allowed", sessionId, rule, protocol, address: text, port, untold };
    }
    case EVENT.sessionClosed:
      return { kind: "closed", sessionId, traffic: readTraffic(sessionId, numbers) };
    default:
      return undefined;
  }
}

function readTraffic(sessionId: number, numbers: readonly number[]): SessionTraffic {
  const [
    packetsUp = 0,
    packetsDown = 0,
    bytesUp = 0,
    bytesDown = 0,
    dropped = 0,
    lastActiveAt = 0,
  ] = numbers;
  return {
    sessionId,
    packetsUp,
    packetsDown,
    bytesUp,
    bytesDown,
    dropped,
    lastActiveAt,
    hasTls: false,
    hasDtls: false,
  };
}
