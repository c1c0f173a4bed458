import { createHash } from "node:crypto";
import { alphabetical, complex, date, type EntityClass, int, lazy, text } from "./entity-class.ts";
import { Refusal } from "./odata-refusal.ts";
import type { Script } from "./operations.ts";
import type { SeedScript } from "./site-options.ts";

/** The bytes that a site keeps of a script: UTF-16LE with a byte order mark. */
export function storedScript(text: string): Buffer {
  return Buffer.from(`\ufeff${text}`, "utf16le");
}

/** By which a script is pinned: SHA-256 of what is stored, hex. */
export function storedScriptSha256(text: string): string {
  return createHash("sha256").update(storedScript(text)).digest("hex");
}

/** The scripts of the site, with approval and the check of what is run. */
export class Scripts {
  readonly #now: () => number;
  #all = new Map<string, Script>();

  constructor(seed: readonly SeedScript[], now: () => number) {
    this.#now = now;
    for (const { isApproved, text: source, ...script } of seed) {
      const parameters = (script.parameters ?? []).map(
        ({ name, isRequired }) =>
          `<ScriptParameter Name="${name}" Type="System.String" IsRequired="${isRequired === true}" IsHidden="false" DefaultValue=""/>`,
      );
      const made = this.create({
        guid: script.guid,
        name: script.name,
        author: script.author ?? "CORP\\author",
        version: "1",
        type: 0,
        stored: storedScript(source).toString("base64"),
        paramsDefinition:
          parameters.length === 0
            ? ""
            : Buffer.from(
                `<ScriptParameters SchemaVersion="1">${parameters.join("")}</ScriptParameters>`,
                "utf16le",
              ).toString("base64"),
        parameterListXml: "",
        ...(script.output !== undefined && { output: script.output }),
        ...(script.parameters !== undefined && { parameters: script.parameters }),
      });
      if (isApproved === true)
        Object.assign(made, { approvalState: 3, approver: "CORP\\approver" });
    }
  }

  find(guid: string): Script | undefined {
    return this.#all.get(guid.toUpperCase());
  }

  create(
    of: Omit<Script, "hash" | "approvalState" | "approver" | "comment" | "updatedAt">,
  ): Script {
    const guid = of.guid.toUpperCase();
    if (this.#all.has(guid)) throw new Refusal(500, "A script with this ScriptGuid exists.");
    const bytes = Buffer.from(of.stored, "base64");
    const hash = createHash("sha256").update(bytes).digest("hex").toUpperCase();
    const script: Script = {
      ...of,
      guid,
      hash,
      ...{ approvalState: 0, approver: "", comment: "", updatedAt: this.#now() },
    };
    this.#all.set(guid, script);
    return script;
  }

  remove(guid: string): boolean {
    return this.#all.delete(guid.toUpperCase());
  }

  classes(): EntityClass[] {
    const columns = [
      text<Script>("ScriptGuid", ({ guid }) => guid),
      text<Script>("ScriptName", ({ name }) => name),
      text<Script>("ScriptVersion", ({ version }) => version),
      int<Script>("ScriptType", ({ type }) => type),
      text<Script>("ScriptHash", ({ hash }) => hash),
      text<Script>("ScriptHashAlgorithm", () => "SHA256"),
      text<Script>("Author", ({ author }) => author),
      int<Script>("ApprovalState", ({ approvalState }) => approvalState),
      text<Script>("Approver", ({ approver }) => approver),
      text<Script>("Comment", ({ comment }) => comment),
      int<Script>("Feature", () => 0),
      date<Script>("LastUpdateTime", ({ updatedAt }) => updatedAt),
    ];
    const rows = () => [...this.#all.values()].sort((a, b) => (a.guid < b.guid ? -1 : 1));
    const byKey = (key: string) => this.find(key);
    const v1: EntityClass<Script> = {
      name: "Script",
      route: "v1.0",
      keys: ["ScriptGuid"],
      columns,
      rows,
      byKey,
    };
    const wmi: EntityClass<Script> = {
      ...v1,
      name: "SMS_Scripts",
      route: "wmi",
      columns: alphabetical([
        ...columns,
        lazy(text<Script>("Script", ({ stored }) => stored.replace(/(.{76})/g, "$1\r\n"))),
        lazy(text<Script>("ParamsDefinition", ({ paramsDefinition }) => paramsDefinition)),
        lazy(text<Script>("ParameterlistXML", ({ parameterListXml }) => parameterListXml)),
        lazy(complex<Script>("ScriptParameters", ({ parameters }) => parameters ?? [])),
      ]),
    };
    return [v1, wmi] as unknown as EntityClass[];
  }

  /**
   * The `Param` of InitiateClientOperationEx: the script it names and the values, or a refusal with status 500 as the
   * provider has it for all of these: not approved, another version or hash, a wrong hash of the parameters, an unknown or
   * missing parameter.
   */
  readParam(param: unknown): {
    readonly script: Script;
    readonly parameters: Record<string, string>;
  } {
    const xml = typeof param === "string" ? Buffer.from(param, "base64").toString("utf8") : "";
    const guid = /^<ScriptContent ScriptGuid=['"]([0-9A-Fa-f-]{36})['"]>/.exec(xml)?.[1];
    const script = guid === undefined ? undefined : this.find(guid);
    if (script === undefined) throw providerFault("Script not found.");
    if (script.approvalState !== 3) throw providerFault("Script is not approved.");
    const hash = /<ScriptHash ScriptHashAlg=['"]SHA256['"]>([0-9A-Fa-f]{64})</.exec(xml)?.[1];
    const version = /<ScriptVersion>([^<]*)</.exec(xml)?.[1];
    if (hash !== script.hash || version !== script.version)
      throw providerFault("Script hash or version does not match.");
    return { script, parameters: parametersOf(xml, script) };
  }

  state(): Map<string, Script> {
    return new Map([...this.#all].map(([guid, script]) => [guid, { ...script }]));
  }

  restore(state: ReadonlyMap<string, Script>): void {
    this.#all = new Map([...state].map(([guid, script]) => [guid, { ...script }]));
  }
}

function parametersOf(xml: string, script: Script): Record<string, string> {
  const block =
    /<ScriptParameters>.*<\/ScriptParameters>|<ScriptParameters\/>/s.exec(xml)?.[0] ?? "";
  const hash = /<ParameterGroupHash ParameterHashAlg=['"]SHA256['"]>([0-9A-Fa-f]*)</.exec(xml)?.[1];
  const expected = createHash("sha256").update(Buffer.from(block, "utf16le")).digest("hex");
  // Public code leaves the hash out where there are no parameters.
  const isEmpty = !block.includes("<ScriptParameter ") && hash === "";
  if (block !== "" && !isEmpty && hash?.toLowerCase() !== expected)
    throw providerFault("ParameterGroupHash does not match.");
  const values: Record<string, string> = {};
  for (const [, attributes = ""] of block.matchAll(/<ScriptParameter ([^>]*?)\/?>/g)) {
    const named = new Map(
      [...attributes.matchAll(/(\w+)=(?:"([^"]*)"|'([^']*)')/g)].map(([, name, a, b]) => [
        name,
        unescaped(a ?? b ?? ""),
      ]),
    );
    values[named.get("ParameterName") ?? ""] = named.get("ParameterValue") ?? "";
  }
  const known = script.parameters ?? [];
  const foreign = Object.keys(values).find((name) => !known.some((each) => each.name === name));
  const missing = known.find(({ name, isRequired }) => isRequired === true && !(name in values));
  if (foreign !== undefined) throw providerFault(`Unknown script parameter '${foreign}'.`);
  if (missing !== undefined) throw providerFault(`Script parameter '${missing.name}' is missing.`);
  return values;
}

function unescaped(value: string): string {
  return value
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&");
}

function providerFault(message: string): Refusal {
  return new Refusal(500, message);
}
