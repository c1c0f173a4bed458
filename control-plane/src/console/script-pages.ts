import { isPermitted } from "../core/roles.ts";
import { address, facts, state, text, time } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, type Entity, quoted } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { operationTable } from "./operation-table.ts";
import {
  recordOf,
  type ShownSource,
  searchedList,
  sourceApi,
  sourceFrame,
  sourcePath,
} from "./source-frame.ts";
import {
  field,
  findTarget,
  hiddenTarget,
  onceField,
  onceKey,
  targetFields,
  targetQuery,
  typedTarget,
} from "./target.ts";

/** `/sources/{name}/scripts` and below: the scripts of a site, what is known of each, its runs, and a form to run it. */

const RESOURCE = "configurationManagerScripts";
const RUNS = "20";
const MAX_PARAMETERS_CHARACTERS = 16_384;

type Form = Readonly<Record<string, unknown>>;

export async function scriptsPage(
  api: ConsoleApi,
  source: ShownSource,
  query: URLSearchParams,
): Promise<Html> {
  const kept = targetQuery(typedTarget(query));
  const list = await searchedList(api, source, {
    ...{ resource: RESOURCE, below: "/scripts", query, kept },
    caption: "Scripts",
    columns: ["Script", "Approval", "Version", "SHA-256", "Author", "Approver", "Last changed"],
    row: (each) => [
      html`<a href="${address(scriptPath(source, each), kept)}">${text(each["displayName"])}</a>`,
      state(text(each["approvalState"])),
      text(each["scriptVersion"]),
      html`<code title="${text(each["hash"])}">${text(each["hash"]).slice(0, 12)}…</code>`,
      text(each["author"]),
      text(each["approver"]),
      time(each["lastUpdateTime"]),
    ],
  });
  return sourceFrame(api, source, { tab: "/scripts" }, list);
}

function scriptPath(source: ShownSource, { id }: Entity, below = ""): string {
  return sourcePath(source, `/scripts/${encodeURIComponent(text(id))}${below}`);
}

export async function scriptPage(
  api: ConsoleApi,
  source: ShownSource,
  of: {
    readonly id: string;
    /** What was typed into the form before. */
    readonly typed: URLSearchParams | Form;
    readonly problem?: string;
  },
): Promise<Html> {
  const script = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const runs = await api.page(sourceApi(source, "/clientOperations"), {
    $filter: `kind eq 'script' and subject eq ${quoted(text(script["key"]))}`,
    $orderby: "createdDateTime desc",
    $top: RUNS,
  });
  const content = html`${factsOf(script)}
    ${runForm(api, source, script, of)}
    <h3>Its runs, the newest first</h3>
    ${runs.entities.length === 0 ? html`<p class="quiet">It was not run from here.</p>` : operationTable(source, { id: "runs", caption: "Runs of the script", operations: runs.entities })}`;
  const heading = text(script["displayName"]);
  return sourceFrame(api, source, { tab: "/scripts", heading }, content);
}

function factsOf(script: Entity): Html {
  const parameters = script["parameters"];
  const names = Array.isArray(parameters)
    ? parameters.map((each) => parameterText(each as Entity)).join("; ") || "none"
    : "the bridge could not read them";
  return facts([
    ["Approval", state(text(script["approvalState"]))],
    ["Version", text(script["scriptVersion"])],
    [text(script["hashAlgorithm"]) || "SHA-256", html`<code>${text(script["hash"])}</code>`],
    ["ScriptGuid", html`<code>${text(script["scriptGuid"])}</code>`],
    ["Author", text(script["author"])],
    ["Approver", text(script["approver"])],
    ["Comment", text(script["comment"])],
    ["Parameters", names],
    ["Last changed at the site", time(script["lastUpdateTime"])],
    ["This version known since", time(script["lastModifiedDateTime"])],
  ]);
}

/** "Days (Int32, required, at least 1, at most 90)". */
function parameterText(of: Entity): string {
  const bound = (words: string, name: string, unit = "") =>
    typeof of[name] === "number" ? `${words} ${of[name]}${unit}` : "";
  const { values } = of;
  const words = [
    text(of["type"]).replace(/^System\./, ""),
    of["isRequired"] === true ? "required" : "",
    of["isHidden"] === true ? "hidden" : "",
    Array.isArray(values) ? `one of ${values.map((value) => text(value)).join(", ")}` : "",
    bound("at least", "minimum"),
    bound("at most", "maximum"),
    bound("at least", "minLength", " characters"),
    bound("at most", "maxLength", " characters"),
    text(of["pattern"]) && `like ${text(of["pattern"])}`,
    text(of["defaultValue"]) && `${text(of["defaultValue"])} unless given`,
  ];
  return `${text(of["name"])} (${words.filter((word) => word !== "").join(", ")})`;
}

function runForm(
  api: ConsoleApi,
  source: ShownSource,
  script: Entity,
  { typed, problem }: { readonly typed: URLSearchParams | Form; readonly problem?: string },
): Html | undefined {
  if (!isPermitted(api.session.roles, "actions.run")) return undefined;
  if (script["approvalState"] !== "approved") {
    return html`<p class="note">It runs once somebody other than its author has approved it at the site.</p>`;
  }
  return html`<h3>Run it</h3>
    ${problem && html`<p class="bad" role="alert">${problem}</p>`}
    <form class="asked" method="post" action="${scriptPath(source, script, "/confirm")}" aria-label="Run the script">
      ${targetFields(typedTarget(typed))}
      <label class="wide"><span>Parameters, one <code>Name=value</code> a line</span>
        <textarea name="parameters" rows="3" spellcheck="false" maxlength="${MAX_PARAMETERS_CHARACTERS}">
${field(typed, "parameters")}</textarea></label>
      <button>Go on</button>
    </form>`;
}

/** "Run Clean up, version 2, on PC0?" */
export async function scriptConfirmation(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly form: Form },
): Promise<Html> {
  const script = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const target = await findTarget(api, source, typedTarget(of.form));
  const parameters = parametersIn(field(of.form, "parameters"));
  const name = text(script["displayName"]);
  const given =
    parameters.length === 0
      ? "without parameters"
      : html`with ${parameters.map((each) => html`<code>${each.name}</code> = <code>${each.value}</code> `)}`;
  const content = html`<p class="note">Version ${text(script["scriptVersion"])} of the script <strong>${name}</strong> runs on
      <strong>${target.words}</strong>, ${given}, as the client's system account. The audit names you with it, without the values.</p>
    <p>SHA-256 <code>${text(script["hash"])}</code>. If the script is another by then, it is refused.</p>
    <form class="asked" method="post" action="${scriptPath(source, script, "/run")}">
      ${hiddenTarget(target.typed)}
      <input type="hidden" name="version" value="${text(script["scriptVersion"])}">
      <input type="hidden" name="sha256" value="${text(script["hash"])}">
      <input type="hidden" name="parameters" value="${field(of.form, "parameters")}">
      ${onceField()}
      <button>Run the script</button>
      <a href="${address(scriptPath(source, script), targetQuery(target.typed))}">Back, without it</a>
    </form>`;
  return sourceFrame(api, source, { tab: "/scripts", heading: `Run ${name}?` }, content);
}

/** Asks the API for the run, and answers the operation's id. What was confirmed is what is asked for. */
export async function runScript(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly form: Form },
): Promise<string> {
  const { form } = of;
  const script = await recordOf(api, source, { resource: RESOURCE, id: of.id });
  const { body: target } = await findTarget(api, source, typedTarget(form));
  const body = {
    target,
    version: field(form, "version"),
    sha256: field(form, "sha256"),
    parameters: parametersIn(field(form, "parameters")),
  };
  const path = sourceApi(source, `/scripts/${encodeURIComponent(text(script["scriptGuid"]))}/run`);
  const made = await api.post(path, body, onceKey(form, path, body));
  return text(made["id"]);
}

function parametersIn(typed: string): readonly { readonly name: string; readonly value: string }[] {
  const lines = typed.split(/\r?\n/).filter((line) => line.trim() !== "");
  return lines.map((line, n) => {
    // No pattern: one that leaves out spaces on both sides takes seconds for a line of 60,000.
    const at = line.indexOf("=");
    const name = line.slice(0, Math.max(0, at)).trim();
    if (name !== "") return { name, value: line.slice(at + 1) };
    const message = `Line ${n + 1} of the parameters is no Name=value.`;
    throw new ApiRefusal(400, "body-invalid", message);
  });
}
