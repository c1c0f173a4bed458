import { type Html, type HtmlValue, html } from "./html.ts";

/** What tables and lists of the pages are made of. */

const CLASSES: Readonly<Record<string, string>> = {
  connected: "good",
  compliant: "good",
  succeeded: "good",
  installed: "good",
  requirementsNotMet: "warn",
  restartPending: "warn",
  completed: "good",
  healthy: "good",
  issued: "good",
  noncompliant: "bad",
  quarantined: "bad",
  failed: "bad",
  refused: "bad",
  unhealthy: "bad",
  revoked: "bad",
  communicationError: "bad",
  disconnected: "warn",
  revocationPending: "warn",
  expired: "warn",
  approved: "good",
  denied: "bad",
  waiting: "warn",
  waitingForApproval: "warn",
  warning: "warn",
  unknown: "warn",
};

/** A state as its word, or in other words; the colour only repeats it. */
export function state(word: string, words = word): Html {
  return html`<span class="${CLASSES[word] ?? ""}">${words}</span>`;
}

/** A time, in ms or as the API writes it. */
export function time(value: unknown): Html | string {
  const ms = typeof value === "string" ? Date.parse(value) : value;
  const date = new Date(typeof ms === "number" ? ms : Number.NaN);
  if (Number.isNaN(date.getTime())) return "";
  const iso = date.toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace("T", " ")} UTC</time>`;
}

export function text(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A table in a region that scrolls, each row headed by its first cell. `id` names it and is unique in the page. */
export function table(of: {
  readonly id: string;
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly HtmlValue[])[];
}): Html {
  const { id, caption, columns, rows } = of;
  return html`<div class="scroll" role="region" aria-labelledby="${id}" tabindex="0"><table class="cards">
      <caption id="${id}" class="unseen">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
      <tbody>${rows.map((cells) => row(cells, columns))}</tbody>
    </table></div>`;
}

/** On a narrow screen each row is a card, and each cell says its column. */
function row(cells: readonly HtmlValue[], columns: readonly string[]): Html {
  const shown = cells.map((cell, n) =>
    n === 0
      ? html`<th scope="row">${cell}</th>`
      : html`<td data-column="${columns[n] ?? ""}">${cell}</td>`,
  );
  return html`<tr>${shown}</tr>`;
}

/** Names and what they are. */
export function facts(pairs: readonly (readonly [name: string, value: HtmlValue])[]): Html {
  return html`<dl>${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A choice among values; the first is what nothing was chosen of. */
export function choice(of: {
  readonly name: string;
  readonly label: string;
  readonly values: readonly (readonly [value: string, words: string])[];
  readonly chosen: string;
}): Html {
  const options = of.values.map(
    ([value, words]) =>
      html`<option value="${value}"${value === of.chosen ? html` selected` : undefined}>${words}</option>`,
  );
  return html`<label>${of.label} <select name="${of.name}">${options}</select></label>`;
}

/** A link to a page of the console with this query; what is empty is left out. */
export function address(path: string, query: Readonly<Record<string, string | undefined>>): string {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(kept as [string, string][]).toString();
  return search === "" ? path : `${path}?${search}`;
}

/** Links to the first and the next page of a list. */
export function pageLinks(first: string | undefined, next: string | undefined): Html | undefined {
  if (first === undefined && next === undefined) return undefined;
  return html`<nav class="pages" aria-label="Pages of the list">
      ${first && html`<a href="${first}">First page</a>`}
      ${next && html`<a rel="next" href="${next}">Next page</a>`}
    </nav>`;
}
