import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Role } from "../core/roles.ts";
import { ActedSite } from "../testing/acted-site.ts";
import { COLLECTION, DEVICES } from "../testing/action-fixture.ts";
import { ConsoleBrowser, hiddenIn, linkIn, rowsIn } from "../testing/console-browser.ts";

/** Pages by which the console reaches what asks for more than a button: collections, recovery keys, custom properties. */

const [FIRST = ""] = DEVICES;
let site: ActedSite;
let browser: ConsoleBrowser;
let device: string;

beforeAll(async () => {
  site = await ActedSite.start();
  browser = new ConsoleBrowser(site.plane);
  await browser.signIn("admin", site.plane.firstPassword);
  device = `/devices/${site.deviceId}`;
});
afterAll(() => site[Symbol.asyncDispose]());
beforeEach(() => site.holdLease());

async function as(role: Role): Promise<ConsoleBrowser> {
  const [userName, password] = [role.replaceAll(" ", "-"), "a long password for the console"];
  await site.admin.post("/administrators", { userName, password, roles: [role] }, 201);
  const made = new ConsoleBrowser(site.plane);
  await made.signIn(userName, password);
  return made;
}

test("a collection's clients are notified after a question that counts them, once for one form", async () => {
  const list = await browser.page("/sources/CM1/collections");
  const collection = linkIn(list, "All");
  expect(await browser.page(collection)).toContain("Notify all clients of All");
  const question = `${collection}/notify?notification=hardwareInventory`;
  const page = await browser.page(question);
  expect(page).toMatch(/\d+ devices? known here/);
  const form = hiddenIn(page);
  const sent = [1, 2].map(() => browser.submit(`${collection}/notify`, form));
  const places = (await Promise.all(sent)).map(({ headers }) => String(headers["location"]));
  expect(new Set(places).size).toBe(1);
  const { commandId } = await site.operation(places[0]?.split("/").at(-1) ?? "");
  expect((await site.commandOf(commandId)).payload).toMatchObject({
    notification: "hardwareInventory",
    target: { kind: "collection", collectionId: COLLECTION },
  });
  await site.bridge.report({
    ...{ id: commandId, state: "refused" },
    error: {
      code: "not-allowed",
      message: "300 devices are over 100",
      rule: "guardrails.maxDevices",
    },
  });
  await site.reaches(places[0]?.split("/").at(-1) ?? "", "refused");
  expect(await browser.page(places[0] ?? "")).toContain("300 devices are over 100");
  const helpdesk = await as("Helpdesk operator");
  await helpdesk.page(question);
  await helpdesk.page(`${collection}/notify?notification=restart`, 403);
  await browser.page(`${collection}/notify?notification=nonsense`, 404);
});

test("recovery keys are shown once, on the page after the one that asked", async () => {
  await browser.page(linkIn(await browser.page(device), "BitLocker recovery keys"));
  const asked = await browser.submit(`${device}/recovery-keys`, {});
  expect(asked.status).toBe(200);
  const read = /action="([^"]*\/recovery-keys\/[^"]+)"/.exec(asked.body)?.[1] ?? "";
  const secret = hiddenIn(asked.body);
  const early = await browser.submit(read, secret);
  expect(early.body).toContain("The bridge has not answered yet");
  expect(hiddenIn(early.body)).toEqual(secret);
  const id = read.split("/").at(-1) ?? "";
  const { commandId } = await site.operation(id);
  await site.commandOf(commandId);
  const keys = [{ id: "k1", recoveryKey: "111111-222222" }];
  const result = { source: "CM1", devices: 1, keys };
  await site.bridge.report({ id: commandId, state: "succeeded", result });
  await site.reaches(id, "completed");
  const shown = await browser.submit(read, secret);
  expect(rowsIn(shown.body)).toEqual([["k1", "111111-222222"]]);
  expect(shown.headers["cache-control"]).toBe("no-store");
  const again = await browser.submit(read, secret);
  expect(again.status).toBe(404);
  expect(again.body).not.toContain("111111");
  const reader = await as("Reader");
  await reader.page(`${device}/recovery-keys`, 403);
  expect((await reader.submit(`${device}/recovery-keys`, {})).status).toBe(403);
});

test("custom properties are changed after a question that names them, and their values are shown no more", async () => {
  const page = await browser.page(linkIn(await browser.page(device), "Custom properties"));
  expect(page).toContain("Nothing was changed from here.");
  const typed = { set: "Owner=Anna Example\nRoom = 12", remove: "Old" };
  const wrong = await browser.submit(`${device}/properties/confirm`, { set: "Owner", remove: "" });
  expect(wrong.body).toContain("expected Name=value, got Owner");
  const question = await browser.submit(`${device}/properties/confirm`, typed);
  expect(rowsIn(question.body)).toEqual([
    ["Owner", "set to", "Anna Example"],
    ["Room", "set to", "12"],
    ["Old", "removed", ""],
  ]);
  const sent = await browser.submit(`${device}/properties`, hiddenIn(question.body));
  expect(sent.status).toBe(303);
  const id = String(sent.headers["location"]).split("/").at(-1) ?? "";
  const { commandId } = await site.operation(id);
  expect((await site.commandOf(commandId)).payload).toMatchObject({
    resourceId: Number(FIRST),
    set: { Owner: "Anna Example", Room: "12" },
    remove: ["Old"],
  });
  const after = await browser.page(`${device}/properties`);
  expect(rowsIn(after)[0]?.slice(1, 4)).toEqual(["admin", "Owner, Room", "Old"]);
  expect(after).not.toContain("Anna Example");
});
