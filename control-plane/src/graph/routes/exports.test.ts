import { expect, test } from "vitest";
import type { ListedRow } from "../../core/list-query.ts";
import type { ApiDependencies } from "../dependencies.ts";
import type { ApiRequest } from "../route.ts";
import { exportRoutes, MAX_EXPORTS, MAX_OF_ACTOR } from "./exports.ts";

/** An API whose list never ends, and what was read of it. */
function endless() {
  const read = { pages: 0 };
  const page = (query: { readonly top: number }): Promise<ListedRow[]> => {
    const first = read.pages * query.top;
    read.pages += 1;
    return Promise.resolve(
      Array.from({ length: query.top + 1 }, (_, n) => ({ id: `${first + n}`, deviceName: "x" })),
    );
  };
  const records = { page, run: () => Promise.resolve() };
  const routes = exportRoutes({ records } as unknown as ApiDependencies);
  const route = routes.find(({ path }) => path === "/managedDevices/export");
  const open = async (actor = "a") => {
    const query = new URLSearchParams("format=ndjson&$select=deviceName");
    const request = { query, parameters: {}, act: { actor } };
    const answer = await route?.handle(request as unknown as ApiRequest);
    const chunks = answer?.stream?.chunks;
    if (chunks === undefined) throw new Error("no stream");
    return chunks[Symbol.asyncIterator]();
  };
  return { read, open };
}

test("a page is read when the client has room for it, and not before", async () => {
  const { read, open } = endless();
  const chunks = await open();
  expect(read.pages).toBe(0);
  const { value } = await chunks.next();
  expect(String(value).split("\n")).toHaveLength(501);
  expect(read.pages).toBe(1);
  await chunks.next();
  expect(read.pages).toBe(2);
  await chunks.return?.();
  expect((await chunks.next()).done).toBe(true);
  expect(read.pages).toBe(2);
});

test("so many exports at a time, and one more once one has ended", async () => {
  const { open } = endless();
  const underWay = await Promise.all(Array.from({ length: MAX_EXPORTS }, (_, n) => open(`${n}`)));
  for (const chunks of underWay) await chunks.next();
  const refused = await open();
  await expect(refused.next()).rejects.toMatchObject({
    code: "too-many-exports",
    isRetryable: true,
  });
  await underWay[0]?.return?.();
  const next = await open();
  expect((await next.next()).done).toBe(false);
});

test("one person has some of them, and leaves the others to others", async () => {
  const { open } = endless();
  const own = await Promise.all(Array.from({ length: MAX_OF_ACTOR }, () => open()));
  for (const chunks of own) await chunks.next();
  const refused = await open();
  await expect(refused.next()).rejects.toMatchObject({ code: "too-many-exports" });
  expect((await (await open("b")).next()).done).toBe(false);
  await own[0]?.return?.();
  expect((await (await open()).next()).done).toBe(false);
});
