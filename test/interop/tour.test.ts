import { expect, test } from "vitest";
import { runSuite } from "./suite-process.ts";

test("the tour plays every step of the story and ends with exit code 0", async () => {
  const tour = runSuite(["tour"]);
  const code = await tour.ended;
  const steps = tour.events.filter(({ event }) => event?.startsWith("step-"));
  expect(steps.filter(({ event }) => event === "step-failed")).toEqual([]);
  expect(steps.map(({ name }) => name)).toEqual([
    "suite set up: own authorities, three connectors enrolled",
    "challenge issued",
    "certificate enrolled over SCEP",
    "certificate renewed",
    "internal page fetched through the tunnel",
    "forbidden destination refused with the rule's name",
    "device marked non-compliant, its open connection cut",
    "certificate revoked and refused",
    "devices of the Configuration Manager site in the cloud",
    "a hardware scan at the site seen in the device's timeline",
    "an approved script run on a device, its output back",
    "connector killed with SIGKILL in the middle of work",
    "the cloud stopped, the connectors go on serving, the cloud back",
    "the same enrolment and page in standalone mode",
    "audit verify clean",
  ]);
  expect(tour.errors()).toBe("");
  expect(code).toBe(0);
});
