import type { AuthenticatorPage } from "../core/authenticator.ts";

/** A page of one sentence; nothing from the request stands in it. */
export function browserPage(status: number, sentence: string): AuthenticatorPage {
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>VPN</title>
<style>body{font:1.2em/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0 1em}</style></head>
<body><p>${sentence}</p></body></html>
`;
  return {
    status,
    headers: new Map([["Content-Type", "text/html; charset=utf-8"], ...SAFE]),
    cookies: [],
    body,
  };
}

/** Sends the browser elsewhere. */
export function redirect(location: string, cookies: readonly string[]): AuthenticatorPage {
  return { status: 302, headers: new Map([["Location", location], ...SAFE]), cookies, body: "" };
}

const SAFE: readonly (readonly [string, string])[] = [
  ["Cache-Control", "no-store"],
  ["Referrer-Policy", "no-referrer"],
  ["X-Content-Type-Options", "nosniff"],
  ["X-Frame-Options", "DENY"],
  [
    "Content-Security-Policy",
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  ],
];
