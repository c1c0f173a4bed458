import { ProtocolError } from "../errors.ts";
import { DerReader } from "./der-reader.ts";
import { TAG } from "./der-tag.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The text of a whole string element with this tag; undefined if the tag is of no string type. Throws `der-string` for
 * octets that the type does not allow. TeletexString is read as Latin-1, as everybody writes it.
 */
export function decodeString(tag: number, raw: Buffer): string | undefined {
  switch (tag) {
    case TAG.utf8String:
      return decodeUtf8(contentOf(raw, tag));
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.numericString:
    case TAG.visibleString:
      return decodeAscii(contentOf(raw, tag));
    case TAG.teletexString:
      return contentOf(raw, tag).toString("latin1");
    case TAG.bmpString:
      return decodeBmp(contentOf(raw, tag));
    default:
      return undefined;
  }
}

function contentOf(raw: Buffer, tag: number): Buffer {
  return new DerReader(raw).read(tag);
}

function decodeUtf8(content: Buffer): string {
  try {
    return utf8.decode(content);
  } catch (cause) {
    throw new ProtocolError("der-string", "UTF8String is not UTF-8", cause);
  }
}

/** ASCII text; also the content of an IA5String under an implicit tag. Throws `der-string`. */
export function decodeAscii(content: Buffer): string {
  if (content.some((octet) => octet > 0x7f)) {
    throw new ProtocolError("der-string", "an octet over 7F in a string of ASCII");
  }
  return content.toString("latin1");
}

/** UCS-2, big-endian. */
function decodeBmp(content: Buffer): string {
  if (content.length % 2 !== 0) {
    throw new ProtocolError("der-string", "BMPString of an odd number of octets");
  }
  return Buffer.from(content).swap16().toString("utf16le");
}
