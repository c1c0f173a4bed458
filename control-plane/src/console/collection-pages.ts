import { address, facts, pageLinks, table, text, time } from "./cells.ts";
import { notificationForm } from "./collection-notification.ts";
import type { ConsoleApi, Entity } from "./console-api.ts";
import { allOf, quoted } from "./console-api.ts";
import { online } from "./device-list-page.ts";
import { type Html, html } from "./html.ts";
import {
  ofSource,
  recordOf,
  type ShownSource,
  searchedList,
  sourceFrame,
  sourcePath,
} from "./source-frame.ts";
import { targetLinks } from "./target-links.ts";

const ROWS = "100";
const DEPLOYMENTS = "50";

/** `/sources/{name}/collections`: its collections. */
export async function collectionsPage(
  api: ConsoleApi,
  source: ShownSource,
  query: URLSearchParams,
): Promise<Html> {
  const list = await searchedList(api, source, {
    ...{ resource: "configurationManagerCollections", below: "/collections", query },
    caption: "Collections",
    columns: ["Collection", "CollectionID", "Devices, as the site counts", "Known here", "Comment"],
    row: (each) => [
      html`<a href="${collectionPath(source, each)}">${text(each["displayName"])}</a>`,
      html`<code>${text(each["collectionId"])}</code>`,
      text(each["memberCount"]),
      text(each["knownMemberCount"]),
      text(each["comment"]),
    ],
  });
  return sourceFrame(api, source, { tab: "/collections" }, list);
}

function collectionPath(source: ShownSource, { id }: Entity): string {
  return sourcePath(source, `/collections/${encodeURIComponent(text(id))}`);
}

/** `/sources/{name}/collections/{id}`: its members, what is deployed to it, and what may be asked of it. */
export async function collectionPage(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly id: string; readonly query: URLSearchParams },
): Promise<Html> {
  const resource = "configurationManagerCollections";
  const entity = await recordOf(api, source, { resource, id: of.id });
  const collectionId = text(entity["collectionId"]);
  const skipToken = of.query.get("page") ?? undefined;
  const [members, deployments, limiting] = await Promise.all([
    api.page(`/${resource}/${text(entity["id"])}/members`, {
      $orderby: "deviceName",
      $select: "deviceName,operatingSystem,osVersion,isOnline,lastSyncDateTime,userPrincipalName",
      $top: ROWS,
      $skiptoken: skipToken,
    }),
    api.page("/configurationManagerDeployments", {
      $filter: allOf([`collectionId eq ${quoted(collectionId)}`, ofSource(source)]),
      $top: DEPLOYMENTS,
    }),
    limitingLink(api, source, text(entity["limitingCollectionId"])),
  ]);
  const here = collectionPath(source, entity);
  const content = html`${facts([
    ["CollectionID", html`<code>${collectionId}</code>`],
    ["Comment", text(entity["comment"])],
    ["Limited to", limiting],
    ["Devices, as the site counts", text(entity["memberCount"])],
    ["Devices known here", text(entity["knownMemberCount"])],
    ["Members last changed", time(entity["lastMemberChangeDateTime"])],
  ])}
    <h3>Act on its devices</h3>
    ${notificationForm(api, source, { id: text(entity["id"]), name: text(entity["displayName"]) || collectionId })}
    ${targetLinks(api, source, { device: "", collection: collectionId })}
    <h3>Devices</h3>
    ${members.entities.length === 0 ? html`<p class="quiet">None that is known here.</p>` : memberTable(members.entities)}
    ${pageLinks(skipToken === undefined ? undefined : here, members.skipToken && address(here, { page: members.skipToken }))}
    <h3>Deployments to it</h3>
    ${deployments.entities.length === 0 ? html`<p class="quiet">None that is known here.</p>` : deploymentTable(deployments.entities)}`;
  const heading = text(entity["displayName"]) || collectionId;
  return sourceFrame(api, source, { tab: "/collections", heading }, content);
}

async function limitingLink(api: ConsoleApi, source: ShownSource, collectionId: string) {
  if (collectionId === "") return "";
  const $filter = allOf([`collectionId eq ${quoted(collectionId)}`, ofSource(source)]);
  const { entities } = await api.page("/configurationManagerCollections", { $filter, $top: "1" });
  const [found] = entities;
  if (found === undefined) return html`<code>${collectionId}</code>`;
  return html`<a href="${collectionPath(source, found)}">${text(found["displayName"])}</a>`;
}

function memberTable(members: readonly Entity[]): Html {
  return table({
    id: "members",
    caption: "Devices of the collection",
    columns: ["Name", "User", "Operating system", "Online", "Last seen"],
    rows: members.map((device) => [
      html`<a href="/devices/${text(device["id"])}">${text(device["deviceName"]) || text(device["id"])}</a>`,
      text(device["userPrincipalName"]),
      `${text(device["operatingSystem"])} ${text(device["osVersion"])}`,
      online(device["isOnline"]),
      time(device["lastSyncDateTime"]),
    ]),
  });
}

function deploymentTable(deployments: readonly Entity[]): Html {
  return table({
    id: "deployments",
    caption: "Deployments to the collection",
    columns: ["What", "Intent", "Deployment", "Since"],
    rows: deployments.map((each) => [
      text(each["targetName"]),
      text(each["intent"]),
      text(each["displayName"]),
      time(each["deploymentTime"]),
    ]),
  });
}
