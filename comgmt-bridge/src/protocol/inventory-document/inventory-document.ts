import { fault } from "./document-fault.ts";
import { readFusionXml } from "./fusion-xml.ts";
import { readGlpiJson } from "./glpi-json.ts";

/**
 * What an inventory agent writes about one device, in one of two forms with the same content:
 *
 *     <REQUEST><CONTENT><SECTION><FIELD>text..</CONTENT><DEVICEID>..</DEVICEID><QUERY>INVENTORY     FusionInventory 2.x, GLPI agent
 *     {"action": "inventory", "deviceid": "..", "content": {"section": {..} | [{..}], ..}}           GLPI agent
 */
export interface InventoryDocument {
  readonly deviceId: string;
  /** Rows by name of the section, in capitals as FusionInventory has them. */
  readonly sections: ReadonlyMap<string, readonly InventoryRow[]>;
  /** The agent's name and version. */
  readonly agent: string | undefined;
}

/** Fields by name in capitals; a field that came more than once is a list. */
export type InventoryRow = Readonly<Record<string, InventoryField>>;
export type InventoryField = string | number | boolean | readonly string[];

/** Own limits. */
const MAX_SECTIONS = 200;
const MAX_ROWS = 50_000;
const MAX_FIELDS = 200;
const MAX_TEXT_CHARACTERS = 65_536;
const MAX_VALUES = 10_000;
const NAME = /^[A-Z][A-Z0-9_]{0,63}$/;
/** The agent makes it of the host's name and a time; a path or a line it is not. */
const DEVICE_ID = /^[^\p{Cc}/\\]{1,256}$/u;

/** Throws ProtocolError `inventory-document`. */
export function parseInventoryDocument(bytes: Uint8Array): InventoryDocument {
  const text = decoded(bytes);
  const { deviceId, content } = text.startsWith("{") ? readGlpiJson(text) : readFusionXml(text);
  if (typeof deviceId !== "string" || !DEVICE_ID.test(deviceId)) {
    throw fault("it names no device (DEVICEID)");
  }
  const entries = Object.entries(asObject(content, "CONTENT"));
  if (entries.length > MAX_SECTIONS) throw fault(`more than ${MAX_SECTIONS} sections`);
  const sections = new Map<string, readonly InventoryRow[]>();
  let agent: string | undefined;
  for (const [name, value] of entries) {
    const section = name.toUpperCase();
    if (section === "VERSIONCLIENT") agent = textOf(value);
    else if (NAME.test(section) && isSection(value)) sections.set(section, rowsOf(section, value));
  }
  return { deviceId, sections, agent };
}

/** The first row of a section, which of many sections is the only one. */
export function firstRow({ sections }: InventoryDocument, section: string): InventoryRow {
  return sections.get(section)?.[0] ?? {};
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).trimStart();
  } catch (cause) {
    throw fault("it is not in UTF-8", cause);
  }
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw fault(`${what} has no content`);
}

/** A text beside the sections (VERSIONPROVIDER of older agents) is none. */
function isSection(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function rowsOf(section: string, value: unknown): InventoryRow[] {
  const rows = Array.isArray(value) ? value : [value];
  if (rows.length > MAX_ROWS) throw fault(`${section} has more than ${MAX_ROWS} rows`);
  // A row without a field is an empty text in XML.
  return rows.filter(isSection).map((row) => rowOf(section, asObject(row, section)));
}

function rowOf(section: string, row: Readonly<Record<string, unknown>>): InventoryRow {
  const entries = Object.entries(row);
  if (entries.length > MAX_FIELDS) throw fault(`a row of ${section} has over ${MAX_FIELDS} fields`);
  const fields: [string, InventoryField][] = [];
  for (const [name, value] of entries) {
    const field = name.toUpperCase();
    const found = NAME.test(field) ? fieldOf(section, value) : undefined;
    if (found !== undefined && found !== "") fields.push([field, found]);
  }
  return Object.fromEntries(fields);
}

/** What has parts of its own is left out. */
function fieldOf(section: string, value: unknown): InventoryField | undefined {
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "string") return bounded(section, value);
  if (!Array.isArray(value)) return undefined;
  if (value.length > MAX_VALUES) throw fault(`a field of ${section} has over ${MAX_VALUES} values`);
  return value.map(textOf).filter((text) => text !== undefined && text !== "") as string[];
}

function bounded(section: string, text: string): string {
  if (text.length <= MAX_TEXT_CHARACTERS) return text;
  throw fault(`a field of ${section} has more than ${MAX_TEXT_CHARACTERS} characters`);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" ? bounded("CONTENT", value) : undefined;
}
