import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { kerberosCredential, tokenCredential } from "./site-credential.ts";

test("the token of the moment is sent, without the line's end", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  const credential = tokenCredential(file);
  writeFileSync(file, "first.token\n");
  expect(await credential.authorization("sms.test")).toBe("Bearer first.token");
  writeFileSync(file, "second.token");
  expect(await credential.authorization("sms.test")).toBe("Bearer second.token");
});

test.each(["two words", "a\nX-Header: b", "tökén"])("%j is no token", async (text) => {
  using folder = temporaryFolder();
  const file = join(folder.path, "token");
  writeFileSync(file, text);
  const { authorization } = tokenCredential(file);
  expect(await rejectedCode(() => authorization("sms.test"))).toBe("site-token");
  await expect(authorization("sms.test")).rejects.not.toThrow(text);
});

test("Kerberos says that it is not there yet, and what to use instead", async () => {
  const { authorization } = kerberosCredential("isthmus@CORP.TEST");
  await expect(authorization("sms.test")).rejects.toThrow(/cannot be used.*tokenFile/);
});
