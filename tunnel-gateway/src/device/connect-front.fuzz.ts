import { Duplex } from "node:stream";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConnectFront } from "./connect-front.ts";

const VALID = [
  "CONNECT intranet.example:443 HTTP/1.1\r\nHost: intranet.example:443\r\n\r\n",
  "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nUser-Agent: curl/8.14\r\n\r\nearly",
  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello",
].map((text) => Buffer.from(text, "latin1"));

/** A connection in memory: what the client sends goes in, what it is answered is kept. */
class Connection extends Duplex {
  answer = "";

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.answer += chunk.toString("latin1");
    done();
  }
}

test("hostile requests are served, refused with a well-formed answer, or dropped", async () => {
  const statuses = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(hostileBytes(VALID), fc.nat(64), async (bytes, split) => {
      const connection = new Connection();
      let outcome = "";
      const front = new ConnectFront({
        headTimeoutMs: 1_000,
        onConnect: () => {
          outcome = "connect";
          connection.destroy();
        },
        onMalformed: (code) => {
          outcome = code;
        },
      });
      const closed = new Promise<void>((resolve) => {
        connection.once("close", resolve);
      });
      front.serve({
        socket: connection,
        certificate: undefined,
        reset: () => connection.destroy(),
        place: { release: () => {} },
      });
      connection.push(bytes.subarray(0, split));
      connection.push(bytes.subarray(split));
      connection.push(null);
      await closed;
      statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
      if (connection.answer !== "") {
        expect(connection.answer).toMatch(/^HTTP\/1\.1 (400|405|408|431) [A-Za-z ]+\r\n/);
        expect(connection.answer).toContain("\r\nProxy-Status: isthmus; error=http_request_error");
        expect(connection.answer.match(/^HTTP/gm)).toHaveLength(1);
      }
    }),
    { numRuns: fuzzRuns(10_000) },
  );
  expect(statuses.get("connect")).toBeGreaterThan(0);
  expect(statuses.get("connect-malformed")).toBeGreaterThan(0);
});
