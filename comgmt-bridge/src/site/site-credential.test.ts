import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode, thrownCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { type SiteCredential, tokenCredential } from "./site-credential.ts";

const shown = async (credential: SiteCredential) =>
  (await credential.present("sms.test")).authorization(undefined);

const clock = new FakeClock(1_000_000);

test("the token of the moment is sent, without the line's end; the file is read every few seconds", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  const credential = tokenCredential(file, clock);
  writeFileSync(file, "first.token\n");
  expect(await shown(credential)).toBe("Bearer first.token");
  writeFileSync(file, "second.token");
  clock.advance(4_999);
  expect(await shown(credential)).toBe("Bearer first.token");
  clock.advance(1);
  expect(await shown(credential)).toBe("Bearer second.token");
  writeFileSync(file, "third.token");
  clock.advance(-1);
  expect(await shown(credential)).toBe("Bearer third.token");
});

test("a token that the site refuses is looked for anew at once", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  writeFileSync(file, "first.token");
  const credential = tokenCredential(file, clock);
  const presented = await credential.present("sms.test");
  const judge = (status: number) => thrownCode(() => presented.judge?.({ status, headers: {} }));
  expect([judge(200), judge(403), judge(401)]).toEqual(["nothing", "nothing", "nothing"]);
  writeFileSync(file, "second.token");
  expect([judge(200), judge(401)]).toEqual(["nothing", "site-token-renewed"]);
  expect(await shown(credential)).toBe("Bearer second.token");
  rmSync(file);
  expect(judge(401)).toBe("secret-unreadable");
});

test.each(["two words", "a\nX-Header: b", "tökén"])("%j is no token", async (text) => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  writeFileSync(file, text);
  const credential = tokenCredential(file, clock);
  expect(await rejectedCode(() => shown(credential))).toBe("site-token");
  await expect(shown(credential)).rejects.not.toThrow(text);
});
