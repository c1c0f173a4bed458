import { ProtocolError } from "../errors.ts";

/**
 * A keytab, version 2, as MIT Kerberos writes it (its document "Keytab file format"), all numbers big-endian:
 *
 *     keytab    = 05 02 | entry*
 *     entry     = length (4); negative for a hole of that length | octets
 *     octets    = count (2) | realm | component * count | name type (4) | time (4) | key number (1) | key type (2) | key
 *                 | key number (4), where there is room left and it is not 0       each text and key: length (2) | octets
 */
export interface KeytabKey {
  /** `isthmus@CORP.EXAMPLE`, `HTTP/sms1.corp.example@CORP.EXAMPLE`. */
  readonly principal: string;
  /** kvno: the account's password counted from 1 (`msDS-KeyVersionNumber`). */
  readonly keyNumber: number;
  /** Number of the encryption type (RFC 3961 section 8). */
  readonly keyType: number;
}

/** Our own limits. */
export const MAX_KEYTAB_BYTES = 1_048_576;
const MAX_KEYS = 10_000;
const VERSION = 0x0502;

/** Whose keys are in it; the keys themselves are not read. Throws ProtocolError `keytab`. */
export function parseKeytab(bytes: Buffer): KeytabKey[] {
  if (bytes.length > MAX_KEYTAB_BYTES) throw fault(`more than ${MAX_KEYTAB_BYTES} bytes`);
  const reader = new KeytabReader(bytes);
  const version = reader.number(2);
  if (version !== VERSION) {
    throw fault(`it begins with ${version.toString(16).padStart(4, "0")}, expected 0502`);
  }
  const keys: KeytabKey[] = [];
  while (!reader.isAtEnd) {
    const length = reader.number(4) | 0;
    const octets = reader.octets(Math.abs(length));
    // A hole is where an entry was removed.
    if (length <= 0) continue;
    if (keys.length === MAX_KEYS) throw fault(`more than ${MAX_KEYS} keys`);
    keys.push(readKey(new KeytabReader(octets)));
  }
  return keys;
}

function readKey(reader: KeytabReader): KeytabKey {
  const count = reader.number(2);
  const realm = reader.text();
  const components = Array.from({ length: count }, () => reader.text());
  reader.octets(8);
  const shortNumber = reader.number(1);
  const keyType = reader.number(2);
  reader.octets(reader.number(2));
  const longNumber = reader.left >= 4 ? reader.number(4) : 0;
  const keyNumber = longNumber === 0 ? shortNumber : longNumber;
  return { principal: `${components.join("/")}@${realm}`, keyNumber, keyType };
}

class KeytabReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.left === 0;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(size: number): number {
    return this.octets(size).readUIntBE(0, size);
  }

  octets(length: number): Buffer {
    if (length > this.left) throw fault("it ends in the middle of a key");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.octets(this.number(2)).toString("utf8");
  }
}

function fault(what: string): ProtocolError {
  return new ProtocolError("keytab", `This is no keytab: ${what}`);
}
