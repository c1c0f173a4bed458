import { createHash } from "node:crypto";
import type { DefinedParameter } from "./script-definition.ts";
import { xmlText } from "./xml-element.ts";

/**
 * `Param` of `SMS_ClientOperation.InitiateClientOperationEx` with Type 135, in base64 of UTF-8. What a real site (release
 * 2509) was seen to take, by the notes of those who ran it:
 *
 *     ScriptContent(ScriptGuid) > ScriptVersion, ScriptType, ScriptHash(ScriptHashAlg=SHA256),
 *         ScriptParameters > ScriptParameter(ParameterGroupGuid, ParameterGroupName=PG_<guid>, ParameterName,
 *                                            ParameterType, ParameterDataType, ParameterValue),
 *         ParameterGroupHash(ParameterHashAlg=SHA256)
 *
 * The provider checks version and hash against what it has stored, so a script that was exchanged since does not run.
 */
export interface ScriptContent {
  readonly scriptGuid: string;
  readonly version: string;
  readonly type: number;
  /** SHA-256 of the stored bytes, hex in any case. */
  readonly sha256: string;
  readonly parameters: readonly ScriptArgument[];
  /** Names the group of these values; any GUID. */
  readonly groupGuid: string;
  /** Implementations in public differ. */
  readonly hashCase: "lower" | "upper";
}

export interface ScriptArgument {
  readonly name: string;
  readonly type: DefinedParameter["type"];
  readonly value: string;
}

/** What `SMS_ScriptsExecutionStatus.ScriptOutput` holds at most; more is cut without a word (seen at release 2509). */
const STATUS_OUTPUT_CHARACTERS = 4_000;

/** Throws ProtocolError `xml-unwritable`. */
export function writeScriptContent(content: ScriptContent): string {
  const { parameters, groupGuid, hashCase } = content;
  const block = `<ScriptParameters>${parameters.map((each) => argumentText(each, groupGuid)).join("")}</ScriptParameters>`;
  const hash = parameters.length === 0 ? "" : groupHash(block, hashCase);
  const xml = [
    `<ScriptContent ScriptGuid='${xmlText(content.scriptGuid)}'>`,
    `<ScriptVersion>${xmlText(content.version)}</ScriptVersion>`,
    `<ScriptType>${content.type}</ScriptType>`,
    `<ScriptHash ScriptHashAlg='SHA256'>${xmlText(content.sha256.toUpperCase())}</ScriptHash>`,
    block,
    `<ParameterGroupHash ParameterHashAlg='SHA256'>${hash}</ParameterGroupHash>`,
    "</ScriptContent>",
  ].join("");
  return Buffer.from(xml, "utf8").toString("base64");
}

function argumentText({ name, type, value }: ScriptArgument, groupGuid: string): string {
  const group = xmlText(groupGuid);
  return `<ScriptParameter ParameterGroupGuid="${group}" ParameterGroupName="PG_${group}" ParameterName="${xmlText(name)}" ParameterType="${type}" ParameterDataType="${type}" ParameterValue="${xmlText(value)}"/>`;
}

function groupHash(block: string, hashCase: "lower" | "upper"): string {
  const hash = createHash("sha256").update(Buffer.from(block, "utf16le")).digest("hex");
  return hashCase === "upper" ? hash.toUpperCase() : hash;
}

/**
 * What a script printed. The site keeps the inside of a JSON string without its quotes; elsewhere a whole JSON string or a
 * list of lines was seen. What is neither stays as it came.
 */
export function scriptOutput(stored: string): { readonly text: string; readonly isCut: boolean } {
  const isCut = stored.length >= STATUS_OUTPUT_CHARACTERS;
  return { text: printed(stored).toWellFormed(), isCut };
}

function printed(stored: string): string {
  const trimmed = stored.trim();
  if (/^["[]/.test(trimmed)) {
    const value = jsonOf(trimmed);
    if (typeof value === "string") return value;
    if (Array.isArray(value) && value.every((line) => typeof line === "string")) {
      return value.join("\n");
    }
  }
  // A cut may lie within an escape of up to twelve characters (two halves of one character).
  for (let lost = 0; lost <= Math.min(12, stored.length); lost += 1) {
    const escaped = jsonOf(`"${stored.slice(0, stored.length - lost)}"`);
    if (typeof escaped === "string") return escaped;
    if (stored.length < STATUS_OUTPUT_CHARACTERS) break;
  }
  return stored;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
