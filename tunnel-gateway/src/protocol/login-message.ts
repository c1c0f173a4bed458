import { ProtocolError } from "@isthmus/shared/errors";
import type { StatedClient } from "./client-facts.ts";
import { childOf, parseXml, type XmlElement } from "./xml-element.ts";

/**
 * What a client sends to log in. Aggregate authentication (XML):
 *
 *     <config-auth client="vpn" type="init|auth-reply|logout" aggregate-auth-version="2">
 *       <version who="vpn">v9.01</version>
 *       <device-id platform-version=".." device-type=".." unique-id="..">linux-64</device-id>
 *       <capabilities><auth-method>single-sign-on-v2</auth-method>..</capabilities>
 *       <group-access>https://host/group</group-access>      init
 *       <client-cert-fail/>                                  init
 *       <group-select>group</group-select>
 *       <opaque is-for="sg">as it was sent</opaque>          auth-reply
 *       <auth><username>..</username>..</auth>               auth-reply
 *       <session-token>..</session-token>                    logout
 *     </config-auth>
 *
 * and before that existed (openconnect 3 and older, and newer ones that could not read an answer): an HTML form,
 * `username=..&password=..&group_list=..`, told from XML by its first character.
 */
export type LoginMessage =
  | {
      readonly kind: "init";
      readonly client: StatedClient;
      readonly group: string | undefined;
      readonly isGroupFixed: boolean;
      readonly hasNoCertificate: boolean;
    }
  | {
      readonly kind: "reply";
      readonly client: StatedClient;
      readonly group: string | undefined;
      /** No list of groups is wanted: the group's own URL was used, or the form had none. */
      readonly isGroupFixed: boolean;
      /** Undefined where the client sends none: a cookie tells where its login stands. */
      readonly opaque: string | undefined;
      /** By the names that our form gave them. */
      readonly fields: ReadonlyMap<string, string>;
    }
  | { readonly kind: "logout"; readonly token: string | undefined };

/** The name that Cisco's own servers give to what `opaque` is needed for; clients send all of it back as it came. */
export const LOGIN_HANDLE = "aggauth-handle";
/** Inside `opaque`: `name of the client's = name of the form's`, see `wireNames`. */
export const FIELD_NAME = "field-name";

/** Own limits on what a user types; an OIDC token of a browser login is the longest of it. */
const MAX_FIELDS = 32;
const MAX_VALUE_CHARACTERS = 8_192;
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
const MAX_GROUP_CHARACTERS = 256;
const MAX_HANDLE_CHARACTERS = 512;

const HTML_GROUP = "group_list";

/** Reads the body of a POST; throws `ProtocolError` with an `xml-*` or `login-*` code. */
export function parseLoginMessage(body: Buffer): LoginMessage {
  const isXml = /^(?:\xef\xbb\xbf)?\s*</.test(body.subarray(0, 64).toString("latin1"));
  return isXml ? fromXml(parseXml(body)) : fromForm(body.toString("utf8"));
}

function fromXml(root: XmlElement): LoginMessage {
  if (root.name !== "config-auth") throw malformed("a login's XML is not config-auth");
  const type = root.attributes.get("type");
  const client = statedClient(root);
  const selected = bounded(textOf(root, "group-select"), MAX_GROUP_CHARACTERS);
  switch (type) {
    case "init": {
      const hasNoCertificate = childOf(root, "client-cert-fail") !== undefined;
      const group = selected ?? groupOfUrl(root);
      const isGroupFixed = selected === undefined && group !== undefined;
      return { kind: "init", client, group, isGroupFixed, hasNoCertificate };
    }
    case "auth-reply":
      return {
        kind: "reply",
        client,
        group: selected,
        isGroupFixed: selected === undefined,
        ...replyOf(root),
      };
    case "logout":
      return { kind: "logout", token: textOf(root, "session-token") };
    default:
      throw malformed("a login's XML has no type that a client may send");
  }
}

function replyOf(root: XmlElement) {
  const opaque = childOf(root, "opaque");
  const names = new Map(
    (opaque?.children ?? [])
      .filter(({ name }) => name === FIELD_NAME)
      .map(({ attributes, text }) => [attributes.get("on-wire") ?? "", text.trim()]),
  );
  const answers = childOf(root, "auth")?.children ?? [];
  const fields = fieldsOf(answers.map(({ name, text }) => [names.get(name) ?? name, text]));
  const handle = opaque && textOf(opaque, LOGIN_HANDLE);
  return { opaque: bounded(handle, MAX_HANDLE_CHARACTERS), fields };
}

function fromForm(text: string): LoginMessage {
  const entries = [...new URLSearchParams(text)];
  const group = entries.find(([name]) => name === HTML_GROUP)?.[1];
  const fields = fieldsOf(entries.filter(([name]) => name !== HTML_GROUP));
  const chosen = bounded(group, MAX_GROUP_CHARACTERS);
  if (fields.size === 0) {
    const isGroupFixed = false;
    return { kind: "init", client: {}, group: chosen, isGroupFixed, hasNoCertificate: false };
  }
  const isGroupFixed = chosen === undefined;
  return { kind: "reply", client: {}, group: chosen, isGroupFixed, opaque: undefined, fields };
}

/** Of several answers with one name the first counts. */
function fieldsOf(
  entries: readonly (readonly [name: string, value: string])[],
): ReadonlyMap<string, string> {
  if (entries.length > MAX_FIELDS) {
    const message = `a login's answer has more than ${MAX_FIELDS} fields`;
    throw new ProtocolError("login-fields", message);
  }
  const fields = new Map<string, string>();
  for (const [name, value] of entries) {
    if (!NAME.test(name)) throw malformed("a login's answer has a field without a proper name");
    if (value.length > MAX_VALUE_CHARACTERS) {
      const message = `a field of a login's answer exceeds ${MAX_VALUE_CHARACTERS} characters`;
      throw new ProtocolError("login-value-size", message);
    }
    if (!fields.has(name)) fields.set(name, value);
  }
  return fields;
}

function statedClient(root: XmlElement): StatedClient {
  const device = childOf(root, "device-id");
  const methods = childOf(root, "capabilities")?.children ?? [];
  return {
    version: textOf(root, "version"),
    platform: device?.text.trim(),
    platformVersion: device?.attributes.get("platform-version"),
    deviceType: device?.attributes.get("device-type"),
    uniqueId: device?.attributes.get("unique-id"),
    authMethods: methods
      .filter(({ name }) => name === "auth-method")
      .map(({ text }) => text.trim()),
  };
}

/** `https://host/group` names a group; without a path it names none. */
function groupOfUrl(root: XmlElement): string | undefined {
  const text = textOf(root, "group-access");
  const url = text === undefined ? null : URL.parse(text);
  return url ? groupOfPath(url.pathname) : undefined;
}

/** The group that a path names: its one segment, unless that is a page of the login itself. */
export function groupOfPath(path: string): string | undefined {
  const [, segment = ""] = /^\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})\/?$/.exec(path) ?? [];
  return segment === "" || segment === "auth" || segment === "VPN" ? undefined : segment;
}

function textOf(element: XmlElement, name: string): string | undefined {
  const text = childOf(element, name)?.text.trim();
  return text === "" ? undefined : text;
}

function bounded(text: string | undefined, most: number): string | undefined {
  if (text === undefined || text.length <= most) return text === "" ? undefined : text;
  throw malformed(`a text of a login's message exceeds ${most} characters`);
}

function malformed(message: string): ProtocolError {
  return new ProtocolError("login-malformed", message);
}
