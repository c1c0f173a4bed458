import { until } from "@isthmus/shared/testing/until";
import type { DtlsOffer, EngineConnection } from "../core/vpn-engine.ts";

/** An engine of connections in memory: keeps what is written, attached and ended. */
export class FakeVpnConnections {
  readonly written = new Map<number, Buffer>();
  readonly ended = new Map<number, "clean" | "reset">();
  readonly attached: {
    id: number;
    sessionId: number;
    head: string;
    dtls: DtlsOffer | undefined;
  }[] = [];
  /** Whether a stream is read, by connection. */
  readonly streams = new Map<number, boolean>();

  write(id: number, bytes: Uint8Array): void {
    this.written.set(id, Buffer.concat([this.written.get(id) ?? Buffer.alloc(0), bytes]));
  }

  end(id: number, how: "clean" | "reset"): void {
    this.ended.set(id, how);
  }

  attach(id: number, sessionId: number, head: Uint8Array, dtls?: DtlsOffer): void {
    // As the addon does, whose caller may wipe what it gave.
    const secret = dtls?.kind === "resumption" ? Buffer.from(dtls.masterSecret) : undefined;
    const copied = dtls?.kind === "resumption" && secret ? { ...dtls, masterSecret: secret } : dtls;
    this.attached.push({ id, sessionId, head: Buffer.from(head).toString(), dtls: copied });
  }

  stream(id: number, isWanted: boolean): void {
    this.streams.set(id, isWanted);
  }

  /** The next answer on a connection, taken off what was written. */
  async answer(id: number): Promise<{ status: number; head: string; body: string }> {
    let answer: { status: number; head: string; body: string } | undefined;
    await until(() => {
      answer = this.#take(id);
      return answer !== undefined;
    });
    if (!answer) throw new Error("there is no answer");
    return answer;
  }

  #take(id: number) {
    const bytes = this.written.get(id) ?? Buffer.alloc(0);
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const head = bytes.subarray(0, end).toString();
    const length = Number(/^Content-Length: (\d+)$/im.exec(head)?.[1]);
    const body = bytes.subarray(end + 4, end + 4 + length);
    if (body.length < length) return undefined;
    this.written.set(id, bytes.subarray(end + 4 + length));
    return { status: Number(head.split(" ")[1]), head, body: body.toString() };
  }
}

/** A connection without a certificate. */
export function engineConnection(change: Partial<EngineConnection> = {}): EngineConnection {
  return {
    id: 1,
    remoteAddress: "192.0.2.7",
    remotePort: 50_000,
    localAddress: "198.51.100.1",
    tlsVersion: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    serverName: "vpn.example",
    certificates: [],
    verification: { isVerified: false, reason: "no certificate" },
    ...change,
  };
}
