import { UsageError } from "@isthmus/shared/kernel/command";
import { expect, test } from "vitest";
import { readStartOptions } from "./options.ts";
import { withDefaultPorts } from "./ports.ts";

function read(flags: Readonly<Record<string, string>>, environment: Record<string, string> = {}) {
  return readStartOptions({ text: (option) => flags[option] }, environment);
}

test("start uses the documented ports and a folder in the current one", () => {
  const options = read({});
  expect(options.ports).toEqual({});
  expect(withDefaultPorts(options.ports)).toEqual({
    controlPlane: 8080,
    scep: 8081,
    tunnel: 8443,
    site: 8090,
    configurationManager: 8444,
  });
  expect(options.stateFolder).toMatch(/\/\.isthmus$/);
});

test("a flag wins over the environment, the environment over the default", () => {
  const options = read(
    { "scep-port": "9001" },
    { ISTHMUS_SCEP_PORT: "9002", ISTHMUS_SITE_PORT: "9003", ISTHMUS_STATE_FOLDER: "/srv/a" },
  );
  expect(options.ports).toEqual({ scep: 9001, site: 9003 });
  expect(options.stateFolder).toBe("/srv/a");
});

test("a port out of range is wrong usage: exit code 2, not 1", () => {
  expect(() => read({ "scep-port": "65536" })).toThrow(UsageError);
  expect(() => read({}, { ISTHMUS_SCEP_PORT: "0" })).toThrow(UsageError);
});

test("every fault comes in one message", () => {
  const faulty = () =>
    read({ "scep-port": "0", "tunnel-port": "70000" }, { ISTHMUS_SITE_PORT: "8080" });
  expect(faulty).toThrow(/--scep-port: expected a port from 1 to 65535, got "0"/);
  expect(faulty).toThrow(/--tunnel-port: expected a port from 1 to 65535, got "70000"/);
  expect(faulty).toThrow(/--site-port: 8080 is already the port of the control plane/);
});
