import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes, returnsOrRefuses } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { openconnectInit, openconnectTunnel } from "../testing/vpn-requests.ts";
import { parseHttpHead } from "./http-head.ts";
import { HttpRequests, MAX_HTTP_WAITING_BYTES } from "./http-requests.ts";

const requests = [openconnectInit(), openconnectTunnel()];
const heads = requests.map((bytes) => bytes.subarray(0, bytes.indexOf("\r\n\r\n") + 4));

test("hostile heads are read or refused, and no value that is read ends its line", () => {
  fc.assert(
    fc.property(hostileBytes(heads), (bytes) =>
      returnsOrRefuses(() => {
        const { target, fields } = parseHttpHead(bytes);
        expect(target).not.toMatch(/\s/);
        expect(fields.get("User-Agent") ?? "").not.toMatch(/[\r\n\0]/);
      }),
    ),
    { numRuns: fuzzRuns(10_000) },
  );
});

test("however a connection's bytes are cut, the same requests come out", () => {
  const all = Buffer.concat(requests);
  fc.assert(
    fc.property(fc.array(fc.nat(all.length), { maxLength: 20 }), (cuts) => {
      const reader = new HttpRequests();
      const targets: string[] = [];
      const ends = [...cuts, all.length].sort((a, b) => a - b);
      let from = 0;
      for (const end of ends) {
        reader.push(all.subarray(from, end));
        from = end;
        for (let one = reader.next(); one; one = reader.next()) targets.push(one.target);
      }
      expect(targets).toEqual(["/", "/CSCOSSLC/tunnel"]);
      expect(reader.isMidway).toBe(false);
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("hostile connections are read or refused, and hold no more than their bound", () => {
  const chunks = fc.array(hostileBytes(requests), { maxLength: 8 });
  fc.assert(
    fc.property(chunks, (all) =>
      returnsOrRefuses(() => {
        const reader = new HttpRequests();
        for (const bytes of all) {
          reader.push(bytes);
          while (reader.next());
        }
        expect(reader.takeRest().length).toBeLessThanOrEqual(MAX_HTTP_WAITING_BYTES);
      }),
    ),
    { numRuns: fuzzRuns(5_000) },
  );
});
