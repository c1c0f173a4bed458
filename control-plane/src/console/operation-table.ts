import { actionWords } from "../core/action-words.ts";
import { state, table, text, time } from "./cells.ts";
import type { Entity } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { type ShownSource, sourcePath } from "./source-frame.ts";
import { counts, operationState, reason } from "./state-words.ts";
import { targetWords } from "./target.ts";

/** Operations of a site: what was asked for, of whom, and what became of it. */

export function operationPath(source: Pick<ShownSource, "name">, { id, kind }: Entity): string {
  const below = kind === "query" ? "/queries" : "/actions";
  return `/sources/${encodeURIComponent(source.name)}${below}/${encodeURIComponent(text(id))}`;
}

export function operationTable(
  source: ShownSource,
  of: {
    readonly id: string;
    readonly caption: string;
    readonly operations: readonly Entity[];
  },
): Html {
  return table({
    ...{ id: of.id, caption: of.caption },
    columns: ["What", "On", "State", "Devices", "Asked", "Last news"],
    rows: of.operations.map((each) => [
      html`<a href="${operationPath(source, each)}">${actionWords(text(each["action"]))}</a><br>${subject(source, each)}`,
      targetWords(source, each["target"]),
      html`${operationState(each["state"])}${each["reason"] === null ? undefined : html`<br><small>${reason(each["reason"])}</small>`}`,
      html`${counts(each["deviceCounts"])}${each["isTruncated"] === true ? html`<br>${state("warning", "truncated")}` : undefined}`,
      html`${text(each["actor"])}<br><small>${time(each["createdDateTime"])}</small>`,
      html`<small>${time(each["stateDateTime"])}</small>`,
    ]),
  });
}

/** A query as it was asked; the page of a script or an application. */
export function subject(source: ShownSource, operation: Entity): Html | undefined {
  const { kind, subject: asked, subjectId, details } = operation;
  if (typeof asked !== "string") return undefined;
  if (kind === "query") return html`<code>${asked}</code>`;
  const { version, scriptName, applicationName } = (details ?? {}) as Entity;
  const name = text(scriptName ?? applicationName ?? asked);
  const words = html`${name}${text(version) && `, version ${text(version)}`}`;
  if (typeof subjectId !== "string") return html`<small>${words}</small>`;
  const below = kind === "script" ? "/scripts" : "/applications";
  return html`<small><a href="${sourcePath(source, `${below}/${subjectId}`)}">${words}</a></small>`;
}
