import { rmSync } from "node:fs";
import { join } from "node:path";
import { keytabWords } from "@isthmus/shared/directory/kerberos-environment";
import { afterAll, afterEach, expect, type TestContext, test } from "vitest";
import { type SambaDomain, startSambaDomain } from "./samba/samba-domain.ts";

/** What is said of keytabs that a real domain's KDC wrote, beside what its database says of the account. */

const ISTHMUS = "isthmus@CORP.TEST";
const before = process.env["KRB5_CLIENT_KTNAME"];
const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
afterEach(() => {
  if (before === undefined) delete process.env["KRB5_CLIENT_KTNAME"];
  else process.env["KRB5_CLIENT_KTNAME"] = before;
});

interface Lab {
  readonly domain: SambaDomain;
  readonly keytabFile: string;
}
let started: Promise<Lab> | undefined;

async function theLab(context: TestContext): Promise<Lab> {
  started ??= (async () => {
    const domain = stack.use(await startSambaDomain(context));
    return { domain, ...(await domain.account({ name: "isthmus" })) };
  })();
  const lab = await started;
  process.env["KRB5_CLIENT_KTNAME"] = `FILE:${lab.keytabFile}`;
  return lab;
}

/** What Active Directory counts of the account's passwords. */
async function keyNumber({ domain }: Lab): Promise<string> {
  const base = `CN=isthmus,CN=Users,${domain.baseDn}`;
  const found = await domain.search(base, "-s", "base", "msDS-KeyVersionNumber");
  return /^msDS-KeyVersionNumber: (\d+)$/m.exec(found)?.[1] ?? "";
}

test("the number of the account's key is named, by which a changed password is seen", async (context) => {
  const lab = await theLab(context);
  const { domain, keytabFile } = lab;
  const first = await keyNumber(lab);
  expect(keytabWords(ISTHMUS).remedy).toContain(`has key number ${first} of ${ISTHMUS}:`);
  await domain.tool("user", "setpassword", "isthmus", "--newpassword=Another.Passw0rd.2");
  const second = await keyNumber(lab);
  expect(Number(second)).toBe(Number(first) + 1);
  // The old keytab still says the old number.
  expect(keytabWords(ISTHMUS).remedy).toContain(`has key number ${first} of`);
  const renewed = join(domain.folder, "renewed.keytab");
  await domain.tool("domain", "exportkeytab", renewed, `--principal=${ISTHMUS}`);
  process.env["KRB5_CLIENT_KTNAME"] = renewed;
  expect(keytabWords(ISTHMUS).remedy).toMatch(new RegExp(`has key number ${second}\\b`));
  rmSync(renewed);
  expect(keytabWords(ISTHMUS).fault).toBe(`there is no keytab ${renewed}`);
  expect(keytabFile).not.toBe(renewed);
});

test("an account or a realm that the keytab is not for is named beside the one it is for", async (context) => {
  await theLab(context);
  const said = (principal: string) => keytabWords(principal).fault;
  expect(said("nobody@CORP.TEST")).toBe(
    `the keytab has keys of ${ISTHMUS} and none of nobody@CORP.TEST: name the account that it is for in the principal, or make it anew`,
  );
  expect(said("isthmus@OTHER.TEST")).toContain("name the realm that it is for");
  expect(said("isthmus@corp.test")).toContain("by capitals alone");
});
