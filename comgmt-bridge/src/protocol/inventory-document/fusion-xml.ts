import { XMLParser } from "fast-xml-parser";
import { fault, type RawDocument } from "./document-fault.ts";

/** Own limit: REQUEST, CONTENT, section and field, and a little more. */
const MAX_DEPTH = 10;
const ENTITY = /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6}));/g;
const NAMED: Readonly<Record<string, string>> = {
  ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" },
};

/**
 * FusionInventory's XML. There is no document type and so no entity but the five of XML itself, which are replaced here, once. Throws
 * ProtocolError `inventory-document`.
 */
export function readFusionXml(text: string): RawDocument {
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) throw fault("it has a document type");
  const { REQUEST: request } = parsed(text) as { REQUEST?: Record<string, unknown> | "" };
  if (typeof request !== "object" || request === null || Array.isArray(request)) {
    throw fault("it is neither a REQUEST in XML nor an object in JSON");
  }
  const { QUERY: query, DEVICEID: deviceId, CONTENT: content } = request;
  if (query !== "INVENTORY") throw fault("its QUERY is not INVENTORY");
  return { deviceId, content };
}

function parsed(text: string): object {
  const parser = new XMLParser({
    ignoreAttributes: true,
    ignoreDeclaration: true,
    parseTagValue: false,
    processEntities: false,
    maxNestedTags: MAX_DEPTH,
    tagValueProcessor: (_, value) => unescaped(value),
  });
  try {
    return parser.parse(text, true) as object;
  } catch (cause) {
    throw fault("it is no whole XML document", cause);
  }
}

function unescaped(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(ENTITY, (whole, name, decimal, hex) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hex, 16);
    const isCharacter = code > 0 && code <= 0x10_ffff && !(code >= 0xd800 && code <= 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : "";
  });
}
