import { DEVICES } from "@isthmus/control-plane/testing/action-fixture";
import { ActedSite } from "@isthmus/control-plane/testing/acted-site";
import { until } from "@isthmus/shared/testing/until";
import { expect, test } from "vitest";
import { peer } from "../peers.ts";
import { BrowserPage } from "./chromium/browser-page.ts";

/** The console in a real Chromium that runs no script, by keyboard alone. */

const PAGES = ["", "/collections", "/inventory", "/inventory/stable", "/compare", "/timeline"];
/** Fields without a label, ids that stand twice, tables without a caption, elements that a page has one of. */
const FAULTS = `(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const ids = all("[id]").map(({ id }) => id);
  return {
    unlabelled: all("input:not([type=hidden]), select").filter((field) => field.labels.length === 0).length,
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
  expect(await browser.read("document.querySelector('tbody th').textContent")).toBe(
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
    `/devices/${site.deviceId}/actions`,
    ...["/devices", "/sources/CM1", "/"],
  ]) {
    await browser.visit(`${plane.url}${path}`);
    expect({ path, ...((await browser.read(FAULTS)) as object) }).toEqual({ path, ...SOUND });
  }
  // The page that was asked for before anybody had signed in.
  expect(browser.messages.filter((message) => !message.includes("401"))).toEqual([]);
});
