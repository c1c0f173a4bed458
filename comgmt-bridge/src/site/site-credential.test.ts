import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { type SiteCredential, tokenCredential } from "./site-credential.ts";

const shown = async (credential: SiteCredential) =>
  (await credential.present("sms.test")).authorization(undefined);

test("the token of the moment is sent, without the line's end", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  const credential = tokenCredential(file);
  writeFileSync(file, "first.token\n");
  expect(await shown(credential)).toBe("Bearer first.token");
  writeFileSync(file, "second.token");
  expect(await shown(credential)).toBe("Bearer second.token");
});

test.each(["two words", "a\nX-Header: b", "tökén"])("%j is no token", async (text) => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  writeFileSync(file, text);
  const credential = tokenCredential(file);
  expect(await rejectedCode(() => shown(credential))).toBe("site-token");
  await expect(shown(credential)).rejects.not.toThrow(text);
});
