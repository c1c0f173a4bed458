import { expect, test } from "vitest";
import { readOptions } from "./options.ts";

test("start uses the documented ports and a folder in the current one", () => {
  const options = readOptions(["start"], {});
  expect(options).toMatchObject({
    kind: "start",
    isJson: false,
    ports: { controlPlane: 8080, scep: 8081, tunnel: 8443, site: 8090 },
  });
  expect(options.kind === "start" && options.stateFolder.endsWith("/.isthmus")).toBe(true);
});

test("a flag wins over the environment, the environment over the default", () => {
  const options = readOptions(["start", "--scep-port", "9001"], {
    ISTHMUS_SCEP_PORT: "9002",
    ISTHMUS_SITE_PORT: "9003",
  });
  expect(options).toMatchObject({ ports: { scep: 9001, site: 9003, tunnel: 8443 } });
});

test("every fault of the command line comes in one message", () => {
  const read = () =>
    readOptions(["start", "--scep-port", "0", "--tunnel-port", "70000", "more"], {
      ISTHMUS_SITE_PORT: "8080",
    });
  expect(read).toThrow(/more: not expected/);
  expect(read).toThrow(/--scep-port: expected a port from 1 to 65535, got "0"/);
  expect(read).toThrow(/--tunnel-port: expected a port from 1 to 65535, got "70000"/);
  expect(read).toThrow(/--site-port: 8080 is already the port of the control plane/);
});

test("an unknown flag is refused by name", () => {
  expect(() => readOptions(["start", "--scep-prot", "1"], {})).toThrow(/--scep-prot/);
});

test("an unknown command is refused", () => {
  expect(() => readOptions(["serve"], {})).toThrow(/serve: expected start or tour/);
});
