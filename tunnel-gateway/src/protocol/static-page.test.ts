import { expect, test } from "vitest";
import { staticPageAt } from "./static-page.ts";

test.each(["/VPNManifest.xml", "/1/VPNManifest.xml", "/+CSCOT+/translation-table"])(
  "%s offers no update",
  (path) => {
    expect(staticPageAt(path)).toMatchObject({
      type: "text/xml",
      body: expect.stringMatching(/<vpn rev="1.0">\s*<\/vpn>/),
    });
  },
);

test.each([
  "/1/index.html",
  "/1/Linux_64",
  "/1/Windows",
  "/1/Windows_ARM64",
  "/1/Darwin_i386",
  "/svc",
])("%s is empty", (path) => {
  expect(staticPageAt(path)).toMatchObject({ body: "<html></html>\n" });
});

test("the updater finds version zero and a script that does nothing", () => {
  expect(staticPageAt("/1/binaries/update.txt")).toMatchObject({ body: "0,0,0000\n" });
  expect(staticPageAt("/1/binaries/vpndownloader.sh")).toMatchObject({
    body: expect.stringMatching(/^#!\/bin\/sh\s+exit 0/),
  });
});

test("profiles and certificates have their paths", () => {
  expect(staticPageAt("/profiles/corp.xml")).toEqual({ kind: "profile", file: "corp.xml" });
  expect(staticPageAt("/ca.cer")).toEqual({ kind: "certificate", of: "issuer", encoding: "der" });
});

test.each(["/", "/auth", "/1/", "/1/binaries/other", "/admin"])("nothing stands at %s", (path) => {
  expect(staticPageAt(path)).toBeUndefined();
});
