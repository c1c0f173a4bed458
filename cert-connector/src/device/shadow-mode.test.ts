import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import type { ShadowJudgeParts } from "./shadow-judge.ts";
import { ShadowMode } from "./shadow-mode.ts";

const PATH = "/certsrv/mscep/mscep.dll";

/** Shadow mode before a server that writes down what it is asked for. */
async function startBefore() {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end("AES");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const mode = new ShadowMode({
    ndes: { url: `http://127.0.0.1:${port}${PATH}`, ca: undefined, timeoutMs: 20_000 },
    judge: {} as ShadowJudgeParts,
    profile: () => undefined,
    capabilities: () => [],
    figures: undefined,
    clock: new FakeClock(),
    onCompared: () => undefined,
    onFault: () => undefined,
  });
  return {
    asked,
    ask: async (path: string) =>
      mode.covers(path) &&
      (await mode.answer({
        method: "GET",
        path,
        query: "operation=GetCACaps",
        headers: {},
        body: undefined,
      })),
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test.each(["", "/", "/pkiclient.exe", "/PKIClient.exe"])(
  "SCEP goes on to NDES: %j",
  async (rest) => {
    await using it = await startBefore();
    await it.ask(PATH + rest);
    expect(it.asked).toEqual([`${PATH}${rest === "/" ? "" : rest}?operation=GetCACaps`]);
  },
);

test.each([
  "/../../mscep_admin/",
  "/..%2f..%2fmscep_admin/",
  "/..\\..\\..\\certsrv\\certfnsh.asp",
  "/pkiclient.exe/../../../certrqxt.asp",
  "/anything",
])("no other page of that server is reached through us: %j", async (rest) => {
  await using it = await startBefore();
  expect(await it.ask(PATH + rest)).toBe(false);
  expect(it.asked).toEqual([]);
});
