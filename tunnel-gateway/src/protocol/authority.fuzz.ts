import { isIP } from "node:net";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes, returnsOrRefuses } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAuthority } from "./authority.ts";

const VALID = ["intranet.example:443", "10.1.2.3:80", "[2001:db8::1]:8443", "[::ffff:10.1.2.3]:1"];
const hostile = hostileBytes(VALID.map((text) => Buffer.from(text)));

test("hostile targets are read or refused", () => {
  fc.assert(
    fc.property(hostile, (bytes) =>
      returnsOrRefuses(() => parseAuthority(bytes.toString("latin1"))),
    ),
    { numRuns: fuzzRuns(20_000) },
  );
});

test("a host that was read means one thing to every reader", () => {
  fc.assert(
    fc.property(hostile, (bytes) => {
      returnsOrRefuses(() => {
        const { kind, host, port } = parseAuthority(bytes.toString("latin1"));
        expect(isIP(host)).toBe({ name: 0, ipv4: 4, ipv6: 6 }[kind]);
        expect(host).toMatch(/^[a-z0-9._:-]+$/);
        expect(port).toBeGreaterThan(0);
        const again = kind === "ipv6" ? `[${host}]:${port}` : `${host}:${port}`;
        expect(parseAuthority(again)).toEqual({ kind, host, port });
        // The WHATWG reader turns numbers into addresses: what is a name here is a name there.
        if (kind === "name") expect(new URL(`http://${host}/`).hostname).toBe(host);
      });
    }),
    { numRuns: fuzzRuns(20_000) },
  );
});
