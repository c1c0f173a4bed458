import { Agent, get } from "node:http";
import { describe, expect, test } from "vitest";
import { plainAnswer } from "./http-answer.ts";
import { type HttpListener, type HttpListenerParts, startHttpListener } from "./http-listener.ts";
import type { PublicationHandler } from "./publication-handler.ts";
import type { ScepHandler } from "./scep-handler.ts";

const noScep = { profileAt: () => undefined } as unknown as ScepHandler;

/** A listener whose every answer is that of `answer`. */
function listenWith(
  answer: PublicationHandler["answer"],
  rest: Partial<HttpListenerParts> = {},
  faults: unknown[] = [],
): Promise<HttpListener> {
  const publication = { answer } as unknown as PublicationHandler;
  const address = "127.0.0.1";
  const onFault = (error: unknown) => void faults.push(error);
  const isConfigured = () => true;
  const parts = { address, port: 0, scep: noScep, publication, isConfigured, onFault };
  return startHttpListener({ ...parts, ...rest });
}

test("before a configuration is in force a device is told to come again, not that there is nothing", async () => {
  let isKnown = false;
  await using listener = await listenWith(async () => undefined, { isConfigured: () => isKnown });
  const early = await fetch(`${listener.url}/scep/device`);
  expect([early.status, early.headers.get("retry-after")]).toEqual([503, "5"]);
  isKnown = true;
  expect((await fetch(`${listener.url}/scep/device`)).status).toBe(404);
});

test("over its limit of requests in flight a listener says when to come back, and serves on", async () => {
  const held = Promise.withResolvers<undefined>();
  await using listener = await listenWith(() => held.promise, { maxRequestsInFlight: 2 });
  const first = [fetch(listener.url), fetch(listener.url)];
  await expect.poll(() => listener.requestsInFlight()).toBe(2);
  const third = await fetch(listener.url);
  expect([third.status, third.headers.get("retry-after")]).toEqual([503, "5"]);
  held.resolve(undefined);
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([404, 404]);
  expect((await fetch(listener.url)).status).toBe(404);
});

test("an unknown error leaves without detail and is heard of here", async () => {
  const faults: unknown[] = [];
  const failing = async () => {
    throw new Error("the password is hunter2");
  };
  await using listener = await listenWith(failing, {}, faults);
  const response = await fetch(listener.url);
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain("hunter2");
  expect(faults).toHaveLength(1);
});

test("an address that is taken is named in the error", async () => {
  const answer = async () => plainAnswer(200, "ok", "ok");
  await using taken = await listenWith(answer);
  const port = Number(new URL(taken.url).port);
  await expect(listenWith(answer, { port })).rejects.toMatchObject({
    code: "listen",
    message: expect.stringContaining(String(port)),
  });
});

describe("a connection", () => {
  /** Whether a request went over a connection that was there already. */
  function isReused(agent: Agent, url: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const request = get(url, { agent }, (response) => {
        response.resume().once("end", () => resolve(request.reusedSocket));
      });
      request.once("error", reject);
    });
  }

  test("is kept for the next request after a GET", async () => {
    await using listener = await listenWith(async () => plainAnswer(200, "ok", "ok"));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await isReused(agent, listener.url)).toBe(false);
    expect(await isReused(agent, listener.url)).toBe(true);
    agent.destroy();
  });
});
