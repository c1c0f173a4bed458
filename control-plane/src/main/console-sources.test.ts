import type { IncomingMessage } from "node:http";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Role } from "../core/roles.ts";
import { ActedSite, SITE } from "../testing/acted-site.ts";
import { APPLICATION_GUID, COLLECTION, DEVICES, SCRIPT } from "../testing/action-fixture.ts";
import { ConsoleBrowser, hiddenIn, linkIn, rowsIn } from "../testing/console-browser.ts";
import { recordsOf, told } from "../testing/inventory-fixture.ts";

const [FIRST = "", SECOND = ""] = DEVICES;
const SOURCE = "/sources/CM1";
const EVIL = "<script>alert(1)</script>";
let site: ActedSite;
let browser: ConsoleBrowser;

beforeAll(async () => {
  site = await ActedSite.start();
  browser = new ConsoleBrowser(site.plane);
  await browser.signIn("admin", site.plane.firstPassword);
  const { lease } = await site.bridge.lease("CM1", "configmgr");
  const member = told(FIRST, 100, {
    identity: { Name: "PC0" },
    stable: { Client: 1 },
    collections: [COLLECTION],
  });
  const waiting = {
    identity: { ScriptName: EVIL, ScriptVersion: "1" },
    stable: { ScriptHash: "AB", ApprovalState: 0 },
  };
  await site.bridge.inventory(
    recordsOf(
      lease,
      member,
      told("CCCCCCCC-0000-4000-8000-000000000003", 101, waiting, { kind: "script" }),
      told("CM100015", 102, { identity: { Name: EVIL } }, { kind: "collection" }),
    ),
  );
  await until(
    async () => (await browser.page(`${SOURCE}/collections`)).includes("2 found"),
    "both collections",
  );
});
afterAll(() => site[Symbol.asyncDispose]());
beforeEach(() => site.holdLease());

let accounts = 0;
async function as(role: Role): Promise<ConsoleBrowser> {
  accounts += 1;
  const userName = `sources-${accounts}`;
  const password = "a long password for the console";
  await site.admin.post("/administrators", { userName, password, roles: [role] }, 201);
  const made = new ConsoleBrowser(site.plane);
  await made.signIn(userName, password);
  return made;
}

const location = (answer: { headers: IncomingMessage["headers"] }) =>
  String(answer.headers["location"]);
const operationIn = (path: string) => path.split("/").at(-1) ?? "";

/** Sends the form of a page with what is typed, and answers where it leads. */
async function send(action: string, page: string, typed: Record<string, string>) {
  const answer = await browser.submit(action, { ...hiddenIn(page), ...typed });
  expect([answer.status, answer.body]).toEqual([303, expect.anything()]);
  return location(answer);
}

describe("sources", () => {
  test("are listed, and lead to each", async () => {
    const page = await browser.page("/sources");
    expect(rowsIn(page)[0]?.slice(0, 2)).toEqual(["CM1", "configmgr"]);
    expect(linkIn(page, "CM1")).toBe(SOURCE);
    expect(await browser.page("/sources/none", 404)).toContain(
      '<p><a href="/sources">Sources</a></p>',
    );
  });

  test("tell what happened without what happens all the time, until it is asked for", async () => {
    const { lease } = await site.bridge.lease("CM1", "configmgr");
    const told = { type: "event", source: "CM1", lease, at: Date.now() } as const;
    const event = (name: string) =>
      site.bridge.inventory({ ...told, event: name, message: `says ${name}` });
    for (const name of ["scan.ended", "digest.same", "deletions.waiting"]) await event(name);
    const all = `${SOURCE}?events=all`;
    await until(async () => (await browser.page(all)).includes("says deletions.waiting"), "it");
    const shown = await browser.page(SOURCE);
    expect([shown.includes("says deletions.waiting"), shown.includes("says scan.ended")]).toEqual([
      true,
      false,
    ]);
    expect(shown).not.toContain("says digest.same");
    // The filter says what it leaves out.
    expect(shown).toMatch(/<option value="" selected>without scan.ended and digest.same/);
    expect(await browser.page(all)).toContain("says scan.ended");
  });
});

describe("collections", () => {
  test("are listed and searched, with their members and what may be asked of them", async () => {
    const list = await browser.page(`${SOURCE}/collections?name=al`);
    expect(rowsIn(list).map(([name, id]) => [name, id])).toEqual([["All", COLLECTION]]);
    const page = await browser.page(linkIn(list, "All"));
    expect(rowsIn(page)[0]?.[0]).toBe("PC0");
    expect(linkIn(page, "PC0")).toBe(`/devices/${site.deviceId}`);
    expect(linkIn(page, "Run a script")).toBe(`${SOURCE}/scripts?collection=${COLLECTION}`);
    const reader = await as("Reader");
    expect(await reader.page(linkIn(list, "All"))).not.toContain("Run a script");
  });
});

describe("a script", () => {
  const runOn = async (typed: Record<string, string>) => {
    const list = await browser.page(`${SOURCE}/scripts?device=PC0`);
    const page = await browser.page(linkIn(list, "Clean up"));
    expect(page).toContain('name="device" value="PC0"');
    expect(page).toContain(
      "Days (Int32, required, at least 1, at most 90); Name (String, one of a = b, c)",
    );
    const [, confirm = ""] = /action="([^"]*\/confirm)"/.exec(page) ?? [];
    return { confirm, answer: await browser.submit(confirm, typed) };
  };

  test("stands in a list with approval, version and hash", async () => {
    const rows = rowsIn(await browser.page(`${SOURCE}/scripts`));
    expect(rows.map((row) => row.slice(0, 4))).toEqual([
      [EVIL, "waiting", "1", "AB…"],
      ["Clean up", "approved", "2", "ABABABABABAB…"],
    ]);
  });

  test("runs once it is confirmed, by the version that was shown, and shows what each device said", async () => {
    const { confirm, answer } = await runOn({ device: "pc0", parameters: "Days=30\r\nName=a = b" });
    expect([answer.status, answer.body]).toEqual([200, expect.stringContaining("Run Clean up?")]);
    const form = hiddenIn(answer.body);
    expect(form).toMatchObject({ version: "2", device: FIRST, collection: "" });
    const run = confirm.replace(/confirm$/, "run");
    const [sent, again] = [await browser.submit(run, form), await browser.submit(run, form)];
    expect([sent.status, location(again)]).toEqual([303, location(sent)]);
    const id = operationIn(location(sent));
    const { commandId } = await site.operation(id);
    expect((await site.commandOf(commandId)).payload).toMatchObject({
      scriptGuid: SCRIPT.guid,
      version: "2",
      sha256: SCRIPT.sha256,
      parameters: [
        { name: "Days", value: "30" },
        { name: "Name", value: "a = b" },
      ],
    });
    const output = `done ${EVIL}`;
    await site.progress(commandId, FIRST, "succeeded", { exitCode: 0, output });
    await site.taken(commandId, 1);
    await site.reaches(id, "completed");
    const page = await browser.page(location(sent));
    expect(rowsIn(page)[0]?.slice(0, 5)).toEqual(["PC0", "succeeded", "", "0", output]);
    const runs = await browser.page(confirm.replace(/\/confirm$/, ""));
    expect(rowsIn(runs)[0]?.[3]).toBe("1 succeeded");
    expect(linkIn(runs, "Run script")).toBe(location(sent));
    const reader = await as("Reader");
    expect(await reader.page(location(sent))).not.toContain("done");
    expect(await reader.page(confirm.replace(/\/confirm$/, ""))).not.toContain("<h3>Run it");
    expect((await reader.submit(run, form)).status).toBe(403);
  });

  test.each([
    [{}, "Name a device or a collection, and not both."],
    [{ device: "PC0", collection: COLLECTION }, "Name a device or a collection, and not both."],
    [{ device: "PC9" }, "CM1 has no device PC9."],
    [{ collection: "CM1FFFFF" }, "CM1 has no collection CM1FFFFF."],
    [{ device: "PC0", parameters: "Days" }, "Line 1 of the parameters is no Name=value."],
  ])("is not run with %j: the form says why and keeps what was typed", async (typed, why) => {
    const { answer } = await runOn({ parameters: "A=<1>", ...typed } as Record<string, string>);
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining(why)]);
    expect(answer.body).toContain(
      "parameters" in typed ? "Days</textarea>" : "A=&lt;1&gt;</textarea>",
    );
  });

  test("that is not approved has no form", async () => {
    const list = await browser.page(`${SOURCE}/scripts`);
    const page = await browser.page(linkIn(list, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    expect(page).toContain("has approved it at the site");
    expect(page).not.toContain("<h3>Run it");
  });
});

describe("an application", () => {
  test("is installed on a device once it is confirmed, and its states are in words", async () => {
    const device = `/devices/${site.deviceId}/applications`;
    const page = await browser.page(device);
    expect(rowsIn(page)[0]?.[0]).toBe("Editor");
    const confirm = linkIn(page, "Install");
    const question = await browser.page(confirm);
    expect(question).toContain("Install Editor?");
    const path = await send(confirm.replace(/confirm\?.*$/, "ask"), question, {});
    const { commandId } = await site.operation(operationIn(path));
    expect((await site.commandOf(commandId)).payload).toMatchObject({
      applicationId: APPLICATION_GUID,
      action: "install",
      target: { resourceIds: [Number(FIRST)] },
    });
    const words = `comgmt-bridge approve ${commandId}`;
    site.bridge.progress(commandId, {
      code: "awaiting-approval",
      message: `type \`${words}\``,
      rule: "guardrails.approval",
    });
    await site.reaches(operationIn(path), "waitingForApproval");
    const waits = "waits for approval by a second person";
    expect(rowsIn(await browser.page(device))[0]?.[3]).toContain(`Install : ${waits}`);
    const actions = await browser.page(`/devices/${site.deviceId}/actions`);
    expect(rowsIn(actions)[0]?.slice(0, 2)).toEqual(["Install installApplication", waits]);
    const operation = await browser.page(path);
    expect(operation).toContain("This waits for approval:");
    expect(operation).toContain(`<code>${words}</code>`);
    const listed = rowsIn(await browser.page(`${SOURCE}/actions?state=waiting`));
    expect(listed.map((row) => row[2]?.startsWith(waits))).toEqual([true]);
    await site.progress(commandId, FIRST, "succeeded");
    await site.taken(commandId, 1);
    await site.reaches(operationIn(path), "completed");
    expect(rowsIn(await browser.page(device))[0]?.[3]).toContain("Install : installed");
  });

  test("is acted on for a collection by its page, which refuses no such action", async () => {
    const list = await browser.page(`${SOURCE}/applications?collection=${COLLECTION}`);
    const path = linkIn(list, "Editor");
    const page = await browser.page(path);
    expect(page).toContain(`name="collection" value="${COLLECTION}"`);
    const of = path.replace(/\?.*$/, "");
    const question = await browser.page(`${of}/confirm?action=repair&collection=All`);
    expect(question).toContain(`the collection All (${COLLECTION}, 1 devices that are known)`);
    expect(hiddenIn(question)).toMatchObject({ collection: COLLECTION, action: "repair" });
    await browser.page(`${of}/confirm?action=explode&device=PC0`, 404);
    const helpdesk = await as("Helpdesk operator");
    expect(await helpdesk.page(of)).not.toContain("Act on the application");
    const refused = await helpdesk.submit(`${of}/ask`, hiddenIn(question));
    expect(refused.status).toBe(403);
  });
});

describe("a CMPivot query", () => {
  const query = `Service | where Name == '${EVIL}'`;
  async function ask(typed: Record<string, string>) {
    const form = await browser.page(`${SOURCE}/queries`);
    const path = await send(`${SOURCE}/queries`, form, { query, ...typed });
    const { commandId } = await site.operation(operationIn(path));
    return { path, commandId: String(commandId) };
  }

  test("shows rows in the page as they come, how many devices wait, and what was left out", async () => {
    const { path, commandId } = await ask({ collection: COLLECTION });
    expect((await site.commandOf(commandId)).payload).toMatchObject({ query });
    const live = await browser.follow(path);
    await until(() => live.text().includes("waits for the bridge"), "how far it is");
    await site.bridge.actions({
      ...{ type: "progress", source: "CM1", commandId, at: Date.now() },
      devices: [
        { key: FIRST, state: "running" },
        { key: SECOND, state: "queued", reason: "offline" },
      ],
    });
    await until(() => live.text().includes("queued (not asked yet, or offline)"), "who waits");
    await site.rows(commandId, FIRST, [
      { Device: "PC0", Name: EVIL, State: "Running" },
      { Device: "PC0", Name: "b", State: { a: 1 }, More: 7 },
    ]);
    await until(() => live.text().includes("More: 7"), "the rows");
    expect(live.isEnded()).toBe(false);
    await site.bridge.actions({
      ...{ type: "rows", source: "CM1", commandId, at: Date.now(), key: SECOND },
      ...{ rows: [{ Device: "PC1", Name: "c", State: "x" }], isTruncated: true },
    });
    await site.progress(commandId, FIRST, "succeeded");
    await site.progress(commandId, SECOND, "succeeded");
    await site.taken(commandId, 2);
    await until(() => live.isEnded(), "the end of the page");
    const page = live.text();
    expect(page).toMatch(/<\/html>\s*$/);
    expect(page).not.toContain("<script");
    const rows = rowsIn(page);
    expect(rows).toContainEqual(["PC0", EVIL, "Running"]);
    expect(rows).toContainEqual(["PC0", "b", '{"a":1}', "More: 7"]);
    expect(page).toContain("Truncated");
    expect(rows.at(-1)?.slice(0, 2)).toEqual(["PC1", "succeeded truncated"]);
    const history = rowsIn(await browser.page(`${SOURCE}/queries`));
    expect([history[0]?.[0], history[0]?.[3]]).toEqual([
      `CMPivot query ${query}`,
      "2 succeeded truncated",
    ]);
  });

  test("that waits for approval says so while it waits, and can be cancelled", async () => {
    const { path, commandId } = await ask({ device: FIRST });
    await site.commandOf(commandId);
    const live = await browser.follow(path);
    await until(() => live.text().includes("waits for the bridge"), "how far it is");
    const [message, rule] = [`type \`comgmt-bridge approve ${commandId}\``, "guardrails.approval"];
    site.bridge.progress(commandId, { code: "awaiting-approval", message, rule });
    const line = `<code>comgmt-bridge approve ${commandId}</code>`;
    await until(() => live.text().includes(line), "the command line");
    live.leave();
    const cancel = `${SOURCE}/actions/${operationIn(path)}/cancel`;
    expect((await (await as("Reader")).submit(cancel, {})).status).toBe(403);
    const answer = await browser.submit(cancel, {});
    expect([answer.status, location(answer)]).toEqual([303, path]);
  });

  test("is a thousand rows on a page, and goes on with a link", async () => {
    const { path, commandId } = await ask({ device: "PC0" });
    await site.commandOf(commandId);
    for (let n = 0; n < 3; n += 1) {
      const values = Array.from({ length: 400 }, (_, at) => ({ N: n * 400 + at + 1 }));
      await site.rows(commandId, FIRST, values);
    }
    await site.progress(commandId, FIRST, "succeeded");
    await site.taken(commandId, 1);
    await site.reaches(operationIn(path), "completed");
    const first = await browser.page(path);
    expect(rowsIn(first).filter(([name]) => name === "PC0")).toHaveLength(1_000);
    const second = rowsIn(await browser.page(linkIn(first, "Rows after number 1000")));
    expect([second[0], second.length]).toEqual([["PC0", "1001"], 200]);
  });

  test("is not asked without a target or by who may not, and keeps what was typed", async () => {
    const form = hiddenIn(await browser.page(`${SOURCE}/queries`));
    const refused = await browser.submit(`${SOURCE}/queries`, { ...form, query });
    expect([refused.status, refused.body]).toEqual([
      400,
      expect.stringContaining("Name a device or a collection"),
    ]);
    expect(refused.body).toContain("&lt;script&gt;alert(1)&lt;/script&gt;&#39;</textarea>");
    const asked = { ...form, query, device: "PC0" };
    const other = { "sec-fetch-site": "cross-site" };
    expect((await browser.submit(`${SOURCE}/queries`, asked, other)).status).toBe(403);
    const reader = await as("Reader");
    expect((await reader.submit(`${SOURCE}/queries`, asked)).status).toBe(403);
    const { path } = await ask({ device: "PC0" });
    expect(await reader.page(path)).toContain("Its rows need the permission actions.query.");
    await browser.page(path.replace(/[^/]+$/, "none"), 404);
  });

  test.each([
    [
      "Service | project Device, State | where Stat == 'x'",
      "line 1, column 41: where names the column Stat, but before it there are Device, State; did you mean State?",
    ],
    [
      "Service | wher Name == 'x'",
      "line 1, column 11: CMPivot has no operator wher; did you mean where?",
    ],
  ])("with a slip of the pen, %s, is not sent: the form says where it is", async (typed, words) => {
    const form = hiddenIn(await browser.page(`${SOURCE}/queries`));
    const answer = await browser.submit(`${SOURCE}/queries`, {
      ...form,
      query: typed,
      device: "PC0",
    });
    expect(answer.status).toBe(400);
    expect(answer.body).toContain(words);
    expect(answer.body).toContain("Service |");
  });

  test("has a form that asks once for the same, and again for something else", async () => {
    const form = { ...hiddenIn(await browser.page(`${SOURCE}/queries`)), device: "PC0" };
    const [first, again, other] = [
      await browser.submit(`${SOURCE}/queries`, { ...form, query }),
      await browser.submit(`${SOURCE}/queries`, { ...form, query }),
      await browser.submit(`${SOURCE}/queries`, { ...form, query: "Device" }),
    ];
    expect(location(again)).toBe(location(first));
    expect([other.status, location(other) === location(first)]).toEqual([303, false]);
    const { value } = await site.admin.get(`${SITE}/queries?$filter=subject%20eq%20'Device'`);
    expect(value).toHaveLength(1);
  });
});

test("every page of a source allows no script, and names what a source says as text", async () => {
  const collections = await browser.page(`${SOURCE}/collections`);
  const evil = linkIn(collections, "&lt;script&gt;alert(1)&lt;/script&gt;");
  for (const path of [
    ...["", "/collections", "/scripts", "/applications", "/queries", "/actions"].map(
      (below) => `${SOURCE}${below}`,
    ),
    ...[evil, "/sources"],
  ]) {
    const { status, headers, body } = await browser.get(path);
    expect([path, status]).toEqual([path, 200]);
    expect(body).not.toContain("<script");
    expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-/);
  }
});
