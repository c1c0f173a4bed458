import { readClientFacts } from "../../protocol/client-facts.ts";
import { HttpFields, MAX_HTTP_BODY_BYTES } from "../../protocol/http-head.ts";
import { type LoginMessage, parseLoginMessage } from "../../protocol/login-message.ts";
import {
  MAX_XML_ATTRIBUTES,
  MAX_XML_BYTES,
  MAX_XML_DEPTH,
  MAX_XML_ELEMENTS,
  parseXml,
  type XmlElement,
} from "../../protocol/xml-element.ts";
import { anyconnectInit, anyconnectReply, bodyOf, oldForm } from "../vpn-requests.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { cutUp, type FuzzTarget, holds, isSame, outcomeOf, readConnection } from "./target.ts";

const OPAQUE =
  '<opaque is-for="sg"><aggauth-handle>a</aggauth-handle><field-name on-wire="password">code</field-name></opaque>';
const ELEMENTS = [
  "config-auth",
  "version",
  "device-id",
  "capabilities",
  "auth-method",
  "group-access",
  "group-select",
  "client-cert-fail",
  "opaque",
  "aggauth-handle",
  "field-name",
  "auth",
  "username",
  "password",
  "session-token",
  "a",
];
const ATTRIBUTES = ["type", "on-wire", "is-for", "platform-version", "unique-id"];
/** Names that objects of JavaScript have. */
const ODD_NAMES = ["__proto__", "constructor", "toString", "#text", ":@"];
const TEXTS = [
  ...["", " ", "alice", "init", "logout", "https://vpn.example/staff", "\u00e9\u{1f511}"],
  ...["&amp;", "&#65;", "&#x1F511;", "&lt;b&gt;", "&quot;", "a".repeat(300)],
];
/** What no reader takes. */
const ODD_TEXTS = ["&#0;", "&#xD800;", "&nbsp;", "&", "]]>", "\0", "\u0001", "\ufffe"];
const FORM_PARTS = ["username=alice", "password=%26", "group_list=staff", "a=%ff", "b"];
const MARKUP = [
  ...['<?xml version="1.0" encoding="UTF-8"?>', "<!DOCTYPE a>", "<!--", "-->", "<![CDATA[", "<?"],
  ...["</", "/>", "<", ">", '="', '"', "'", "\ufeff", "&#", ";"],
].map((text) => Buffer.from(text).toString("latin1"));

/** The bodies of logins: aggregate authentication's XML, and HTML forms. */
export const loginForms: FuzzTarget = {
  corpus: [
    anyconnectInit(),
    anyconnectReply(OPAQUE, "<username>alice</username><password>a&amp;b</password>"),
    anyconnectReply("", "", "<group-select>staff</group-select>"),
    oldForm("group_list=staff&username=alice&password=%26"),
  ].map(bodyOf),
  words: [
    ...MARKUP,
    ...[...ELEMENTS, ...ODD_NAMES].flatMap((name) => [`<${name}>`, `</${name}>`, `<${name}/>`]),
    ...[...ATTRIBUTES, ...ODD_NAMES].map((name) => ` ${name}="a"`),
    ...[...TEXTS, ...ODD_TEXTS].map((text) => Buffer.from(text).toString("latin1")),
    ...[...FORM_PARTS, "=", "%", "+"].map((part) => `&${part}`),
  ],
  generate: (random) => Buffer.from(random.once(8) ? generateForm(random) : generateLogin(random)),
  check,
};

function generateForm(random: SeededRandom): string {
  const parts = Array.from({ length: random.below(40) }, (_, index) =>
    random.once(2) ? random.pick(FORM_PARTS) : `a${index}=b`,
  );
  return parts.join("&");
}

function generateLogin(random: SeededRandom): string {
  const type = random.pick(["init", "auth-reply", "logout"]);
  const inside = Array.from({ length: 1 + random.below(6) }, () => generateElement(random, 3));
  const declaration = random.once(2) ? '<?xml version="1.0" encoding="UTF-8"?>\n' : "";
  return `${declaration}<config-auth client="vpn" type="${type}">${inside.join("")}</config-auth>`;
}

function generateElement(random: SeededRandom, levels: number): string {
  const name = random.pick(ELEMENTS.slice(1));
  const count = random.once(64) ? random.below(2 * MAX_XML_ATTRIBUTES) : random.below(3);
  const attributes = Array.from(
    { length: count },
    (_, index) => ` ${ATTRIBUTES[index] ?? `a${index}`}="${random.pick(TEXTS)}"`,
  );
  const inside =
    levels > 0 && random.once(2)
      ? Array.from({ length: random.below(4) }, () => generateElement(random, levels - 1)).join("")
      : random.pick(TEXTS);
  return `<${name}${attributes.join("")}>${inside}</${name}>`;
}

function check(bytes: Buffer): boolean {
  const tree = outcomeOf(() => parseXml(bytes), /^xml-/);
  if (tree.isRead) checkTree(tree.value, bytes);
  const message = outcomeOf(() => parseLoginMessage(bytes), /^(?:xml|login)-/);
  if (message.isRead) checkMessage(message.value);
  checkInPieces(bytes, message);
  return message.isRead;
}

function checkTree(root: XmlElement, bytes: Buffer): void {
  holds(bytes.length <= MAX_XML_BYTES, "a document is within its bytes");
  holds(depthOf(root) <= MAX_XML_DEPTH, "a document is within its depth");
  holds(countOf(root) <= MAX_XML_ELEMENTS, "a document is within its elements");
  const text = written(root);
  const again = Buffer.from(text);
  if (again.length <= MAX_XML_BYTES) isSame(parseXml(again), root, "a document means what it says");
}

function depthOf(element: XmlElement): number {
  return 1 + Math.max(0, ...element.children.map(depthOf));
}

function countOf(element: XmlElement): number {
  holds(element.attributes.size <= MAX_XML_ATTRIBUTES, "an element is within its attributes");
  return element.children.reduce((sum, child) => sum + countOf(child), 1);
}

function written({ name, attributes, text, children }: XmlElement): string {
  const inTag = [...attributes].map(([key, value]) => ` ${key}="${escaped(value)}"`).join("");
  return `<${name}${inTag}>${escaped(text)}${children.map(written).join("")}</${name}>`;
}

/** By number; ends of lines and tabs too, or a reader takes them for others. */
function escaped(text: string): string {
  return text.replace(/[&<>"'\r\n\t]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function checkMessage(message: LoginMessage): void {
  if (message.kind === "logout") return;
  holds((message.group?.length ?? 0) <= 256, "a group's name is within its length");
  const facts = readClientFacts(new HttpFields([]), message.client);
  const texts = [facts.version, facts.platform, facts.platformVersion, facts.uniqueId];
  holds(
    texts.every((text = "") => /^[\x20-\x7e]{0,256}$/.test(text)),
    "what a client says of itself can be printed",
  );
  if (message.kind === "init") return;
  holds((message.opaque?.length ?? 0) <= 512, "a handle is within its length");
  holds(message.fields.size <= 32, "an answer is within its fields");
  for (const [name, value] of message.fields) {
    holds(/^[\w.-]{1,64}$/.test(name), "a field's name is proper");
    holds(value.length <= 8_192, "a field's value is within its length");
  }
}

/** However the request's bytes come, the body is this one, and is read alike. */
function checkInPieces(bytes: Buffer, message: ReturnType<typeof outcomeOf<LoginMessage>>): void {
  const head = `POST /auth HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes.length}\r\n\r\n`;
  const { requests, refusal } = readConnection(cutUp(Buffer.concat([Buffer.from(head), bytes])));
  if (bytes.length > MAX_HTTP_BODY_BYTES) {
    isSame(refusal, "http-body-size", "a body is within its bytes");
    return;
  }
  const body = requests[0]?.body;
  holds(body?.equals(bytes) === true, "a body in pieces is the body");
  const again = outcomeOf(() => parseLoginMessage(body), /^(?:xml|login)-/);
  isSame(again, message, "a message is always read alike");
}
