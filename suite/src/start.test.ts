import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { DEMO } from "./configurations.ts";
import { layoutOf } from "./layout.ts";
import { withDefaultPorts } from "./ports.ts";
import { DEMO_SITE } from "./process/configuration-manager.ts";
import { welcome } from "./start.ts";

test("the printed commands read no password file that was deleted", () => {
  using folder = temporaryFolder();
  const layout = layoutOf(folder.path);
  const file = join(layout.of("control-plane").stateFolder, "initial-admin-password");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "secret");
  const text = () => welcome({ layout, ports: withDefaultPorts({}) }, "1.0");
  expect(text()).toContain(`"password":"'$(cat ${file})'"}'`);
  rmSync(file);
  expect(text()).not.toContain("initial-admin-password");
  expect(text()).toContain('"password":"PASSWORD-OF-ADMIN"}\'');
});

test("the console's address is printed with the port that was chosen", () => {
  using folder = temporaryFolder();
  const ports = { ...withDefaultPorts({}), controlPlane: 18080 };
  const text = welcome({ layout: layoutOf(folder.path), ports }, "1.0");
  expect(text).toContain("https://localhost:18080/devices\n");
});

test("the README links the pages of the demonstration device and site that are printed", () => {
  using folder = temporaryFolder();
  const text = welcome({ layout: layoutOf(folder.path), ports: withDefaultPorts({}) }, "1.0");
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  for (const path of [`/devices/${DEMO.deviceId}`, `/sources/${DEMO_SITE.siteCode}`]) {
    expect(text).toContain(`https://localhost:8080${path}\n`);
    expect(readme).toContain(`<https://localhost:8080${path}>`);
  }
});

test("a shell leaves the options in the printed addresses alone", () => {
  using folder = temporaryFolder();
  const text = welcome({ layout: layoutOf(folder.path), ports: withDefaultPorts({}) }, "1.0");
  expect(text).toContain("?\\$filter=configurationManagerSite+eq+'");
  expect(text).not.toMatch(/[?&]\$/);
});
