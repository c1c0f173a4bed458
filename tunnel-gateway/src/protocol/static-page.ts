/**
 * What AnyConnect fetches besides its login, to find updates, its profile and texts, and how it is answered. An update is
 * never offered: the manifest is empty and the version zero, which ends the search.
 */
export type StaticPage =
  | { readonly kind: "text"; readonly type: string; readonly body: string }
  /** The AnyConnect profile; 404 where there is none or another is asked for. */
  | { readonly kind: "profile"; readonly file: string }
  /** The server's certificate, or the one that issued it. */
  | {
      readonly kind: "certificate";
      readonly of: "server" | "issuer";
      readonly encoding: "pem" | "der";
    };

const EMPTY: StaticPage = { kind: "text", type: "text/html", body: "<html></html>\n" };
const MANIFEST: StaticPage = {
  kind: "text",
  type: "text/xml",
  body: '<?xml version="1.0" encoding="UTF-8"?>\n<vpn rev="1.0">\n</vpn>\n',
};
const NO_UPDATE: StaticPage = { kind: "text", type: "text/xml", body: "0,0,0000\n" };
const NO_DOWNLOADER: StaticPage = {
  kind: "text",
  type: "application/x-shellscript",
  body: "#!/bin/sh\n\nexit 0\n",
};

const PAGES: ReadonlyMap<string, StaticPage> = new Map<string, StaticPage>([
  ["/VPNManifest.xml", MANIFEST],
  ["/1/VPNManifest.xml", MANIFEST],
  ["/1/index.html", EMPTY],
  ["/1/Linux", EMPTY],
  ["/1/Linux_64", EMPTY],
  ["/1/Windows", EMPTY],
  ["/1/Windows_ARM64", EMPTY],
  ["/1/Darwin_i386", EMPTY],
  ["/1/binaries/vpndownloader.sh", NO_DOWNLOADER],
  ["/1/binaries/update.txt", NO_UPDATE],
  ["/svc", EMPTY],
  ["/cert.pem", { kind: "certificate", of: "server", encoding: "pem" }],
  ["/cert.cer", { kind: "certificate", of: "server", encoding: "der" }],
  ["/ca.pem", { kind: "certificate", of: "issuer", encoding: "pem" }],
  ["/ca.cer", { kind: "certificate", of: "issuer", encoding: "der" }],
]);

const PROFILES = "/profiles/";
/** Translations and pictures, none of which there are. */
const TEXTS = "/+CSCOT+/";

/** What stands at a path, without its query; undefined where nothing does. */
export function staticPageAt(path: string): StaticPage | undefined {
  if (path.startsWith(PROFILES)) return { kind: "profile", file: path.slice(PROFILES.length) };
  if (path.startsWith(TEXTS)) return MANIFEST;
  return PAGES.get(path);
}
