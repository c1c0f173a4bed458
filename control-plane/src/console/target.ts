import { createHash, randomUUID } from "node:crypto";
import { text } from "./cells.ts";
import { ApiRefusal, allOf, type ConsoleApi, type Entity, quoted } from "./console-api.ts";
import { type Html, html } from "./html.ts";
import { ofSource, type ShownSource, sourcePath } from "./source-frame.ts";

/** Whom an action of a source's page goes to: a device or a collection, as it was typed, and as it was found. */

export interface TypedTarget {
  readonly device: string;
  readonly collection: string;
}

export interface FoundTarget {
  /** `target` of the API. */
  readonly body: object;
  readonly words: string;
  /** With which the same target is found again. */
  readonly typed: TypedTarget;
}

type Fields = URLSearchParams | Readonly<Record<string, unknown>>;

export function field(fields: Fields, name: string): string {
  const value = fields instanceof URLSearchParams ? fields.get(name) : fields[name];
  return typeof value === "string" ? value.trim() : "";
}

export function typedTarget(fields: Fields): TypedTarget {
  return { device: field(fields, "device"), collection: field(fields, "collection") };
}

export function targetFields({ device, collection }: TypedTarget): Html {
  return html`<label>Device <input name="device" value="${device}" placeholder="name or ResourceID" maxlength="256" spellcheck="false"></label>
    <label>or collection <input name="collection" value="${collection}" placeholder="name or CollectionID" maxlength="256" spellcheck="false"></label>`;
}

export function hiddenTarget({ device, collection }: TypedTarget): Html {
  return html`<input type="hidden" name="device" value="${device}"><input type="hidden" name="collection" value="${collection}">`;
}

/** Only what was typed of it, for addresses. */
export function targetQuery({ device, collection }: TypedTarget): Readonly<Record<string, string>> {
  return { ...(device && { device }), ...(collection && { collection }) };
}

/** The one device or collection of the source that was typed. Throws `ApiRefusal` in words for who typed it. */
export async function findTarget(
  api: ConsoleApi,
  source: ShownSource,
  typed: TypedTarget,
): Promise<FoundTarget> {
  const { device, collection } = typed;
  if ((device === "") === (collection === "")) {
    throw refused("Name a device or a collection, and not both.");
  }
  return device === ""
    ? await findCollection(api, source, collection)
    : await findDevice(api, source, device);
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

async function findDevice(
  api: ConsoleApi,
  source: ShownSource,
  typed: string,
): Promise<FoundTarget> {
  const found = GUID.test(typed)
    ? [await api.entity(`/managedDevices/${typed}`)]
    : await only(api, source, {
        resource: "managedDevices",
        terms: [
          /^\d+$/.test(typed) && `configurationManagerKey eq ${quoted(typed)}`,
          `deviceName eq ${quoted(typed)}`,
        ],
      });
  const key = (each: Entity) => text(each["configurationManagerKey"]);
  const [device] = found.filter((each) => each["configurationManagerSite"] === source.name);
  if (device === undefined) throw refused(`${source.name} has no device ${typed}.`);
  if (found.length > 1) {
    throw refused(
      `Several devices are named ${typed}: name one by its ResourceID, ${found.map(key).join(", ")}.`,
    );
  }
  return {
    body: { resourceIds: [Number(key(device))] },
    words: text(device["deviceName"]) || key(device),
    typed: { device: key(device), collection: "" },
  };
}

async function findCollection(
  api: ConsoleApi,
  source: ShownSource,
  typed: string,
): Promise<FoundTarget> {
  const [collection, second] = await only(api, source, {
    resource: "configurationManagerCollections",
    terms: [`collectionId eq ${quoted(typed)}`, `displayName eq ${quoted(typed)}`],
  });
  if (collection === undefined) throw refused(`${source.name} has no collection ${typed}.`);
  if (second !== undefined) {
    throw refused(`Several collections are named ${typed}: name one by its CollectionID.`);
  }
  const id = text(collection["collectionId"]);
  const members = `${text(collection["knownMemberCount"])} devices that are known`;
  return {
    body: { collectionId: id },
    words: `the collection ${text(collection["displayName"])} (${id}, ${members})`,
    typed: { device: "", collection: id },
  };
}

/** What the first term that finds anything finds, three at most. */
async function only(
  api: ConsoleApi,
  source: ShownSource,
  of: { readonly resource: string; readonly terms: readonly (string | false)[] },
): Promise<readonly Entity[]> {
  for (const term of of.terms) {
    if (term === false) continue;
    const $filter = allOf([term, ofSource(source)]);
    const { entities } = await api.page(`/${of.resource}`, { $filter, $top: "3" });
    if (entities.length > 0) return entities;
  }
  return [];
}

function refused(message: string): ApiRefusal {
  return new ApiRefusal(400, "body-invalid", message);
}

/** Keeps a form that is sent twice from being done twice; the same page with other fields asks for something else. */
export function onceField(key: string = randomUUID()): Html {
  return html`<input type="hidden" name="key" value="${key}">`;
}

export function onceKey(fields: Fields, ...asked: readonly unknown[]): string {
  const key = field(fields, "key");
  if (!GUID.test(key)) throw refused("The form was not sent whole.");
  return createHash("sha256")
    .update(JSON.stringify([key, asked]))
    .digest("hex");
}

/** What an operation was asked for, as the API tells it. */
export function targetWords(source: ShownSource, target: unknown): Html | string {
  const { kind, collectionId, id, resourceIds, managedDeviceIds, displayName } = (target ??
    {}) as Entity;
  const named = text(displayName);
  if (kind === "collection") {
    const name = html`collection ${named || html`<code>${text(collectionId)}</code>`}`;
    if (typeof id !== "string") return name;
    return html`<a href="${sourcePath(source, `/collections/${id}`)}">${name}</a>`;
  }
  const [first, ...more] = (managedDeviceIds ?? []) as readonly string[];
  const [key] = (resourceIds ?? []) as readonly number[];
  const device =
    first === undefined
      ? html`device <code>${text(key)}</code>`
      : html`<a href="/devices/${first}">device ${named || html`<code>${text(key)}</code>`}</a>`;
  return more.length === 0 ? device : html`${device} and ${more.length} more`;
}
