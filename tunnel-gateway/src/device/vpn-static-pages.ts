import type { HttpResponse } from "../protocol/http-response.ts";
import { type StaticPage, staticPageAt } from "../protocol/static-page.ts";

/** What clients may fetch of the gateway; certificates DER. */
export interface VpnSite {
  readonly certificate: Uint8Array;
  /** Of the CA that issued it, where the chain has one. */
  readonly issuer: Uint8Array | undefined;
  /** SHA-1 of `certificate`, hex. */
  readonly certificateHash: string;
  /** The AnyConnect profile; `hash` is its SHA-1, hex. */
  readonly profile:
    | { readonly file: string; readonly hash: string; readonly xml: Uint8Array }
    | undefined;
}

/** The answer to a GET of something that AnyConnect looks for; undefined where nothing stands. */
export function staticAnswer(path: string, site: VpnSite): HttpResponse | undefined {
  const page = staticPageAt(path);
  return page && answerOf(page, site);
}

function answerOf(page: StaticPage, site: VpnSite): HttpResponse | undefined {
  switch (page.kind) {
    case "text":
      return found(page.type, page.body);
    case "profile": {
      const { profile } = site;
      const isIt = profile !== undefined && page.file === encodeURIComponent(profile.file);
      return isIt ? found("text/xml", profile.xml) : undefined;
    }
    case "certificate": {
      const der = page.of === "server" ? site.certificate : site.issuer;
      if (der === undefined) return undefined;
      return page.encoding === "der"
        ? found("application/pkix-cert", der)
        : found("application/x-pem-file", pem(der));
    }
  }
}

function found(type: string, body: string | Uint8Array): HttpResponse {
  return { status: 200, fields: [["Content-Type", type]], cookies: [], body };
}

function pem(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?!$)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
