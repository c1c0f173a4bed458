import { isPermitted } from "../core/roles.ts";
import { address, facts, state, text, time } from "./cells.ts";
import { ApiRefusal, type ConsoleApi, type Entity } from "./console-api.ts";
import { Html, html } from "./html.ts";
import { cancelForm, deviceStates } from "./operation-page.ts";
import { type ShownSource, sourceApi, sourceFrame, sourcePath } from "./source-frame.ts";
import { approvalNote, counts, operationState, reasonBeside } from "./state-words.ts";
import { targetWords } from "./target.ts";

/**
 * `/sources/{name}/queries/{id}`: a query and its rows. While it runs the page is not ended: rows are written into it as they come. What is
 * said of the progress stands at the foot of the window and covers what was said before, by the style sheet alone: Chromium does not look
 * again at `:has()` of earlier elements while a page is still coming.
 */

/** Own limit of one page; the next one goes on. */
const MAX_ROWS = 1_000;
/** As many as a query has (CMPivot's own limit). Each row has a cell for each of them, and the first row may say that there are 100,000. */
const MAX_COLUMNS = 64;
/** Where the rows go. Nothing that is escaped can be it. */
const ROWS_HERE = new Html("<!--rows-->");

export async function queryPage(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly query: URLSearchParams },
): Promise<AsyncIterable<string>> {
  const path = sourceApi(source, `/queries/${encodeURIComponent(of.id)}`);
  const operation = await api.entity(path);
  if (operation["kind"] !== "query") {
    throw new ApiRefusal(404, "not-found", "There is no such query");
  }
  const after = /^\d{1,15}$/.exec(of.query.get("after") ?? "")?.[0] ?? "0";
  const content = html`${facts([
    ["On", targetWords(source, operation["target"])],
    ["Asked by", text(operation["actor"])],
    ["Asked at", time(operation["createdDateTime"])],
    ["Devices may take it up until", time(operation["expirationDateTime"])],
  ])}
    <pre class="note">${text(operation["subject"])}</pre>
    ${cancelForm(api, source, operation)}
    ${ROWS_HERE}
    <p><a href="${address(sourcePath(source, "/queries"), { query: text(operation["subject"]) })}">Ask it again, or something like it</a></p>`;
  const whole = sourceFrame(api, source, { tab: "/queries", heading: "CMPivot query" }, content);
  const [head = "", tail = ""] = whole.text.split(ROWS_HERE.text);
  return written({ api, source, path, after, id: text(operation["id"]) }, head, tail);
}

interface Shown {
  readonly api: ConsoleApi;
  readonly source: ShownSource;
  readonly path: string;
  readonly after: string;
  readonly id: string;
}

async function* written(shown: Shown, head: string, tail: string): AsyncGenerator<string> {
  yield head;
  if (isPermitted(shown.api.session.roles, "actions.query")) yield* rows(shown);
  else yield* outcome(shown, html`<p class="note">Its rows need the permission actions.query.</p>`);
  yield tail;
}

/** What the API refuses once the page has begun is said in it. */
async function* rows(shown: Shown): AsyncGenerator<string> {
  const { api, path, after } = shown;
  const list = new RowTable(after);
  try {
    for await (const events of api.events(`${path}/rows`, { stream: "true", after })) {
      await list.write(events, (event) => progress(shown, event));
      yield list.take();
      if (list.isFull) break;
    }
    yield list.end();
    yield* outcome(shown, list.isFull ? goOn(shown, list.last) : undefined);
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    yield list.end() + html`<p class="bad" role="alert">${error.message}</p>`.text;
  }
}

/** The table of rows as far as it is written. Its columns are those of the first row; what others have besides stands behind. */
class RowTable {
  last: string;
  /** A row was left out. */
  isFull = false;
  #columns: readonly string[] | undefined;
  #count = 0;
  #text = "";

  constructor(after: string) {
    this.last = after;
  }

  async write(
    events: readonly Entity[],
    progressOf: (event: Entity) => Promise<Html>,
  ): Promise<void> {
    for (const event of events) {
      if (event["event"] === "row") this.#add(event);
      if (event["event"] === "progress") this.#say(await progressOf(event));
    }
  }

  #add(event: Entity): void {
    this.isFull = this.#count >= MAX_ROWS;
    if (this.isFull) return;
    this.#count += 1;
    this.last = text(event["number"]);
    const row = (event["row"] ?? {}) as Entity;
    if (this.#columns === undefined) {
      // The site names the device of a row itself; here it is a link.
      const names = Object.keys(row).filter((name) => name !== "Device");
      this.#columns = names.slice(0, MAX_COLUMNS);
      this.#text += this.#begin().text;
    }
    this.#text += rowOf(event, row, this.#columns).text;
  }

  /** Covers what was said before. */
  #say(words: Html): void {
    const said =
      this.#columns === undefined
        ? html`<div class="progress" role="status">${words}</div>`
        : html`</tbody><tbody class="progress"><tr><td colspan="${this.#columns.length + 1}"><div role="status">${words}</div></td></tr></tbody><tbody>`;
    this.#text += said.text;
  }

  take(): string {
    const written = this.#text;
    this.#text = "";
    return written;
  }

  end(): string {
    const rest = this.take();
    if (this.#columns === undefined) return `${rest}<p class="quiet">No row came.</p>`;
    return `${rest}</tbody></table></div>`;
  }

  #begin(): Html {
    const heads = (this.#columns ?? []).map((column) => html`<th scope="col">${column}</th>`);
    return html`<div class="scroll" role="region" aria-labelledby="rows" tabindex="0"><table>
      <caption id="rows" class="unseen">Rows, as they came</caption>
      <thead><tr><th scope="col">Device</th>${heads}</tr></thead>
      <tbody>`;
  }
}

function rowOf(event: Entity, row: Entity, columns: readonly string[]): Html {
  const name = text(event["deviceName"]) || text(event["resourceId"]);
  const id = event["managedDeviceId"];
  const device = typeof id === "string" ? html`<a href="/devices/${id}">${name}</a>` : name;
  const cells = columns.map((column) => html`<td>${text(row[column])}</td>`);
  const others = Object.entries(row).filter(
    ([column]) => column !== "Device" && !columns.includes(column),
  );
  const besides =
    others.length > 0 &&
    html`<td>${others.map(([column, value]) => `${column}: ${text(value)} `)}</td>`;
  return html`<tr><th scope="row">${device}</th>${cells}${besides || undefined}</tr>`;
}

async function progress({ api, path }: Shown, event: Entity): Promise<Html> {
  const { state: word, deviceCounts, rowCount } = event;
  // The stream tells the state; what somebody has to type stands in the operation.
  if (word === "waitingForApproval") return html`${approvalNote(await api.entity(path))}`;
  return html`<strong>${operationState(word)}</strong>: ${counts(deviceCounts)}; ${text(rowCount)} rows so far. This page goes on by itself.`;
}

function goOn({ source, id }: Shown, after: string): Html {
  const next = address(sourcePath(source, `/queries/${encodeURIComponent(id)}`), { after });
  return html`<p class="pages"><a rel="next" href="${next}">Rows after number ${after}</a></p>`;
}

/** How it ended, or how far it is; and each device that did not answer whole. */
async function* outcome(shown: Shown, more: Html | undefined): AsyncGenerator<string> {
  const { api, source, path } = shown;
  const operation = await api.entity(path);
  const isTruncated = operation["isTruncated"] === true;
  const cut = html`<p class="note warn"><strong>${state("warning", "Truncated")}</strong>: something was left out. A client cuts its answer at 128 KB;
    of a query 100,000 rows and 64 MB are kept.</p>`;
  const lost = html`<p class="note">Its rows are no longer kept.</p>`;
  // By these the style sheet hides what was said while it ran, and the button to cancel.
  const end = html`<div class="stopped${operation["endedDateTime"] === null ? "" : " ended"}"></div>`;
  yield html`${end}${more}${approvalNote(operation)}
    ${facts([
      ["State", operationState(operation["state"])],
      ["Reason", reasonBeside(operation)],
      ["Devices", counts(operation["deviceCounts"])],
      ["Rows", text(operation["rowCount"])],
      ["Ended", time(operation["endedDateTime"])],
    ])}
    ${isTruncated ? cut : undefined}${operation["areResultsKept"] === false ? lost : undefined}`
    .text;
  const $filter = "state ne 'succeeded' or isTruncated eq true";
  yield (
    await deviceStates(api, source, { path, $filter, caption: "Devices that did not answer whole" })
  ).text;
}
