import { isIP } from "node:net";
import { readClientFacts } from "../../protocol/client-facts.ts";
import { parseConnectRequest } from "../../protocol/connect-request.ts";
import { parseCookies } from "../../protocol/cookies.ts";
import {
  type HttpHead,
  MAX_HTTP_BODY_BYTES,
  MAX_HTTP_FIELDS,
  MAX_HTTP_HEAD_BYTES,
  parseHttpHead,
} from "../../protocol/http-head.ts";
import { HttpRequests, MAX_HTTP_WAITING_BYTES } from "../../protocol/http-requests.ts";
import { tunnelMtu } from "../../protocol/mtu.ts";
import { parseTunnelHeaders } from "../../protocol/tunnel-request.ts";
import {
  anyconnectInit,
  anyconnectTunnel,
  mobileTunnel,
  oldForm,
  openconnectInit,
  openconnectTunnel,
  request,
} from "../vpn-requests.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { cutUp, type FuzzTarget, holds, isSame, outcomeOf, readConnection } from "./target.ts";

const VALUES: Readonly<Record<string, readonly string[]>> = {
  "User-Agent": ["Open AnyConnect VPN Agent v9.01-3", "AnyConnect Windows 4.10.07073", "curl/8"],
  Cookie: ["webvpn=abc", "webvpncontext=a; webvpn=b", "=;;=", "a=b; a=c"],
  "X-CSTP-Version": ["1", "2"],
  "X-CSTP-Hostname": ["laptop", "-", "a_b.c"],
  "X-CSTP-Base-MTU": ["1500", "0", "1", "999999", "1000000"],
  "X-CSTP-MTU": ["1390", "0", "575", "01"],
  "X-CSTP-Address-Type": ["IPv6,IPv4", "IPv4", "none"],
  "X-CSTP-Full-IPv6-Capability": ["true", "TRUE", "false"],
  "X-CSTP-Address": ["10.9.0.7", "2001:db8::7", "10.9.0.256"],
  "X-DTLS-Master-Secret": ["5A".repeat(48), "5A".repeat(47), "zz".repeat(48)],
  "X-DTLS-CipherSuite": ["PSK-NEGOTIATE:AES256-SHA", "AES256-SHA"],
  "X-DTLS12-CipherSuite": ["AES128-GCM-SHA256", "PSK-NEGOTIATE", ":::"],
  "X-AnyConnect-Identifier-Device-UniqueID": ["6D6F64656C", "x".repeat(257)],
};
/** What most heads with it are refused for. */
const ODD_VALUES: Readonly<Record<string, readonly string[]>> = {
  "Content-Length": ["0", "5", "65536", "65537", "00", "-1"],
  "Transfer-Encoding": ["chunked"],
  Host: ["vpn.example", "intranet.example:443"],
  "": [""],
};
const NAMES = Object.keys(VALUES);
const TARGETS = ["/", "/auth", "/CSCOSSLC/tunnel", "intranet.example:443", "[2001:db8::1]:80"];
const METHODS = ["CONNECT", "CONNECT", "POST", "GET", "HEAD"];
const BODIES = ["", "", "a=b", "<a/>", "\r\n\r\n"];

/** The bytes of a connection to the gateway: heads, bodies, what stands behind a CONNECT. */
export const httpHeads: FuzzTarget = {
  corpus: [
    openconnectInit(),
    openconnectTunnel(),
    anyconnectInit(),
    anyconnectTunnel(),
    mobileTunnel("apple-ios"),
    oldForm("group_list=staff&username=alice"),
    Buffer.concat([openconnectInit(), openconnectTunnel(), Buffer.from("STF\u0001")]),
    request("CONNECT intranet.example:443 HTTP/1.1", ["Host: intranet.example:443"]),
  ],
  words: [
    ...[...NAMES, ...Object.keys(ODD_VALUES)].map((name) => `\r\n${name}: `),
    ...[...Object.values(VALUES), ...Object.values(ODD_VALUES)].flat(),
    ...METHODS.map((method) => `${method} `),
    ...TARGETS,
    ...["\r\n", "\n", "\r", "\r\n\r\n", "\n\n", " HTTP/1.1", " HTTP/1.0", ":", " ", "\t", "\0"],
  ],
  generate: (random) =>
    Buffer.concat(Array.from({ length: 1 + random.below(3) }, () => generateRequest(random))),
  check,
};

function generateRequest(random: SeededRandom): Buffer {
  const target = random.pick(TARGETS);
  const host = target.startsWith("/") ? "vpn.example" : target;
  const count = random.once(64) ? random.below(2 * MAX_HTTP_FIELDS) : random.below(12);
  const fields = Array.from({ length: count }, () => {
    const name = random.pick(NAMES);
    return `${name}: ${random.pick(VALUES[name] ?? [])}`;
  });
  const body = random.pick(BODIES);
  const line = `${random.pick(METHODS)} ${target} HTTP/1.${random.once(8) ? 0 : 1}`;
  return request(line, [`Host: ${host}`, ...fields], body);
}

function check(bytes: Buffer): boolean {
  const whole = readConnection([bytes]);
  isSame(readConnection(cutUp(bytes)), whole, "in pieces a connection is read as in one");
  for (const { body, ...head } of whole.requests) {
    holds(body.length === head.contentLength, "a body is as long as its head says");
    checkHead(head);
  }
  // Also what has no end.
  const alone = outcomeOf(() => parseHttpHead(bytes), /^http-/);
  if (alone.isRead) holds(bytes.length <= MAX_HTTP_HEAD_BYTES, "a head is within its bytes");
  if (bytes.length > 2_000) checkWaiting(bytes);
  return whole.requests.length > 0;
}

function checkHead(head: HttpHead): void {
  const { method, target, version, fields, contentLength } = head;
  holds(fields.entries.length <= MAX_HTTP_FIELDS, "a head is within its fields");
  holds(contentLength <= MAX_HTTP_BODY_BYTES, "a body is within its bytes");
  holds(/^[A-Z]+$/.test(method) && /^[\x21-\x7e]+$/.test(target), "a request line is one line");
  for (const [name, value] of fields.entries) {
    holds(/^[^\s:]+$/.test(name), "a field's name is a token");
    holds(!/[\r\n\0]|^[ \t]|[ \t]$/.test(value), "a field's value is one line");
    holds(fields.all(name.toUpperCase()).includes(value), "a field is found by its name");
  }
  const lines = fields.entries.map(([name, value]) => `${name}: ${value}`);
  const text = [`${method} ${target} HTTP/${version}`, ...lines, "", ""].join("\r\n");
  // Spaces that were left out around a value may have made room for those that are put in.
  if (text.length <= MAX_HTTP_HEAD_BYTES)
    isSame(parseHttpHead(Buffer.from(text, "latin1")), head, "a head means what it says");
  checkRelay(head);
  checkTunnel(head);
}

function checkRelay({ method, target, version, fields }: HttpHead): void {
  const rawHeaders = fields.entries.flat();
  const read = outcomeOf(
    () => parseConnectRequest({ method, target, version, rawHeaders }),
    /^(?:connect|authority)-/,
  );
  if (!read.isRead) return;
  const { kind, host, port } = read.value;
  holds(isIP(host) === { name: 0, ipv4: 4, ipv6: 6 }[kind], "an address is told from a name");
  holds(/^[a-z0-9._:-]{1,253}$/.test(host) && port >= 1 && port <= 65_535, "a target is proper");
  holds(target.toLowerCase().includes(host), "a target stands in the request line");
  holds(fields.all("Content-Length").length === 0, "a CONNECT has no body");
}

function checkTunnel({ fields }: HttpHead): void {
  const cookies = [...parseCookies(fields.all("Cookie"))];
  holds(cookies.length <= 64, "cookies are within their number");
  holds(
    cookies.every(([name, value]) => !/[\s;,"\\]/.test(name + value) && value.length <= 4_096),
    "a cookie is proper",
  );
  const facts = readClientFacts(fields);
  const texts = [facts.userAgent, facts.platform, facts.version, facts.uniqueId, facts.deviceType];
  holds(
    texts.every((text = "") => /^[\x20-\x7e]{0,256}$/.test(text)),
    "what a client says of itself can be printed",
  );
  const tunnel = outcomeOf(() => parseTunnelHeaders(fields), /^tunnel-/);
  if (!tunnel.isRead) return;
  const { baseMtu, innerMtu, formerAddresses, dtls } = tunnel.value;
  const mtu = tunnelMtu({ base: baseMtu, inner: innerMtu, isIpv6: false });
  holds(
    [mtu.base, mtu.tls, mtu.dtls].every((one) => one >= 576 && one <= 1_500),
    "an MTU is within its bounds",
  );
  holds(
    formerAddresses.length <= 2 && formerAddresses.every((one) => isIP(one) !== 0),
    "a former address is one",
  );
  if (dtls?.kind === "resumption")
    holds(dtls.masterSecret.length === 48, "a master secret has 48 bytes");
}

/** A connection that nobody reads is refused before it holds more than its bound. */
function checkWaiting(bytes: Buffer): void {
  const reader = new HttpRequests();
  for (let pushed = bytes.length; ; pushed += bytes.length) {
    const outcome = outcomeOf(() => reader.push(bytes), /^http-waiting$/);
    holds(outcome.isRead === pushed <= MAX_HTTP_WAITING_BYTES, "what waits is within its bound");
    if (!outcome.isRead) return;
  }
}
