import { once } from "node:events";
import { describe, expect, test } from "vitest";
import {
  connectThrough,
  echo,
  listOf,
  openPort,
  readUntil,
  startGateway,
  startTarget,
} from "../testing/gateway-under-test.ts";
import { deviceUri, issueTo } from "../testing/test-certificates.ts";

describe.each(["TLSv1.2", "TLSv1.3"] as const)("over %s", (version) => {
  const tls = { minVersion: version, maxVersion: version };

  test("a compliant device reaches a target by address and by name", async () => {
    await using gateway = await startGateway();
    await using target = await startTarget(echo);
    await gateway.configure({ policies: openPort(target.port), devices: listOf("d1") });
    const identity = await issueTo(gateway.authority, [deviceUri("d1")]);
    for (const host of ["127.0.0.1", "target.test", "TARGET.test."]) {
      const answer = await connectThrough(gateway, `${host}:${target.port}`, { identity, ...tls });
      expect(answer.status).toBe(200);
      answer.socket.write("hello\n");
      expect(await readUntil(answer.socket, "\n")).toBe("hello\n");
      answer.socket.end();
      await once(answer.socket, "close");
    }
  });
});
