import { ProtocolError } from "../errors.ts";
import { objectIdentifier } from "./der-writer.ts";
import { OID } from "./object-identifiers.ts";

/** Our own limit; the longest in use have about 20 octets. */
const MAX_OBJECT_IDENTIFIER_OCTETS = 64;

/** Content octets (as latin1 text) of every identifier we have a name for: a closed set, so a peer cannot make it grow. */
const KNOWN: ReadonlyMap<string, string> = new Map(
  Object.values(OID).map((dotted) => [
    objectIdentifier(dotted).subarray(2).toString("latin1"),
    dotted,
  ]),
);

/** The dotted form of the identifier in `bytes[start..end)`. Throws `der-oid`. X.690 section 8.19. */
export function decodeObjectIdentifier(bytes: Buffer, start: number, end: number): string {
  const known = KNOWN.get(bytes.toString("latin1", start, end));
  return known ?? decode(bytes.subarray(start, end));
}

function decode(content: Buffer): string {
  if (content.length === 0 || content.length > MAX_OBJECT_IDENTIFIER_OCTETS) {
    throw fault(`${content.length} octets, expected 1..${MAX_OBJECT_IDENTIFIER_OCTETS}`);
  }
  const arcs: bigint[] = [];
  let arc = 0n;
  let isInside = false;
  for (const octet of content) {
    if (!isInside && octet === 0x80) throw fault("an arc is not in its shortest form");
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    isInside = (octet & 0x80) !== 0;
    if (isInside) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (isInside) throw fault("the last arc is cut off");
  const [head = 0n, ...rest] = arcs;
  const first = head < 80n ? head / 40n : 2n;
  return [first, head - first * 40n, ...rest].join(".");
}

function fault(message: string): ProtocolError {
  return new ProtocolError("der-oid", `OBJECT IDENTIFIER: ${message}`);
}
