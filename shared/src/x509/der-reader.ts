import { ProtocolError } from "../errors.ts";
import { decodeObjectIdentifier } from "./der-object-identifier.ts";
import { CONSTRUCTED, TAG } from "./der-tag.ts";
import { readGeneralizedTime, readUtcTime } from "./der-time.ts";

/**
 * A cursor over the elements of one level of DER (X.690):
 *
 *     identifier (1 octet)  length (1..5 octets)  content
 *
 * Nothing is copied: what it returns are views of the bytes it was given. Every method throws `ProtocolError` with a
 * `der-*` code and the offset, and a reader that threw is not used again. The order of a SET OF is not checked, because
 * a signature covers the bytes as they came.
 */
export interface DerReaderOptions {
  /** How deep elements may nest. */
  readonly maxDepth?: number;
  /** How many elements may be read in all, at every depth together. */
  readonly maxElements?: number;
  /** Accept indefinite and long-winded lengths and constructed octet strings, as Apple sends in CMS. */
  readonly allowBer?: boolean;
}

/** Our own limits: a CMS message in a CMS message with a chain of certificates needs about 15 and 500. */
const DEFAULT_MAX_DEPTH = 32;
const DEFAULT_MAX_ELEMENTS = 10_000;

interface Budget {
  readonly maxDepth: number;
  readonly allowBer: boolean;
  elementsLeft: number;
}

interface Level {
  readonly start: number;
  readonly end: number;
  readonly depth: number;
  readonly budget: Budget;
}

export class DerReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #depth: number;
  readonly #budget: Budget;
  #offset: number;
  // Of the element last looked at.
  #contentStart = 0;
  #contentEnd = 0;
  #next = 0;

  /** A reader over all of `bytes`; `level` is for the readers that this class itself makes. */
  constructor(bytes: Uint8Array, options: DerReaderOptions = {}, level?: Level) {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = level?.start ?? 0;
    this.#end = level?.end ?? bytes.length;
    this.#depth = level?.depth ?? 0;
    this.#budget = level?.budget ?? {
      maxDepth: options.maxDepth ?? DEFAULT_MAX_DEPTH,
      allowBer: options.allowBer ?? false,
      elementsLeft: options.maxElements ?? DEFAULT_MAX_ELEMENTS,
    };
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#end;
  }

  /** The identifier octet of the next element, or -1 at the end. */
  peekTag(): number {
    return this.isAtEnd ? -1 : (this.#bytes[this.#offset] ?? -1);
  }

  /** Enters the next element, which must be constructed. */
  enter(tag: number = TAG.sequence): DerReader {
    this.#take(tag);
    return this.#inside();
  }

  /** Enters the next element if it has this tag. */
  enterOptional(tag: number): DerReader | undefined {
    return this.peekTag() === tag ? this.enter(tag) : undefined;
  }

  /** The content of the next element, which must have this tag. */
  read(tag: number): Buffer {
    this.#take(tag);
    return this.#content();
  }

  /** The content of the next element if it has this tag. */
  readOptional(tag: number): Buffer | undefined {
    return this.peekTag() === tag ? this.read(tag) : undefined;
  }

  /** The next element whole, header and all; any tag where none is given. */
  readRaw(tag?: number): Buffer {
    const start = this.#offset;
    this.#take(tag);
    return this.#bytes.subarray(start, this.#next);
  }

  /** Passes over the next element. */
  skip(tag?: number): void {
    this.#take(tag);
  }

  /** The content octets of an INTEGER: two's complement, shortest form. */
  readInteger(): Buffer {
    const content = this.read(TAG.integer);
    if (content.length === 0) throw this.#fault("integer", "INTEGER without content");
    const second = (content[1] ?? 0) & 0x80;
    const isPadded =
      content.length > 1 &&
      ((content[0] === 0 && second === 0) || (content[0] === 0xff && second !== 0));
    if (isPadded && !this.#budget.allowBer) {
      throw this.#fault("integer", "INTEGER is not in its shortest form");
    }
    return content;
  }

  /** An INTEGER from 0 to `max` (at most 2^47). */
  readSmallInteger(max: number): number {
    const content = this.readInteger();
    const isNegative = ((content[0] ?? 0) & 0x80) !== 0;
    const value = content.length > 6 || isNegative ? -1 : content.readUIntBE(0, content.length);
    if (value < 0 || value > max) throw this.#fault("integer", `INTEGER is not in 0..${max}`);
    return value;
  }

  /** An ENUMERATED below 128. */
  readEnumerated(): number {
    const content = this.read(TAG.enumerated);
    const value = content[0];
    if (content.length !== 1 || value === undefined || value > 0x7f) {
      throw this.#fault("enumerated", "ENUMERATED is not in 0..127");
    }
    return value;
  }

  /** An OBJECT IDENTIFIER in dotted form. */
  readObjectIdentifier(): string {
    this.#take(TAG.objectIdentifier);
    return decodeObjectIdentifier(this.#bytes, this.#contentStart, this.#contentEnd);
  }

  readBoolean(): boolean {
    const content = this.read(TAG.boolean);
    const value = content[0];
    const isStrict = value === 0 || value === 0xff;
    if (content.length !== 1 || !(isStrict || this.#budget.allowBer)) {
      throw this.#fault("boolean", "BOOLEAN is neither 00 nor FF");
    }
    return value !== 0;
  }

  readNull(): void {
    if (this.read(TAG.null).length !== 0) throw this.#fault("null", "NULL has content");
  }

  /** A BIT STRING; unused bits are zero. */
  readBitString(tag: number = TAG.bitString): {
    readonly bytes: Buffer;
    readonly unusedBits: number;
  } {
    const content = this.read(tag);
    const unusedBits = content[0];
    if (unusedBits === undefined || unusedBits > 7 || (unusedBits > 0 && content.length === 1)) {
      throw this.#fault("bit-string", "BIT STRING has a wrong count of unused bits");
    }
    const last = content[content.length - 1] ?? 0;
    if (content.length > 1 && (last & ((1 << unusedBits) - 1)) !== 0) {
      throw this.#fault("bit-string", "BIT STRING has unused bits that are set");
    }
    return { bytes: content.subarray(1), unusedBits };
  }

  /** A BIT STRING that holds whole octets, as a key or a signature does. */
  readBitStringOctets(): Buffer {
    const { bytes, unusedBits } = this.readBitString();
    if (unusedBits !== 0) throw this.#fault("bit-string", "BIT STRING does not hold whole octets");
    return bytes;
  }

  /**
   * The octets of an OCTET STRING, or of one under the implicit primitive `tag`. Where BER is allowed, a constructed one
   * is put together from its parts.
   */
  readOctetString(tag: number = TAG.octetString): Buffer {
    if (!this.#budget.allowBer || this.peekTag() !== (tag | CONSTRUCTED)) return this.read(tag);
    const parts: Buffer[] = [];
    const inner = this.enter(tag | CONSTRUCTED);
    while (!inner.isAtEnd) parts.push(inner.readOctetString());
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** UTCTime or GeneralizedTime as RFC 5280 section 4.1.2.5 has them, in ms since the epoch. */
  readTime(): number {
    const isUtcTime = this.peekTag() === TAG.utcTime;
    const content = this.read(isUtcTime ? TAG.utcTime : TAG.generalizedTime);
    const ms = isUtcTime ? readUtcTime(content) : readGeneralizedTime(content);
    if (ms === undefined) throw this.#fault("time", "time is not of the form (YY)YYMMDDHHMMSSZ");
    return ms;
  }

  /** Throws `der-trailing` unless everything was read. */
  end(): void {
    if (!this.isAtEnd) {
      throw this.#fault("trailing", `${this.#end - this.#offset} octets after the last element`);
    }
  }

  #inside(): DerReader {
    const depth = this.#depth + 1;
    if (depth > this.#budget.maxDepth) {
      throw this.#fault("depth", `elements nest deeper than ${this.#budget.maxDepth}`);
    }
    const level = { start: this.#contentStart, end: this.#contentEnd, depth, budget: this.#budget };
    return new DerReader(this.#bytes, undefined, level);
  }

  #content(): Buffer {
    return this.#bytes.subarray(this.#contentStart, this.#contentEnd);
  }

  /** Moves past the next element, leaving its bounds in the fields. */
  #take(tag: number | undefined): void {
    const found = this.#header(this.#offset);
    if (tag !== undefined && found !== tag) {
      throw this.#fault("tag", `expected ${hex(tag)}, got ${hex(found)}`);
    }
    this.#offset = this.#next;
  }

  /** Reads the header at `offset` into the fields and returns the identifier octet. */
  #header(offset: number): number {
    if (this.#budget.elementsLeft <= 0) throw this.#fault("elements", "too many elements");
    this.#budget.elementsLeft -= 1;
    const tag = this.#bytes[offset];
    const first = this.#bytes[offset + 1];
    if (tag === undefined || first === undefined || offset + 2 > this.#end) {
      throw this.#fault("truncated", "no whole element follows");
    }
    if (tag === 0 || (tag & 0x1f) === 0x1f) {
      throw this.#fault("tag", "tag number 0 and those over 30 are not used here");
    }
    this.#contentStart = offset + 2;
    if (first === 0x80) {
      this.#indefinite(tag);
      return tag;
    }
    const length = first < 0x80 ? first : this.#longLength(offset + 2, first & 0x7f);
    this.#contentEnd = this.#contentStart + length;
    this.#next = this.#contentEnd;
    if (this.#contentEnd > this.#end) {
      throw this.#fault("truncated", `length ${length} goes past the end`);
    }
    return tag;
  }

  #longLength(offset: number, octets: number): number {
    if (octets > 4) throw this.#fault("length", `length of ${octets} octets`);
    if (offset + octets > this.#end) throw this.#fault("truncated", "length goes past the end");
    const length = this.#bytes.readUIntBE(offset, octets);
    const isShortest = length >= 0x80 && this.#bytes[offset] !== 0;
    if (!isShortest && !this.#budget.allowBer) {
      throw this.#fault("length", "length is not in its shortest form");
    }
    this.#contentStart = offset + octets;
    return length;
  }

  /** Indefinite length: the content goes on until an end-of-contents element (00 00) of its own level. */
  #indefinite(tag: number): void {
    if (!this.#budget.allowBer || (tag & CONSTRUCTED) === 0) {
      throw this.#fault("length", "indefinite length");
    }
    const depth = this.#depth + 1;
    if (depth > this.#budget.maxDepth) {
      throw this.#fault("depth", `elements nest deeper than ${this.#budget.maxDepth}`);
    }
    const level = { start: this.#contentStart, end: this.#end, depth, budget: this.#budget };
    const scan = new DerReader(this.#bytes, undefined, level);
    while (!scan.#isAtEndOfContents()) scan.skip();
    this.#contentEnd = scan.#offset;
    this.#next = scan.#offset + 2;
  }

  #isAtEndOfContents(): boolean {
    if (this.#offset + 2 > this.#end) throw this.#fault("truncated", "no end of contents");
    return this.#bytes[this.#offset] === 0 && this.#bytes[this.#offset + 1] === 0;
  }

  #fault(what: string, message: string): ProtocolError {
    return new ProtocolError(`der-${what}`, `DER at offset ${this.#offset}: ${message}`);
  }
}

function hex(tag: number): string {
  return `tag ${tag.toString(16).padStart(2, "0")}`;
}
