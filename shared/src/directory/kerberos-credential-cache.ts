import { ProtocolError } from "../errors.ts";

/**
 * A credential cache in a file, version 4, as MIT Kerberos writes it (its document "Credential cache file format"), all
 * numbers big-endian:
 *
 *     cache      = 05 04 | header length (2) | header | principal | credential*
 *     principal  = name type (4) | count (4) | realm | component * count          each text: length (4) | octets
 *     credential = client | server | key type (2) | key | auth, start, end, renew times (4 each) | is-skey (1)
 *                  | flags (4) | addresses | authorization data | ticket | second ticket
 */
export interface CachedCredential {
  readonly client: KerberosPrincipal;
  readonly server: KerberosPrincipal;
  /** Number of the session key's encryption type. */
  readonly keyType: number;
  readonly key: Buffer;
  /** ms since the epoch. */
  readonly endsAt: number;
  /** Ticket, DER, as the KDC gave it. */
  readonly ticket: Buffer;
}

export interface KerberosPrincipal {
  readonly nameType: number;
  readonly realm: string;
  readonly components: readonly string[];
}

/** Our own limits. */
const MAX_CACHE_BYTES = 1_048_576;
const MAX_CREDENTIALS = 1_000;
const MAX_PARTS = 64;
const VERSION = 0x0504;

/** All credentials of a cache, its settings among them. Throws ProtocolError `credential-cache`. */
export function parseCredentialCache(bytes: Buffer): CachedCredential[] {
  if (bytes.length > MAX_CACHE_BYTES) throw fault(`more than ${MAX_CACHE_BYTES} bytes`);
  const reader = new CacheReader(bytes);
  const version = reader.number(2);
  if (version !== VERSION) throw fault(`version ${version.toString(16)}, expected 504`);
  reader.octets(reader.number(2));
  reader.principal();
  const credentials: CachedCredential[] = [];
  while (!reader.isAtEnd) {
    if (credentials.length === MAX_CREDENTIALS) throw fault(`more than ${MAX_CREDENTIALS} entries`);
    credentials.push(readCredential(reader));
  }
  return credentials;
}

function readCredential(reader: CacheReader): CachedCredential {
  const client = reader.principal();
  const server = reader.principal();
  const keyType = reader.number(2);
  const key = reader.data();
  const [, , endsAt = 0] = [reader.number(4), reader.number(4), reader.number(4), reader.number(4)];
  reader.number(1);
  reader.number(4);
  // Addresses, then authorization data: a type and octets each.
  for (const _ of [0, 1]) for (let left = reader.count(); left > 0; left -= 1) reader.typedData();
  const ticket = reader.data();
  reader.data();
  return { client, server, keyType, key, endsAt: endsAt * 1_000, ticket };
}

class CacheReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  octets(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw fault(`it ends in the middle, at ${this.#bytes.length}`);
    const octets = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return octets;
  }

  number(size: 1 | 2 | 4): number {
    return this.octets(size).readUIntBE(0, size);
  }

  count(): number {
    const count = this.number(4);
    if (count > MAX_PARTS) throw fault(`${count} parts, at most ${MAX_PARTS}`);
    return count;
  }

  data(): Buffer {
    return this.octets(this.number(4));
  }

  typedData(): void {
    this.number(2);
    this.data();
  }

  principal(): KerberosPrincipal {
    const nameType = this.number(4);
    const count = this.count();
    const realm = this.data().toString("utf8");
    const components = Array.from({ length: count }, () => this.data().toString("utf8"));
    return { nameType, realm, components };
  }
}

function fault(message: string): ProtocolError {
  return new ProtocolError("credential-cache", `credential cache: ${message}`);
}
