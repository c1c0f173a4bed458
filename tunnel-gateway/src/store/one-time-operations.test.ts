import { openStore } from "@isthmus/shared/store/store";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import type { GatewayOperations } from "./gateway-store.ts";

const module = new URL("./gateway-store.ts", import.meta.url);

test("a step is taken once by each user and authenticator, in their order, also after a restart", async () => {
  using folder = temporaryFolder();
  const open = () => openStore<GatewayOperations>({ file: `${folder.path}/store.db`, module });
  const alice = { authenticator: "codes", userName: "alice", step: 1_000 };
  {
    await using store = await open();
    const take = (of: typeof alice) => store.run("takeOneTimeStep", of);
    const both = await Promise.all([take(alice), take(alice)]);
    expect(both.toSorted()).toEqual([false, true]);
    expect(await take({ ...alice, step: 999 })).toBe(false);
    expect(await take({ ...alice, userName: "bob" })).toBe(true);
    expect(await take({ ...alice, authenticator: "others" })).toBe(true);
    expect(await take({ ...alice, step: 1_001 })).toBe(true);
  }
  await using store = await open();
  const take = (of: typeof alice) => store.run("takeOneTimeStep", of);
  expect(await take({ ...alice, step: 1_001 })).toBe(false);
  // After a day nobody has to know any more.
  expect(await take({ ...alice, userName: "carol", step: 1_001 + 2_880 })).toBe(true);
  expect(await take({ ...alice, step: 1_001 })).toBe(false);
  expect(await take({ ...alice, userName: "carol", step: 1_002 + 2_880 })).toBe(true);
  expect(await take({ ...alice, step: 1_001 })).toBe(true);
});
