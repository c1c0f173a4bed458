import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { layoutOf } from "./layout.ts";
import {
  readSuiteRecord,
  requireSamePorts,
  requireWholeFolder,
  writeSuiteRecord,
} from "./suite-record.ts";

const RECORD = {
  isSetUp: true,
  ports: { controlPlane: 8080, scep: 8081, tunnel: 8443, site: 8090, configurationManager: 8444 },
  connectors: { "cert-connector": "c-1" },
  issuerKeyId: "00ff",
};

test("a record is read as it was written", () => {
  using folder = temporaryFolder();
  const layout = layoutOf(folder.path);
  expect(readSuiteRecord(layout)).toBeUndefined();
  writeSuiteRecord(layout, RECORD);
  expect(readSuiteRecord(layout)).toMatchObject(RECORD);
});

test("a folder with other things in it is left alone", () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "letter.txt"), "dear");
  expect(() => readSuiteRecord(layoutOf(folder.path))).toThrow(/holds other things/);
});

test("a damaged record names the file and what to do", () => {
  using folder = temporaryFolder();
  const layout = layoutOf(folder.path);
  writeFileSync(layout.suiteFile, '{"version":1');
  expect(() => readSuiteRecord(layout)).toThrow(/suite\.json cannot be read: remove/);
});

test("a second start with another port is refused with the first one's", () => {
  expect(() => requireSamePorts(RECORD, { scep: 8081 })).not.toThrow();
  expect(() => requireSamePorts(RECORD, { scep: 9081 })).toThrow(/set up with --scep-port 8081/);
});

test("a folder that lost the state of a service is refused, and the message says which", () => {
  using folder = temporaryFolder();
  const layout = layoutOf(folder.path);
  const services = ["control-plane", "tunnel-gateway", "cert-connector", "comgmt-bridge"] as const;
  for (const service of services) mkdirSync(layout.of(service).stateFolder, { recursive: true });
  expect(() => requireWholeFolder(layout)).not.toThrow();
  rmSync(layout.of("control-plane").stateFolder, { recursive: true });
  expect(() => requireWholeFolder(layout)).toThrow(/control-plane\/state is gone/);
});
