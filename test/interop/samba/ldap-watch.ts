import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";

const SEARCH_REQUEST = 0x63;
const SEARCH_ENTRY = 0x64;
const SEARCH_DONE = 0x65;
const DIRSYNC = Buffer.from("1.2.840.113556.1.4.841");

/**
 * Passes LDAP on to a domain controller as one of Microsoft's would: a search that finds more than MaxPageSize rows without asking for pages
 * is cut off. DirSync, which has bounds of its own, is not counted.
 */
export interface LdapWatch extends AsyncDisposable {
  readonly port: number;
  /** Rows of the largest answer to one request. */
  readonly mostRows: number;
  /** Requests that got no whole answer, since it was larger than allowed. */
  readonly cut: number;
  readonly searches: number;
  readonly dirSyncs: number;
}

export async function startLdapWatch(of: {
  readonly host: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly ca: string;
  readonly maxRows: number;
}): Promise<LdapWatch> {
  const counts = { mostRows: 0, cut: 0, searches: 0, dirSyncs: 0 };
  const sockets = new Set<TLSSocket>();
  const identity = { cert: readFileSync(of.certificateFile), key: readFileSync(of.keyFile) };
  const server = createServer(identity, (socket) => {
    const onward = connect({ host: of.host, port: 636, ca: of.ca, servername: "" });
    const free = new Set<number>();
    const rows = new Map<number, number>();
    const end = () => {
      for (const each of [socket, onward]) {
        sockets.delete(each);
        each.destroy();
      }
    };
    for (const each of [socket, onward]) {
      sockets.add(each);
      each.on("error", end).on("close", end);
    }
    socket.on(
      "data",
      messages((id, operation, message) => {
        if (operation !== SEARCH_REQUEST) return;
        counts.searches += 1;
        if (!message.includes(DIRSYNC)) return;
        counts.dirSyncs += 1;
        free.add(id);
      }),
    );
    onward.on(
      "data",
      messages((id, operation) => {
        if (operation === SEARCH_DONE) rows.delete(id);
        if (operation !== SEARCH_ENTRY || free.has(id)) return;
        const found = (rows.get(id) ?? 0) + 1;
        rows.set(id, found);
        counts.mostRows = Math.max(counts.mostRows, found);
        if (found <= of.maxRows) return;
        counts.cut += 1;
        end();
      }),
    );
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get mostRows() {
      return counts.mostRows;
    },
    get cut() {
      return counts.cut;
    },
    get searches() {
      return counts.searches;
    },
    get dirSyncs() {
      return counts.dirSyncs;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

type OnMessage = (id: number, operation: number, message: Buffer) => void;

/** Puts LDAP messages (RFC 4511 section 4.1.1) together: 30 length { 02 length id, operation ... }. */
function messages(onMessage: OnMessage): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const header = lengthAt(pending, 1);
      if (header === undefined || pending.length < header.at + header.length) return;
      const message = pending.subarray(header.at, header.at + header.length);
      const idBytes = message[1] ?? 0;
      onMessage(message.readUIntBE(2, idBytes), message[2 + idBytes] ?? 0, message);
      pending = pending.subarray(header.at + header.length);
    }
  };
}

function lengthAt(bytes: Buffer, offset: number) {
  const first = bytes[offset];
  if (first === undefined) return undefined;
  if (first < 0x80) return { length: first, at: offset + 1 };
  const octets = first & 0x7f;
  if (bytes.length < offset + 1 + octets) return undefined;
  return { length: bytes.readUIntBE(offset + 1, octets), at: offset + 1 + octets };
}
