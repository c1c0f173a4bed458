import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import { hostileBytes, returnsOrRefuses } from "@isthmus/shared/testing/mutations";
import fc from "fast-check";
import { expect, test } from "vitest";
import { anyconnectTunnel, mobileTunnel, openconnectTunnel } from "../testing/vpn-requests.ts";
import { readClientFacts } from "./client-facts.ts";
import { parseCookies } from "./cookies.ts";
import { parseHttpHead } from "./http-head.ts";
import { tunnelMtu } from "./mtu.ts";
import { parseTunnelHeaders } from "./tunnel-request.ts";
import { encodeTunnelResponse } from "./tunnel-response.ts";

const heads = [openconnectTunnel(), anyconnectTunnel(), mobileTunnel("apple-ios")];

test("hostile requests for a tunnel are read or refused, and what is read is within its bounds", () => {
  fc.assert(
    fc.property(hostileBytes(heads), (bytes) =>
      returnsOrRefuses(() => {
        const { fields } = parseHttpHead(bytes);
        parseCookies(fields.all("Cookie"));
        expect(readClientFacts(fields).uniqueId ?? "").toMatch(/^[\x20-\x7e]{0,256}$/);
        const { baseMtu, innerMtu, dtls } = parseTunnelHeaders(fields);
        const { tls } = tunnelMtu({ base: baseMtu, inner: innerMtu, isIpv6: false });
        expect(tls).toBeGreaterThanOrEqual(576);
        expect(tls).toBeLessThanOrEqual(1_500);
        if (dtls?.kind === "resumption") expect(dtls.masterSecret).toHaveLength(48);
      }),
    ),
    { numRuns: fuzzRuns(10_000) },
  );
});

test("no text makes more lines of a response than its fields", () => {
  const text = fc.string({ unit: "binary", maxLength: 40 });
  const texts = fc.array(text, { maxLength: 3 });
  fc.assert(
    fc.property(text, texts, text, (defaultDomain, splitDns, banner) =>
      returnsOrRefuses(() => {
        const head = encodeTunnelResponse({
          client: { kind: "openconnect", isIos: false },
          hostName: undefined,
          ipv4: { address: "10.9.0.7", netmask: "255.255.255.0" },
          ipv6: undefined,
          baseMtu: 1_500,
          mtu: 1_434,
          dnsServers: [],
          defaultDomain,
          splitDns,
          tunnelAllDns: true,
          routesInclude: [],
          routesExclude: [],
          bypassesMissingFamily: true,
          banner,
          dpdSeconds: 90,
          keepaliveSeconds: 0,
          idleSeconds: 0,
          sessionSeconds: 0,
          sessionSecondsLeft: 0,
          disconnectedSeconds: 0,
          rekeySeconds: 0,
          dtls: undefined,
        }).toString("utf8");
        const lines = head.split(/\r\n|\r|\n/);
        expect(lines.slice(1, -2).every((line) => line.startsWith("X-CSTP-"))).toBe(true);
        expect(lines.length).toBeLessThanOrEqual(23 + splitDns.length);
      }),
    ),
    { numRuns: fuzzRuns(3_000) },
  );
});
