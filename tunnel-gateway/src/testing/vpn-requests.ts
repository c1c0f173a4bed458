/**
 * Requests as stock clients send them, put together from what their sources and public descriptions say: openconnect 9.01 on
 * Linux (auth.c, cstp.c), AnyConnect 4.10 on Windows, 5 on iOS and Android.
 */

const OPENCONNECT = "Open AnyConnect VPN Agent v9.01-3";

export function request(line: string, fields: readonly string[], body = ""): Buffer {
  const length = body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return Buffer.from(`${[line, ...fields, ...length].join("\r\n")}\r\n\r\n${body}`);
}

const openconnectFields = [
  "Host: vpn.example",
  `User-Agent: ${OPENCONNECT}`,
  "Accept: */*",
  "Accept-Encoding: identity",
  "X-Transcend-Version: 1",
  "X-Aggregate-Auth: 1",
  "X-Support-HTTP-Auth: true",
  "X-Pad: 0000000000000000000000000000",
  "Content-Type: application/xml; charset=utf-8",
];

const openconnectHead = [
  '<version who="vpn">v9.01-3</version><device-id>linux-64</device-id>',
  "<capabilities><auth-method>single-sign-on-v2</auth-method></capabilities>",
].join("");

function configAuth(type: string, head: string, body: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<config-auth client="vpn" type="${type}" aggregate-auth-version="2">${head}${body}</config-auth>\n`;
}

export function openconnectInit(path = "/", more = ""): Buffer {
  const access = `<group-access>https://vpn.example${path}</group-access>${more}`;
  return request(
    `POST ${path} HTTP/1.1`,
    openconnectFields,
    configAuth("init", openconnectHead, access),
  );
}

/** `opaque` is the element as the server sent it. */
export function openconnectReply(opaque: string, auth: string, more = ""): Buffer {
  const body = configAuth("auth-reply", openconnectHead, `${opaque}<auth>${auth}</auth>${more}`);
  return request("POST /auth HTTP/1.1", openconnectFields, body);
}

export function openconnectTunnel(cookie = "abc", change: readonly string[] = []): Buffer {
  return request("CONNECT /CSCOSSLC/tunnel HTTP/1.1", [
    "Host: vpn.example",
    `User-Agent: ${OPENCONNECT}`,
    `Cookie: webvpn=${cookie}`,
    "X-CSTP-Version: 1",
    "X-CSTP-Hostname: laptop",
    "X-CSTP-Accept-Encoding: oc-lz4,lzs",
    "X-CSTP-Base-MTU: 1500",
    "X-CSTP-MTU: 1390",
    "X-CSTP-Address-Type: IPv6,IPv4",
    "X-CSTP-Full-IPv6-Capability: true",
    `X-DTLS-Master-Secret: ${"5A".repeat(48)}`,
    "X-DTLS-CipherSuite: PSK-NEGOTIATE:OC-DTLS1_2-AES256-GCM:OC-DTLS1_2-AES128-GCM:AES256-SHA:AES128-SHA",
    "X-DTLS12-CipherSuite: ECDHE-RSA-AES256-GCM-SHA384:AES256-GCM-SHA384:AES128-GCM-SHA256",
    "X-DTLS-Accept-Encoding: oc-lz4,lzs",
    ...change,
  ]);
}

const anyconnectFields = [
  "Host: vpn.example",
  "User-Agent: AnyConnect Windows 4.10.07073",
  "Cache-Control: no-cache",
  "Accept: */*",
  "Pragma: no-cache",
  "Connection: Keep-Alive",
  "Content-Type: application/x-www-form-urlencoded",
  "X-Transcend-Version: 1",
  "X-Aggregate-Auth: 1",
  "X-AnyConnect-Platform: win",
];

const anyconnectHead = [
  '<version who="vpn">4.10.07073</version>',
  '<device-id computer-name="PC" device-type="innotek GmbH VirtualBox" platform-version="10.0.19045 "',
  ' unique-id="6D6F64656C" unique-id-global="6D6F64656C47">win</device-id>',
  '<mac-address-list><mac-address public-interface="true">08-00-27-00-00-01</mac-address></mac-address-list>',
].join("");

/** AnyConnect says that it sends a form and sends XML. */
export function anyconnectInit(path = "/"): Buffer {
  const more = [
    `<group-access>https://vpn.example${path}</group-access>`,
    "<capabilities><auth-method>multiple-cert</auth-method><auth-method>single-sign-on</auth-method>",
    "<auth-method>single-sign-on-v2</auth-method></capabilities>",
  ].join("");
  return request(
    `POST ${path} HTTP/1.1`,
    anyconnectFields,
    configAuth("init", anyconnectHead, more),
  );
}

export function anyconnectReply(opaque: string, auth: string, more = ""): Buffer {
  const body = configAuth("auth-reply", anyconnectHead, `${opaque}<auth>${auth}</auth>${more}`);
  return request("POST /auth HTTP/1.1", anyconnectFields, body);
}

export function anyconnectTunnel(cookie = "abc"): Buffer {
  return request("CONNECT /CSCOSSLC/tunnel HTTP/1.1", [
    "Host: vpn.example",
    "User-Agent: Cisco AnyConnect VPN Agent for Windows 4.10.07073",
    `Cookie: webvpn=${cookie}`,
    "X-CSTP-Version: 1",
    "X-CSTP-Hostname: PC",
    "X-CSTP-MTU: 1399",
    "X-CSTP-Address-Type: IPv6,IPv4",
    "X-CSTP-Local-Address-IP4: 192.0.2.7",
    "X-CSTP-Base-MTU: 1500",
    "X-CSTP-Remote-Address-IP4: 198.51.100.1",
    "X-CSTP-Full-IPv6-Capability: true",
    `X-DTLS-Master-Secret: ${"a5".repeat(48)}`,
    "X-DTLS-CipherSuite: AES256-SHA:AES128-SHA:DES-CBC3-SHA",
    "X-DTLS12-CipherSuite: ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:AES256-GCM-SHA384:AES128-GCM-SHA256",
    "X-DTLS-Accept-Encoding: lzs",
    "X-CSTP-Accept-Encoding: lzs,deflate",
    "X-DTLS-Header-Pad-Length: 0",
    "X-CSTP-Protocol: Copyright (c) 2004 Cisco Systems, Inc.",
    "X-AnyConnect-Identifier-ClientVersion: 4.10.07073",
    "X-AnyConnect-Identifier-Platform: win",
    "X-AnyConnect-Identifier-PlatformVersion: 10.0.19045 ",
    "X-AnyConnect-Identifier-DeviceType: innotek GmbH VirtualBox",
    "X-AnyConnect-Identifier-Device-UniqueID: 6D6F64656C",
  ]);
}

/** AnyConnect 5 of a phone. */
export function mobileTunnel(platform: "apple-ios" | "android", cookie = "abc"): Buffer {
  const agent =
    platform === "apple-ios"
      ? "Cisco AnyConnect VPN Agent for Apple iPhone 5.0.05207"
      : "AnyConnect Android 5.0.05042";
  return request("CONNECT /CSCOSSLC/tunnel HTTP/1.1", [
    "Host: vpn.example",
    `User-Agent: ${agent}`,
    `Cookie: webvpn=${cookie}`,
    "X-CSTP-Version: 1",
    "X-CSTP-Hostname: localhost",
    "X-CSTP-MTU: 1280",
    "X-CSTP-Base-MTU: 1500",
    "X-CSTP-Address-Type: IPv6,IPv4",
    "X-CSTP-Full-IPv6-Capability: true",
    `X-DTLS-Master-Secret: ${"a5".repeat(48)}`,
    "X-DTLS12-CipherSuite: AES256-GCM-SHA384:AES128-GCM-SHA256",
    "X-AnyConnect-Identifier-ClientVersion: 5.0.05207",
    `X-AnyConnect-Identifier-Platform: ${platform}`,
    "X-AnyConnect-Identifier-PlatformVersion: 17.2",
    "X-AnyConnect-Identifier-DeviceType: iPhone15,2",
    "X-AnyConnect-Identifier-Device-UniqueID: 0123456789abcdef",
  ]);
}

/** openconnect 3.20 and clients like it: no XML goes up, and the login's place is kept in a cookie. */
export function oldForm(body: string, cookie = ""): Buffer {
  return request(
    "POST /auth HTTP/1.1",
    [
      "Host: vpn.example",
      "User-Agent: Open AnyConnect VPN Agent v3.20",
      ...(cookie === "" ? [] : [`Cookie: ${cookie}`]),
      "Accept: */*",
      "Accept-Encoding: identity",
      "X-Transcend-Version: 1",
      "Content-Type: application/x-www-form-urlencoded",
    ],
    body,
  );
}

/** The body of a request or response. */
export function bodyOf(message: Buffer): Buffer {
  return message.subarray(message.indexOf("\r\n\r\n") + 4);
}
