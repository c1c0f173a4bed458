import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePorts, requireFreePorts } from "./ports.ts";

test("free ports are different and can be used", async () => {
  const ports = await freePorts();
  expect(new Set(Object.values(ports)).size).toBe(5);
  await expect(requireFreePorts(ports)).resolves.toBeUndefined();
});

test("a taken port is named with what it is for and what to do", async () => {
  const ports = await freePorts();
  const server = createServer();
  await new Promise<void>((done) => server.listen(ports.scep, "127.0.0.1", done));
  try {
    const refusal = requireFreePorts(ports);
    await expect(refusal).rejects.toMatchObject({ code: "port-taken" });
    await expect(refusal).rejects.toThrow(
      `Port ${ports.scep} for SCEP, CRL and OCSP is taken by another program: free it, or choose another with ` +
        "`npm start -- --scep-port ",
    );
  } finally {
    await new Promise((done) => server.close(done));
  }
});
