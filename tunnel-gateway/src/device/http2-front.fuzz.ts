import { Duplex } from "node:stream";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  END_STREAM,
  encodeFrame,
  encodeHeaders,
  encodeNumber,
  encodeSetting,
  FRAME,
  INITIAL_WINDOW_SIZE,
  PREFACE,
} from "../testing/http2-frames.ts";
import { Http2Front } from "./http2-front.ts";

const connectTo = (streamId: number, authority: string) =>
  encodeHeaders(streamId, { ":method": "CONNECT", ":authority": authority });
const data = (streamId: number, text: string, flags = 0) =>
  encodeFrame({ type: FRAME.data, flags, streamId, payload: Buffer.from(text) });

const GET = { ":method": "GET", ":scheme": "https", ":authority": "gateway", ":path": "/" };

const VALID = [
  [connectTo(1, "intranet.example:443"), data(1, "early"), data(1, "", END_STREAM)],
  [connectTo(1, "a:1"), connectTo(3, "a:2"), encodeNumber(FRAME.reset, 1, 8), data(3, "x")],
  [connectTo(1, "no port"), encodeHeaders(3, GET)],
  [encodeNumber(FRAME.window, 0, 65_535), connectTo(1, "[2001:db8::1]:80")],
  [connectTo(1, "a:1"), encodeFrame({ type: FRAME.goaway, payload: Buffer.alloc(8) })],
].map((frames) => Buffer.concat([encodeSetting(INITIAL_WINDOW_SIZE, 65_535), ...frames]));

/** A connection in memory whose client reads all and cares for nothing. */
class Connection extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

test("hostile frames are served, refused or end their connection, and nothing is left of it", async () => {
  const outcomes = new Map<string, number>();
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(hostileBytes(VALID), fc.nat(64), async (bytes, split) => {
      const connection = new Connection();
      connection.on("error", () => {});
      let open = 0;
      const front = new Http2Front({
        headTimeoutMs: 1_000,
        onConnect: ({ socket, establish, accept }) => {
          count("connect");
          open += 1;
          socket.once("close", () => (open -= 1));
          accept();
          establish();
          socket.resume();
          socket.write("answer");
        },
        onMalformed: count,
      });
      const closed = new Promise<void>((resolve) => {
        connection.once("close", resolve);
      });
      const place = { release: () => {} };
      const reset = () => connection.destroy();
      front.serve({ socket: connection, certificate: undefined, reset, place });
      connection.push(PREFACE);
      connection.push(bytes.subarray(0, split));
      connection.push(bytes.subarray(split));
      connection.push(null);
      await closed;
      await new Promise((resolve) => setImmediate(resolve));
      expect(open).toBe(0);
    }),
    { numRuns: fuzzRuns(3_000) },
  );
  expect(outcomes.get("connect")).toBeGreaterThan(0);
  expect(outcomes.get("connect-method")).toBeGreaterThan(0);
  expect(outcomes.get("authority-malformed")).toBeGreaterThan(0);
});
