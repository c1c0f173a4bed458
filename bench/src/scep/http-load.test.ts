import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { fire } from "./http-load.ts";

test("answers come in the order of the bodies, and never more are under way than asked for", async () => {
  let underWay = 0;
  let most = 0;
  await using server = createServer(async (message, response) => {
    underWay += 1;
    most = Math.max(most, underWay);
    const chunks = await message.toArray();
    const body = Buffer.concat(chunks).toString();
    // The first ones wait for the later: order then comes from the caller's indices alone.
    if (body === "0") await once(server, "last");
    if (body === "9") server.emit("last");
    if (body === "1") await once(server, "third");
    if (body === "2") server.emit("third");
    underWay -= 1;
    response.statusCode = body === "5" ? 500 : 200;
    response.end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const bodies = Array.from({ length: 10 }, (_, index) => Buffer.from(String(index)));
  const { answers } = await fire(url, bodies, 3);
  expect(answers.map(({ body }) => body.toString())).toEqual(bodies.map(String));
  expect(answers.map(({ status }) => status)).toEqual([
    200, 200, 200, 200, 200, 500, 200, 200, 200, 200,
  ]);
  expect(most).toBe(3);
});

test("a connection refused is an answer with status 0 and its reason", async () => {
  const { answers } = await fire(new URL("http://127.0.0.1:1/"), [Buffer.from("x")], 1);
  expect(answers[0]?.status).toBe(0);
  expect(answers[0]?.body.toString()).toContain("ECONNREFUSED");
});
