import { expect, test } from "vitest";
import { ConnectorError } from "../errors.ts";
import { TransportChoice } from "./transport-choice.ts";

const failed = (code: string) => new ConnectorError(code, "", { isRetryable: true });

test.each(["cloud-unreachable", "websocket-busy"])("%s leaves auto with WebSockets", (code) => {
  const choice = new TransportChoice("auto");
  expect(choice.next(0)).toBe("websocket");
  choice.ended("websocket", failed(code), 1);
  expect(choice.next(2)).toBe("websocket");
});

test.each(["websocket-refused", "link-no-nonce"])("%s makes auto go over to long-poll", (code) => {
  const choice = new TransportChoice("auto");
  choice.ended("websocket", failed(code), 0);
  expect(choice.next(1)).toBe("long-poll");
  expect(choice.next(3_600_001)).toBe("websocket");
});

test("where long-poll is refused too, a WebSocket is tried again", () => {
  const choice = new TransportChoice("auto");
  choice.ended("websocket", failed("websocket-refused"), 0);
  choice.ended("long-poll", failed("long-poll-refused"), 1);
  expect(choice.next(2)).toBe("websocket");
});

test("a setting is kept to", () => {
  const choice = new TransportChoice("websocket");
  choice.ended("websocket", failed("websocket-refused"), 0);
  expect(choice.next(1)).toBe("websocket");
});
