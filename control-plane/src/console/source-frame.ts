import { address, pageLinks, table, text } from "./cells.ts";
import { ApiRefusal, allOf, begins, type ConsoleApi, type Entity, quoted } from "./console-api.ts";
import { type Html, type HtmlValue, html } from "./html.ts";
import { signedInPage } from "./page-frame.ts";

/** What the pages of one source have in common. */

/** A source that a page is about. */
export interface ShownSource {
  readonly name: string;
  /** As the API answers it. */
  readonly entity: Entity;
}

/** The source that the path names; throws `ApiRefusal`. */
export async function shownSource(api: ConsoleApi, name: string): Promise<ShownSource> {
  const entity = await api.entity(`/configurationManagerSites/${encodeURIComponent(name)}`);
  return { name: text(entity["id"]), entity };
}

/** Path of the source in the API, and of its page. */
export function sourceApi({ name }: ShownSource, below = ""): string {
  return `/configurationManagerSites/${encodeURIComponent(name)}${below}`;
}

export function sourcePath({ name }: Pick<ShownSource, "name">, below = ""): string {
  return `/sources/${encodeURIComponent(name)}${below}`;
}

const TABS = [
  ["", "Overview"],
  ["/collections", "Collections"],
  ["/applications", "Applications"],
  ["/scripts", "Scripts"],
  ["/boundary-groups", "Boundary groups"],
  ["/queries", "CMPivot"],
  ["/actions", "Actions"],
] as const;
export type SourceTab = (typeof TABS)[number][0];

export function sourceFrame(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly tab: SourceTab; readonly heading?: string },
  content: Html,
): Html {
  const isSite = source.entity["sourceType"] === "configmgr";
  const tabs = TABS.filter(([below]) => below === "" || isSite).map(([below, name]) => {
    const current = below === of.tab ? html` aria-current="page"` : undefined;
    return html`<a href="${sourcePath(source, below)}"${current}>${name}</a>`;
  });
  const heading = of.heading ?? TABS.find(([below]) => below === of.tab)?.[1] ?? "";
  return signedInPage(
    { title: `${source.name}: ${heading}`, place: "/sources", session: api.session },
    html`<p><a href="/sources">Sources</a></p>
      <h2>${text(source.entity["displayName"])}</h2>
      <nav class="tabs" aria-label="This source">${tabs}</nav>
      <h3>${heading}</h3>
      ${content}`,
  );
}

/** The condition of the API that something is of this source. */
export function ofSource({ name }: ShownSource): string {
  return `configurationManagerSite eq ${quoted(name)}`;
}

/** A record of the source by the id that lists give; throws `ApiRefusal` for what another source has. */
export async function recordOf(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly resource: string; readonly id: string },
): Promise<Entity> {
  const entity = await api.entity(`/${of.resource}/${encodeURIComponent(of.id)}`);
  if (entity["configurationManagerSite"] === source.name) return entity;
  throw new ApiRefusal(404, "not-found", `${source.name} has no such entity`);
}

const ROWS = "50";

/** A list of the source's records that is searched by how names begin. `kept` stays in links to other pages of it. */
export async function searchedList(
  api: ConsoleApi,
  source: ShownSource,
  of: {
    readonly resource: string;
    readonly below: SourceTab;
    readonly caption: string;
    readonly columns: readonly string[];
    readonly query: URLSearchParams;
    readonly kept?: Readonly<Record<string, string>>;
    readonly row: (entity: Entity) => readonly HtmlValue[];
  },
): Promise<Html> {
  const { query, kept = {} } = of;
  const name = query.get("name")?.trim() ?? "";
  const skipToken = query.get("page") ?? undefined;
  const found = await api.page(`/${of.resource}`, {
    $filter: allOf([ofSource(source), begins("displayName", name)]),
    $orderby: "displayName",
    $top: ROWS,
    $skiptoken: skipToken,
    $count: skipToken === undefined ? "true" : undefined,
  });
  const here = sourcePath(source, of.below);
  const first = address(here, { ...kept, name });
  const next = found.skipToken && address(here, { ...kept, name, page: found.skipToken });
  const list = table({
    id: "list",
    caption: of.caption,
    columns: of.columns,
    rows: found.entities.map(of.row),
  });
  const counted = found.count === undefined ? "A later page." : `${found.count} found.`;
  return html`<form class="asked" method="get" action="${here}" role="search" aria-label="${of.caption}">
      <label>Name begins with <input type="search" name="name" value="${name}" placeholder="A or *part" maxlength="256"></label>
      ${Object.entries(kept).map(([key, value]) => html`<input type="hidden" name="${key}" value="${value}">`)}
      <button>Search</button>
    </form>
    <p role="status">${counted}</p>
    ${found.entities.length === 0 ? undefined : list}
    ${pageLinks(skipToken === undefined ? undefined : first, next)}`;
}
