import { ProtocolError } from "@isthmus/shared/errors";

/**
 * The little XML that the site keeps in its properties: elements, attributes and text. Declarations of types, entities of
 * one's own, comments, CDATA and instructions are refused; none was ever seen there.
 *
 *     <?xml ...?> <name a="v" b='w'> text | element ... </name>
 */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Of this element alone. */
  readonly text: string;
}

export interface XmlLimits {
  readonly maxCharacters: number;
  readonly maxElements: number;
}

/** Own limit: elements within each other. */
const MAX_DEPTH = 16;
const NAME = "[A-Za-z_][A-Za-z0-9_.-]{0,127}";
const DECLARATION = /^\uFEFF?\s*(?:<\?xml\s[^<>]{0,200}\?>)?/;
const OPENING = new RegExp(`<(${NAME})`, "y");
const ATTRIBUTE = new RegExp(`\\s+(${NAME})\\s*=\\s*(?:"([^"<]*)"|'([^'<]*)')`, "y");
const END_OF_OPENING = /\s*(\/?)>/y;
const CLOSING = new RegExp(`</(${NAME})\\s*>`, "y");
const TEXT = /[^<]+/y;
const REFERENCE = /&(?:#(\d{1,7})|#x([0-9A-Fa-f]{1,6})|(lt|gt|amp|quot|apos));|&/g;
const NAMED: Readonly<Record<string, string>> = {
  ...{ lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" },
};

interface Open {
  readonly name: string;
  readonly attributes: Map<string, string>;
  readonly children: XmlElement[];
  text: string;
}

/** The outermost element. Throws ProtocolError `xml-malformed`, `xml-too-large`. */
export function readXml(text: string, limits: XmlLimits): XmlElement {
  if (text.length > limits.maxCharacters) {
    const message = `${text.length} characters of XML exceed ${limits.maxCharacters}`;
    throw new ProtocolError("xml-too-large", message);
  }
  return new XmlReader(text, limits.maxElements).whole();
}

class XmlReader {
  readonly #text: string;
  readonly #maxElements: number;
  #at = 0;
  #elements = 0;

  constructor(text: string, maxElements: number) {
    this.#text = text;
    this.#maxElements = maxElements;
  }

  whole(): XmlElement {
    this.#at = DECLARATION.exec(this.#text)?.[0].length ?? 0;
    this.#skipSpace();
    const open: Open[] = [];
    for (;;) {
      const ended = this.#step(open);
      if (ended === undefined) continue;
      const parent = open.at(-1);
      if (parent !== undefined) {
        parent.children.push(ended);
        continue;
      }
      this.#skipSpace();
      if (this.#at < this.#text.length) throw malformed(this.#at, "something follows the end");
      return ended;
    }
  }

  /** The element that ended here, if one did. */
  #step(open: Open[]): XmlElement | undefined {
    const opening = this.#match(OPENING);
    if (opening !== undefined) return this.#opened(open, opening[1] ?? "");
    const inner = open.at(-1);
    if (inner === undefined) throw malformed(this.#at, "no element begins");
    const closing = this.#match(CLOSING);
    if (closing !== undefined) {
      if (closing[1] !== inner.name) throw malformed(this.#at, `${inner.name} is not closed`);
      open.pop();
      return inner;
    }
    const characters = this.#match(TEXT);
    if (characters === undefined) throw malformed(this.#at, "neither element nor text");
    inner.text += unescaped(characters[0], this.#at);
    return undefined;
  }

  #opened(open: Open[], name: string): XmlElement | undefined {
    this.#elements += 1;
    if (this.#elements > this.#maxElements || open.length >= MAX_DEPTH) {
      throw new ProtocolError(
        "xml-too-large",
        `more than ${this.#maxElements} elements, or too deep`,
      );
    }
    const element: Open = { name, attributes: new Map(), children: [], text: "" };
    for (let found = this.#match(ATTRIBUTE); found !== undefined; found = this.#match(ATTRIBUTE)) {
      const [, key = "", double, single] = found;
      if (element.attributes.has(key)) throw malformed(this.#at, `${key} stands twice`);
      element.attributes.set(key, unescaped(double ?? single ?? "", this.#at));
    }
    const end = this.#match(END_OF_OPENING);
    if (end === undefined) throw malformed(this.#at, `${name} does not end`);
    if (end[1] === "/") return element;
    open.push(element);
    return undefined;
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return undefined;
    this.#at = pattern.lastIndex;
    return found;
  }
}

function unescaped(text: string, at: number): string {
  return text.replace(REFERENCE, (whole, decimal, hexadecimal, named) => {
    if (typeof named === "string") return NAMED[named] ?? "";
    const code = Number.parseInt(decimal ?? hexadecimal ?? "", decimal === undefined ? 16 : 10);
    const isCharacter = code > 0 && code <= 0x10_ffff && (code < 0xd800 || code > 0xdfff);
    if (whole === "&" || !isCharacter) throw malformed(at, "a reference that is none");
    return String.fromCodePoint(code);
  });
}

/** Text as it may stand in an attribute or between elements. Throws ProtocolError `xml-unwritable` for what XML 1.0 cannot hold. */
export function xmlText(text: string): string {
  // XML 1.0 section 2.2: of the control characters only these three, and none of the surrogates alone. Readers turn a
  // tab or an end of line within an attribute into a space, so these have to be references.
  if (!text.isWellFormed() || /[^\t\n\r\u0020-\uFFFD\u{10000}-\u{10FFFF}]/u.test(text)) {
    throw new ProtocolError("xml-unwritable", "a value holds characters that XML cannot hold");
  }
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&apos;")
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function malformed(at: number, what: string): ProtocolError {
  return new ProtocolError("xml-malformed", `XML of the site at character ${at}: ${what}`);
}
