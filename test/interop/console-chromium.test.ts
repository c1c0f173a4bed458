import { ActedSite } from "@isthmus/control-plane/testing/acted-site";
import { DEVICES } from "@isthmus/control-plane/testing/action-fixture";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { peer } from "../peers.ts";
import { BrowserPage } from "./chromium/browser-page.ts";

/** The console in a real Chromium that runs no script, by keyboard alone. */

const PAGES = [
  ...["", "/collections", "/applications", "/inventory", "/inventory/stable", "/compare"],
  ...["/timeline", "/actions", "/updates", "/properties", "/recovery-keys"],
];
const SOURCE_PAGES = ["", "/collections", "/applications", "/scripts", "/queries", "/actions"];
/** Fields without a label, ids that stand twice, tables without a caption, elements that a page has one of. */
const FAULTS = `(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all("[id]").map(({ id }) => id);
  return {
    unlabelled: all("input:not([type=hidden]), select, textarea").filter((field) => field.labels.length === 0).length,
    repeated: ids.length - new Set(ids).size,
    uncaptioned: all("table").filter((table) => table.caption === null && !table.closest("[aria-labelledby]")).length,
    landmarks: ["main", "h1", "html[lang]", "title"].map((one) => all(one).length).join(),
    styled: getComputedStyle(document.querySelector("header")).display,
  };
})()`;
const SOUND = { unlabelled: 0, repeated: 0, uncaptioned: 0, landmarks: "1,1,1,1", styled: "flex" };

test("an administrator signs in, finds a device and has its policy synced, with the keys of a keyboard", async (context) => {
  await using browser = await BrowserPage.open(peer("chromium", context));
  await using site = await ActedSite.start();
  const { plane } = site;
  await browser.visit(`${plane.url}/devices?name=PC`);
  await browser.type("admin");
  await browser.press("Tab");
  await browser.type(plane.firstPassword);
  await browser.follow("Enter");
  expect(await browser.read("location.pathname + location.search")).toBe("/devices?name=PC");
  await browser.press("Tab");
  expect(await browser.read("document.activeElement.textContent")).toBe("Skip to the content");
  await browser.tabTo("PC0");
  await browser.follow("Enter");
  expect(await browser.read("document.title")).toBe("PC0: Overview - Isthmus");
  await site.holdLease();
  await browser.tabTo("Sync machine policy");
  await browser.follow("Enter");
  await browser.tabTo("Sync machine policy");
  await browser.follow("Enter");
  expect(await browser.read("document.querySelector('tbody th code').textContent")).toBe(
    "refreshMachinePolicy",
  );
  const command = await until(() => site.bridge.commands[0], "the command");
  expect(command).toMatchObject({
    kind: "site.notify",
    actor: "admin",
    payload: { target: { resourceIds: [Number(DEVICES[0])] } },
  });
  for (const path of [
    ...PAGES.map((below) => `/devices/${site.deviceId}${below}`),
    ...SOURCE_PAGES.map((below) => `/sources/CM1${below}`),
    ...["/devices", "/sources", "/"],
  ]) {
    await browser.visit(`${plane.url}${path}`);
    expect({ path, ...((await browser.read(FAULTS)) as object) }).toEqual({ path, ...SOUND });
  }
  // The page that was asked for before anybody had signed in.
  expect(browser.messages.filter((message) => !message.includes("401"))).toEqual([]);
});

/** What a person sees of these elements: those that the style sheet hides have no box. */
const shown = (selector: string) =>
  `[...document.querySelectorAll("${selector}")].filter((each) => each.getClientRects().length > 0).map((each) => each.textContent.trim())`;

/** What stands at the foot of the window, above everything else. */
const FOOT =
  "document.elementFromPoint(innerWidth / 2, innerHeight - 8)?.closest('.progress')?.textContent";

test("rows of a CMPivot query appear in a page that runs no script, with the newest word of its progress alone", async (context) => {
  await using browser = await BrowserPage.open(peer("chromium", context));
  await using site = await ActedSite.start();
  const { plane } = site;
  await browser.visit(`${plane.url}/sources/CM1/queries?device=PC0&query=Service`);
  await browser.type("admin");
  await browser.press("Tab");
  await browser.type(plane.firstPassword);
  await browser.follow("Enter");
  await site.holdLease();
  await browser.tabTo("Run");
  await browser.press("Enter");
  const { id: commandId } = await until(() => site.bridge.commands[0], "the command");
  const seen = async (selector: string) => (await browser.read(shown(selector))) as string[];
  await until(async () => (await seen("[role=status]")).length === 1, "its progress");
  const key = DEVICES[0] ?? "";
  await site.rows(commandId, key, [{ Name: "Spooler", State: "Running" }]);
  await until(async () => (await seen("tbody td")).includes("Spooler"), "the first row");
  expect(await browser.read("document.readyState")).toBe("loading");
  await site.rows(commandId, key, [{ Name: "Themes", State: "Stopped" }]);
  await until(async () => (await seen("tbody td")).includes("Themes"), "the second row");
  const bar = async () => String(await browser.read(FOOT));
  await until(async () => (await bar()).includes("2 rows so far"), "the newest progress on top");
  expect(await seen("main > form")).toEqual(["Cancel it"]);
  await site.progress(commandId, key, "succeeded");
  await site.taken(commandId, 1);
  await until(async () => (await browser.read("document.readyState")) === "complete", "the end");
  expect(await seen("[role=status], main > form")).toEqual([]);
  expect(await seen("dd")).toContain("1 succeeded");
  expect(await browser.read(FAULTS)).toEqual(SOUND);
  expect(browser.messages.filter((message) => !message.includes("401"))).toEqual([]);
});
