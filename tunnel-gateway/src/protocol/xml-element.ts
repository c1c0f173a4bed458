import { ProtocolError } from "@isthmus/shared/errors";
import { XMLParser, XMLValidator } from "fast-xml-parser";

/**
 * The small part of XML 1.0 that VPN clients speak: elements, attributes, text, the five named entities and references by
 * number. What begins with `<!` (document types and with them entities, comments, CDATA) is refused before anything is read,
 * and so is a processing instruction that is not the declaration at the beginning.
 */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** All its text, without that of its children; spaces are kept, for passwords may begin with them. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** Own limits. The deepest message of a client has 5 levels, the longest under 8 KiB. */
export const MAX_XML_BYTES = 65_536;
export const MAX_XML_DEPTH = 16;
export const MAX_XML_ELEMENTS = 500;
export const MAX_XML_ATTRIBUTES = 32;

/** Those of clients have no others; the library takes more for the space between two attributes than XML does. */
const NAME = /^[A-Za-z_:][A-Za-z0-9_:.-]*$/;

const ATTRIBUTES = ":@";
const PREFIX = "@";
const TEXT = "#text";

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: PREFIX,
  textNodeName: TEXT,
  // Read below: the library leaves what it does not know as it stands, and this must not.
  processEntities: false,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  maxNestedTags: MAX_XML_DEPTH,
});

/** Reads a document in UTF-8; throws `ProtocolError` with an `xml-*` code. */
export function parseXml(bytes: Buffer): XmlElement {
  if (bytes.length > MAX_XML_BYTES) {
    const message = `an XML message of ${bytes.length} bytes exceeds ${MAX_XML_BYTES}`;
    throw new ProtocolError("xml-size", message);
  }
  const text = decoded(bytes);
  if (NO_CHARACTER.test(text)) throw malformed("an XML message has a control character");
  if (text.includes("<!") || text.includes("<?", 1)) {
    throw new ProtocolError("xml-markup", "an XML message has a document type, comment or CDATA");
  }
  // Before anything is built: a message of empty elements alone would keep the process busy for a tenth of a second.
  if (countOf(text, "<") > 2 * MAX_XML_ELEMENTS + 1) throw tooManyElements();
  const roots = elementsOf(parsed(text), { left: MAX_XML_ELEMENTS }, 1);
  const [root] = roots;
  if (!root || roots.length > 1) throw malformed("an XML message has not one root element");
  return root;
}

/** The first child of that name. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** XML 1.0 section 2.2 allows no other control character, not even escaped. */
const NO_CHARACTERS = /(?![\t\n\r])\p{Cc}|[\ufffe\uffff]/gu;

/** Text as it may stand between tags and in attributes; what XML cannot hold at all is left out. */
export function escapeXml(text: string): string {
  const allowed = text.toWellFormed().replace(NO_CHARACTERS, "");
  return allowed.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");
}

/** XML 1.0 section 2.2: what is no character of a document. The library lets it through. */
const NO_CHARACTER = /(?![\t\n\r\x7f-\x9f])\p{Cc}|[\ufffe\uffff]/u;

/** Keeps nothing from one whole text to the next. */
const UTF_8 = new TextDecoder("utf-8", { fatal: true });

function decoded(bytes: Buffer): string {
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw malformed("an XML message is not UTF-8");
  }
}

function parsed(text: string): unknown {
  const verdict = XMLValidator.validate(text);
  if (verdict !== true) throw malformed("an XML message is not well formed");
  try {
    return parser.parse(text);
  } catch (cause) {
    throw new ProtocolError("xml-malformed", "an XML message cannot be read", cause);
  }
}

/** The library's nodes: `{ name: children, ":@": { "@attribute": value } }` or `{ "#text": text }`. */
function elementsOf(nodes: unknown, count: { left: number }, level: number): XmlElement[] {
  if (!Array.isArray(nodes)) throw malformed("an XML message has no elements");
  return nodes.flatMap((node: Record<string, unknown>) => {
    const name = Object.keys(node).find((key) => key !== ATTRIBUTES);
    if (name === undefined || name === TEXT) return [];
    count.left -= 1;
    if (count.left < 0) throw tooManyElements();
    // The library's own bound counts from the second level.
    if (level > MAX_XML_DEPTH) {
      throw malformed(`an XML message lies more than ${MAX_XML_DEPTH} elements deep`);
    }
    return [elementOf(name, node, count, level)];
  });
}

function elementOf(
  name: string,
  node: Record<string, unknown>,
  count: { left: number },
  level: number,
): XmlElement {
  const attributes = Object.entries((node[ATTRIBUTES] as object | undefined) ?? {});
  if (attributes.length > MAX_XML_ATTRIBUTES) {
    const message = `an XML element has more than ${MAX_XML_ATTRIBUTES} attributes`;
    throw new ProtocolError("xml-attributes", message);
  }
  const names = [name, ...attributes.map(([key]) => key.slice(PREFIX.length))];
  if (!names.every((one) => NAME.test(one))) throw malformed("an XML message has an odd name");
  const children = node[name] as readonly Record<string, unknown>[];
  const texts = children.map((child) => child[TEXT]).filter((text) => typeof text === "string");
  return {
    name,
    attributes: new Map(
      attributes.map(([key, value]) => [key.slice(PREFIX.length), unescaped(String(value))]),
    ),
    text: unescaped(texts.join("")),
    children: elementsOf(children, count, level + 1),
  };
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

function unescaped(text: string): string {
  return text.replace(/&([^;&]{0,10})(;?)/g, (_, name: string, end: string) => {
    const character = Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : characterOf(name);
    if (character === undefined || end === "") throw malformed("an XML message has an entity");
    return character;
  });
}

function characterOf(reference: string): string | undefined {
  const [, hex, decimal] = /^#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))$/.exec(reference) ?? [];
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  const isCharacter =
    code === 0x9 ||
    code === 0xa ||
    code === 0xd ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x1_0000 && code <= 0x10_ffff);
  return isCharacter ? String.fromCodePoint(code) : undefined;
}

function countOf(text: string, character: string): number {
  let count = 0;
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) count += 1;
  return count;
}

function tooManyElements(): ProtocolError {
  const message = `an XML message has more than ${MAX_XML_ELEMENTS} elements`;
  return new ProtocolError("xml-elements", message);
}

function malformed(message: string): ProtocolError {
  return new ProtocolError("xml-malformed", message);
}
