import { isPermitted } from "../core/roles.ts";
import { address } from "./cells.ts";
import type { ConsoleApi } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import type { ShownSource } from "./source-frame.ts";
import { type TypedTarget, targetQuery } from "./target.ts";

const LINKS = [
  ["/queries", "Run a CMPivot query", "actions.query"],
  ["/scripts", "Run a script", "actions.run"],
  ["/applications", "Install or remove an application", "actions.run"],
] as const;

/** Links to what the signed-in roles may ask of a device or a collection by the pages of its source. */
export function targetLinks(
  api: ConsoleApi,
  source: Pick<ShownSource, "name">,
  target: TypedTarget,
): Html | undefined {
  const links = LINKS.filter(([, , permission]) => isPermitted(api.session.roles, permission)).map(
    ([below, words]) => {
      const path = `/sources/${encodeURIComponent(source.name)}${below}`;
      return html`<li><a class="button" href="${address(path, targetQuery(target))}">${words}</a></li>`;
    },
  );
  return links.length === 0 ? undefined : html`<ul class="buttons">${links}</ul>`;
}
