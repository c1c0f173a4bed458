import { ProtocolError } from "@isthmus/shared/errors";
import { readXml, type XmlElement } from "./xml-element.ts";

/**
 * `SMS_Scripts.ParamsDefinition`: which parameters a script takes, in base64 of UTF-8 or UTF-16LE:
 *
 *     ScriptParameters > ScriptParameter(Name, Type, IsRequired, IsHidden, DefaultValue) >
 *         Values > Value;  Validators > IntegerValidator(MinimumValue, MaximumValue) |
 *                                       StringValidator(MinimumLength, MaximumLength, Regex)
 */
export interface DefinedParameter {
  readonly name: string;
  readonly type: "System.String" | "System.Int32" | "System.Boolean";
  readonly isRequired: boolean;
  readonly isHidden: boolean;
  readonly defaultValue: string;
  /** The only values that are allowed; undefined where any is. */
  readonly values: readonly string[] | undefined;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly minLength: number | undefined;
  readonly maxLength: number | undefined;
  /** A regular expression of .NET. */
  readonly pattern: string | undefined;
}

/** Documented: a script takes ten parameters at most; room for releases that take more. */
const MAX_PARAMETERS = 50;
const LIMITS = { maxCharacters: 262_144, maxElements: 5_000 };
const TYPES = ["System.String", "System.Int32", "System.Boolean"] as const;

/** Throws ProtocolError `script-definition`, and those of `readXml`. */
export function readParamsDefinition(stored: string): readonly DefinedParameter[] {
  if (stored.trim() === "") return [];
  const root = readXml(textOf(stored), LIMITS);
  if (root.name !== "ScriptParameters") throw unusable(`it begins with ${root.name}`);
  const found = descendants(root, "ScriptParameter");
  if (found.length > MAX_PARAMETERS) throw unusable(`it has ${found.length} parameters`);
  const parameters = found.map(parameterOf);
  const names = parameters.map(({ name }) => name.toLowerCase());
  if (new Set(names).size < names.length) throw unusable("two parameters have one name");
  return parameters;
}

/** Decodes base64 that may be broken into lines. Throws ProtocolError `script-definition`. */
export function storedBytes(stored: string): Buffer {
  const compact = stored.replace(/\s+/g, "");
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    throw unusable("it is no base64");
  }
  return Buffer.from(compact, "base64");
}

function textOf(stored: string): string {
  const bytes = storedBytes(stored);
  const isWide = (bytes[0] === 0xff && bytes[1] === 0xfe) || bytes[1] === 0;
  return bytes.toString(isWide ? "utf16le" : "utf8").replace(/^\uFEFF/, "");
}

function parameterOf(element: XmlElement): DefinedParameter {
  const { attributes } = element;
  const name = attributes.get("Name") ?? "";
  const type = TYPES.find((known) => known === attributes.get("Type"));
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
    throw unusable("a parameter has no usable name");
  if (type === undefined) throw unusable(`${name} is of a type that scripts do not have`);
  const [integer] = descendants(element, "IntegerValidator");
  const [string] = descendants(element, "StringValidator");
  const values = descendants(element, "Value").map(({ text }) => text);
  return {
    name,
    type,
    isRequired: isTrue(attributes.get("IsRequired")),
    isHidden: isTrue(attributes.get("IsHidden")),
    defaultValue: attributes.get("DefaultValue") ?? "",
    values: values.length === 0 ? undefined : values,
    minimum: wholeAt(integer, "MinimumValue"),
    maximum: wholeAt(integer, "MaximumValue"),
    minLength: wholeAt(string, "MinimumLength"),
    maxLength: wholeAt(string, "MaximumLength"),
    pattern: string?.attributes.get("Regex") || undefined,
  };
}

function descendants(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.flatMap((child) =>
    child.name === name ? [child] : descendants(child, name),
  );
}

function isTrue(text: string | undefined): boolean {
  return text?.toLowerCase() === "true";
}

/** A bound that cannot be read is not taken for none. */
function wholeAt(element: XmlElement | undefined, name: string): number | undefined {
  const text = element?.attributes.get(name) ?? "";
  if (text === "") return undefined;
  const value = Number(text);
  if (/^-?\d{1,10}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw unusable(`${name} is no whole number`);
}

function unusable(what: string): ProtocolError {
  return new ProtocolError("script-definition", `the script's definition of parameters: ${what}`);
}
