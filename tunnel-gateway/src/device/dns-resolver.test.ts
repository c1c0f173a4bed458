import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { expect, test } from "vitest";
import { formatAddress } from "../core/ip-address.ts";
import { startNameServer } from "../testing/name-server.ts";
import { dnsResolver } from "./dns-resolver.ts";

const never = new AbortController().signal;

test("hosts are answered without asking", async () => {
  await using names = await startNameServer({});
  const resolver = dnsResolver({ hosts: { "Host.Example": "10.1.2.3" }, servers: [names.server] });
  expect((await resolver.resolve("host.example", never)).map(formatAddress)).toEqual(["10.1.2.3"]);
  expect(names.asked).toEqual([]);
});

test("all addresses of a name are found", async () => {
  await using names = await startNameServer({ "two.example": ["10.1.2.3", "10.1.2.4"] });
  const resolver = dnsResolver({ hosts: {}, servers: [names.server] });
  const found = (await resolver.resolve("two.example", never)).map(formatAddress);
  expect(found.sort()).toEqual(["10.1.2.3", "10.1.2.4"]);
});

test("a name that does not exist is not found, a failing server is a failure", async () => {
  await using names = await startNameServer({ "broken.example": "broken" });
  const resolver = dnsResolver({ hosts: {}, servers: [names.server] });
  expect(await rejectedCode(() => resolver.resolve("none.example", never))).toBe("dns-not-found");
  expect(await rejectedCode(() => resolver.resolve("broken.example", never))).toBe("dns-failed");
});

test("a silent server is given up when the caller is", async () => {
  await using names = await startNameServer({ "silent.example": "silent" });
  const resolver = dnsResolver({ hosts: {}, servers: [names.server] });
  const gone = new AbortController();
  const code = rejectedCode(() => resolver.resolve("silent.example", gone.signal));
  gone.abort();
  expect(await code).toBe("dns-timeout");
});
