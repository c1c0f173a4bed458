import { isPermitted } from "../core/roles.ts";
import { address, pageLinks } from "./cells.ts";
import { ApiRefusal, type ConsoleApi } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { operationTable } from "./operation-table.ts";
import { type ShownSource, sourceApi, sourceFrame, sourcePath } from "./source-frame.ts";
import { field, findTarget, onceField, onceKey, targetFields, typedTarget } from "./target.ts";

/** `/sources/{name}/queries`: a form to ask devices something now, and what was asked before. */

const ROWS = "25";
const MAX_QUERY_CHARACTERS = 4_000;

type Form = Readonly<Record<string, unknown>>;

export async function queriesPage(
  api: ConsoleApi,
  source: ShownSource,
  of: {
    /** What was typed into the form before. */
    readonly typed: URLSearchParams | Form;
    readonly page?: string | undefined;
    readonly problem?: string;
  },
): Promise<Html> {
  const found = await api.page(sourceApi(source, "/queries"), {
    $orderby: "createdDateTime desc",
    $top: ROWS,
    $skiptoken: of.page,
  });
  const here = sourcePath(source, "/queries");
  const next = found.skipToken && address(here, { page: found.skipToken });
  const history = operationTable(source, {
    ...{ id: "asked", caption: "Queries, the newest first", operations: found.entities },
  });
  const content = html`${queryForm(api, source, of)}
    <h3>What was asked before</h3>
    ${found.entities.length === 0 ? html`<p class="quiet">Nothing yet.</p>` : history}
    ${pageLinks(of.page === undefined ? undefined : here, next)}`;
  return sourceFrame(api, source, { tab: "/queries" }, content);
}

function queryForm(
  api: ConsoleApi,
  source: ShownSource,
  { typed, problem }: { readonly typed: URLSearchParams | Form; readonly problem?: string },
): Html {
  if (!isPermitted(api.session.roles, "actions.query")) {
    return html`<p class="note">To ask needs the permission actions.query.</p>`;
  }
  return html`${problem && html`<p class="bad" role="alert">${problem}</p>`}
    <form class="asked" method="post" action="${sourcePath(source, "/queries")}" aria-label="CMPivot query">
      <label class="whole">Query
        <textarea name="query" rows="4" required spellcheck="false" maxlength="${MAX_QUERY_CHARACTERS}"
          placeholder="Service | where Name == 'Spooler' | project Device, State">
${field(typed, "query")}</textarea></label>
      ${targetFields(typedTarget(typed))}
      ${onceField()}
      <button>Run</button>
    </form>
    <p class="quiet">The bridge reads the query and judges it by its guardrails before anything is sent to the site. Devices that are
      offline wait, and are asked once they are back.</p>`;
}

/** Asks the API, and answers the operation's id. */
export async function askQuery(api: ConsoleApi, source: ShownSource, form: Form): Promise<string> {
  const query = field(form, "query");
  if (query === "") throw new ApiRefusal(400, "body-invalid", "Type a query.");
  const { body: target } = await findTarget(api, source, typedTarget(form));
  const body = { target, query };
  const path = sourceApi(source, "/queries");
  const made = await api.post(path, body, onceKey(form, path, body));
  return String(made["id"]);
}
