import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { DEMO } from "@isthmus/suite/configurations";
import { openTunnel } from "@isthmus/suite/device/tunnel-client";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts, PORT_NAMES, PORTS, type Ports } from "@isthmus/suite/ports";
import { runCommand } from "@isthmus/suite/process/child-service";
import { entryOf } from "@isthmus/suite/suite";
import { expect, test } from "vitest";
import { runSuite, type SuiteProcess } from "./suite-process.ts";

const READY_WITHIN_MS = 60_000;

test("npm start sets up, stops on Ctrl-C, and a second start goes on with the same connectors and device, and a third enrols the device anew once its certificate was revoked", async () => {
  using folder = temporaryFolder();
  const root = join(folder.path, "state");
  const ports = await freePorts();
  const record = () => JSON.parse(readFileSync(layoutOf(root).suiteFile, "utf8"));

  const first = runSuite(wordsFor(root, ports));
  await ready(first);
  const { connectors } = record();
  expect(await connectAsDemoDevice(root, ports)).toBe("open");
  first.interrupt();
  expect(await first.ended).toBe(0);
  expect(first.errors()).toBe("");

  const certificate = readFileSync(layoutOf(root).device.certificate, "utf8");
  const second = runSuite(wordsFor(root, ports));
  await ready(second);
  expect(record().connectors).toEqual(connectors);
  expect(readFileSync(layoutOf(root).device.certificate, "utf8")).toBe(certificate);
  expect(await connectAsDemoDevice(root, ports)).toBe("open");

  const beside = runSuite(wordsFor(join(folder.path, "other"), ports));
  expect(await beside.ended).toBe(1);
  for (const name of PORT_NAMES) expect(beside.errors()).toContain(`--${PORTS[name].flag}`);
  const again = runSuite(wordsFor(root, ports));
  expect(await again.ended).toBe(1);
  expect(again.errors()).toContain("A suite is running in");

  await revokeDemoCertificate(root);
  second.interrupt();
  expect(await second.ended).toBe(0);

  const third = runSuite(wordsFor(root, ports));
  await ready(third);
  expect(readFileSync(layoutOf(root).device.certificate, "utf8")).not.toBe(certificate);
  expect(await connectAsDemoDevice(root, ports)).toBe("open");
  third.interrupt();
  expect(await third.ended).toBe(0);
});

async function revokeDemoCertificate(root: string): Promise<void> {
  const { device, of } = layoutOf(root);
  const { serialNumber } = new X509Certificate(readFileSync(device.certificate));
  const { configFile } = of("cert-connector");
  const words = ["revoke", "--config", configFile, "--serial", serialNumber];
  await runCommand(entryOf("cert-connector"), words);
}

function wordsFor(root: string, ports: Ports): string[] {
  const flags = PORT_NAMES.flatMap((name) => [`--${PORTS[name].flag}`, String(ports[name])]);
  return ["start", "--state-folder", root, ...flags];
}

async function ready(suite: SuiteProcess): Promise<void> {
  let hasEnded = false;
  suite.ended.then(
    () => {
      hasEnded = true;
    },
    () => {},
  );
  await until(
    () => hasEnded || suite.events.some(({ event }) => event === "ready"),
    "npm start to be ready",
    READY_WITHIN_MS,
  );
  if (hasEnded) throw new Error(`npm start ended: ${suite.errors()}`);
}

/** With nothing but the files that `npm start` names. */
async function connectAsDemoDevice(root: string, ports: Ports): Promise<string> {
  const { device } = layoutOf(root);
  const answer = await openTunnel(
    {
      gateway: { host: "localhost", port: ports.tunnel },
      gatewayAuthority: readFileSync(device.gatewayAuthority, "utf8"),
      certificate: readFileSync(device.certificate, "utf8"),
      key: readFileSync(device.key, "utf8"),
    },
    `${DEMO.openHost}:${ports.site}`,
  );
  if (answer.kind === "open") answer.socket.destroy();
  return answer.kind;
}
