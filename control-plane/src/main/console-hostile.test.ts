import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ActedSite, SITE } from "../testing/acted-site.ts";
import { DEVICES } from "../testing/action-fixture.ts";
import { ConsoleBrowser, linkIn, rowsIn } from "../testing/console-browser.ts";

const [FIRST = ""] = DEVICES;
const SOURCE = "/sources/CM1";
const PASSWORD = "a long password for the console";
let site: ActedSite;
let browser: ConsoleBrowser;

beforeAll(async () => {
  site = await ActedSite.start();
  browser = new ConsoleBrowser(site.plane);
  await browser.signIn("admin", site.plane.firstPassword);
});
afterAll(() => site[Symbol.asyncDispose]());
beforeEach(() => site.holdLease());

async function ask() {
  const target = { resourceIds: [Number(FIRST)] };
  const made = await site.admin.post(`${SITE}/queries`, { target, query: "Device" }, 202);
  const id = String(made["id"]);
  const { commandId } = await site.operation(id);
  await site.commandOf(String(commandId));
  return { path: `${SOURCE}/queries/${id}`, id, commandId: String(commandId) };
}

test("a first row of very many columns does not give each row a cell for all of them", async () => {
  const { path, id, commandId } = await ask();
  const names = Array.from({ length: 20_000 }, (_, n) => `c${n}`);
  await site.rows(commandId, FIRST, [Object.fromEntries(names.map((name) => [name, 7]))]);
  await site.rows(commandId, FIRST, Array(400).fill({}));
  await site.progress(commandId, FIRST, "succeeded");
  await site.taken(commandId, 1);
  await site.reaches(id, "completed");
  const page = await browser.page(path);
  expect(page.match(/<th scope="col">c/g)).toHaveLength(64);
  expect(page).toContain("c19999: 7");
  expect(rowsIn(page).filter(([name]) => name === "PC0").length).toBeGreaterThan(400);
  expect(page.length).toBeLessThan(1_500_000);
});

test("a name of a parameter stands between as many spaces as somebody types", async () => {
  const list = await browser.page(`${SOURCE}/scripts?device=PC0`);
  const confirm = `${linkIn(list, "Clean up").replace(/\?.*$/, "")}/confirm`;
  const spaces = " ".repeat(20_000);
  const parameters = `A=1\n${spaces}Days of\t${spaces}= 30 `;
  const answer = await browser.submit(confirm, { device: "PC0", parameters });
  expect([answer.status, answer.body]).toEqual([200, expect.stringContaining("Run Clean up?")]);
  expect(answer.body).toContain("<code>Days of</code> = <code> 30</code>");
  const nameless = await browser.submit(confirm, { device: "PC0", parameters: `A=1\n${spaces}=2` });
  expect(nameless.body).toContain("Line 2 of the parameters is no Name=value.");
});

test("a page that goes on is cut when who looks at it signs out, or loses a role", async () => {
  const roles = ["Helpdesk operator"];
  for (const [n, end] of ["sign out", "take the role"].entries()) {
    const userName = `looks-${n}`;
    const made = await site.admin.post(
      "/administrators",
      { userName, password: PASSWORD, roles },
      201,
    );
    const other = new ConsoleBrowser(site.plane);
    await other.signIn(userName, PASSWORD);
    const { path, commandId } = await ask();
    const live = await other.follow(path);
    await until(() => live.text().includes("waits for the bridge"), "how far it is");
    if (end === "sign out") await other.submit("/sign-out", {});
    else await site.admin.patch(`/administrators/${made["id"]}`, { roles: ["Reader"] }, 200);
    await site.rows(commandId, FIRST, [{ secret: "told too late" }]);
    await until(() => live.isCut(), `the end of the page after ${end}`);
    expect(live.text()).not.toContain("told too late");
  }
});

test("one page too many that goes on says so, and is whole", async () => {
  const { path } = await ask();
  const pages = await Promise.all(Array.from({ length: 20 }, () => browser.follow(path)));
  await until(
    () => pages.every((page) => page.text().includes("waits for the bridge")),
    "how far it is",
  );
  const refused = await browser.page(path);
  expect(refused).toContain("You have 20 streams open already");
  expect(refused).toMatch(/<\/html>\s*$/);
  for (const page of pages) page.leave();
});
