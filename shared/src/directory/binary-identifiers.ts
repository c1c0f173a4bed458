import { ProtocolError } from "../errors.ts";

/**
 * A security identifier as a directory keeps it ([MS-DTYP] section 2.4.2.2), integers of its parts little-endian:
 *
 *     Revision (1) | SubAuthorityCount (1) | IdentifierAuthority (6, big-endian) | SubAuthority (4) * count
 */
const REVISION = 1;
const HEADER_BYTES = 8;
const MAX_SUB_AUTHORITIES = 15;

/** The text form, `S-1-5-21-...`. Throws ProtocolError `directory-sid`. */
export function formatSecurityIdentifier(bytes: Buffer): string {
  const count = bytes[1] ?? 0;
  if (bytes[0] !== REVISION || count === 0 || count > MAX_SUB_AUTHORITIES) {
    throw fault("revision or count of parts is not one that exists");
  }
  if (bytes.length !== HEADER_BYTES + 4 * count) {
    throw fault(`${bytes.length} bytes, expected ${HEADER_BYTES + 4 * count}`);
  }
  const parts = Array.from({ length: count }, (_, at) => bytes.readUInt32LE(HEADER_BYTES + 4 * at));
  return ["S", REVISION, bytes.readUIntBE(2, 6), ...parts].join("-");
}

const GUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i;
const GUID_BYTES = 16;

/** A GUID as a directory keeps it ([MS-DTYP] section 2.3.4.2): the first three parts little-endian. Undefined for no GUID. */
export function guidBytes(text: string): Buffer | undefined {
  const [, ...parts] = GUID.exec(text) ?? [];
  const [first, second, third, ...rest] = parts.map((part) => Buffer.from(part, "hex"));
  if (first === undefined || second === undefined || third === undefined) return undefined;
  return Buffer.concat([first.reverse(), second.reverse(), third.reverse(), ...rest]);
}

/** The text form, in lower case. Throws ProtocolError `directory-guid`. */
export function formatGuid(bytes: Buffer): string {
  if (bytes.length !== GUID_BYTES) {
    throw new ProtocolError(
      "directory-guid",
      `a GUID of ${bytes.length} bytes, expected ${GUID_BYTES}`,
    );
  }
  const part = (from: number, to: number) => Buffer.from(bytes.subarray(from, to));
  return [
    part(0, 4).reverse(),
    part(4, 6).reverse(),
    part(6, 8).reverse(),
    part(8, 10),
    part(10, 16),
  ]
    .map((each) => each.toString("hex"))
    .join("-");
}

function fault(message: string): ProtocolError {
  return new ProtocolError("directory-sid", `security identifier: ${message}`);
}
