import {
  DEFAULT_INVENTORY_CLASSES,
  bridgeConfiguration as desiredConfiguration,
} from "@isthmus/shared/link/desired-sites";
import { expect, test } from "vitest";
import { guardrails } from "./bridge-configuration.ts";
import { ALLOWED_INVENTORY_CLASSES } from "./inventory-classes.ts";

const accepts = (...sites: readonly object[]) => desiredConfiguration.safeParse({ sites }).success;

test("a site is named, and everything else has a default that the guardrails allow", () => {
  expect(desiredConfiguration.parse({ sites: [{ source: "CM1" }] }).sites).toEqual([
    {
      ...{ source: "CM1", inventoryClasses: DEFAULT_INVENTORY_CLASSES, collections: [] },
      ...{
        updateCompliance: true,
        applicationStates: true,
        boundaryGroups: true,
        truthMinutes: 60,
        inventoryHours: 24,
        hotSeconds: 20,
      },
      clientEventsPerHour: 5_000,
    },
  ]);
  const { classes } = guardrails.parse({}).inventory;
  expect(classes).toEqual(ALLOWED_INVENTORY_CLASSES);
  expect(DEFAULT_INVENTORY_CLASSES.every((name) => classes.includes(name))).toBe(true);
});

test.each([
  { source: "cm1" },
  { source: "CM1", inventoryClasses: ["Win32_BIOS"] },
  { source: "CM1", inventoryClasses: ["SMS_G_System_TPM", "SMS_G_System_TPM"] },
  { source: "CM1", inventoryClasses: Array.from({ length: 51 }, (_, n) => `SMS_G_System_C${n}`) },
  { source: "CM1", collections: ["All Systems"] },
  { source: "CM1", truthMinutes: 1_441 },
  { source: "CM1", hotSeconds: 0 },
  { source: "CM1", another: 1 },
])("%j is refused", (site) => {
  expect(accepts(site)).toBe(false);
});

test("limits are taken at their bounds, and a site only once", () => {
  const classes = Array.from({ length: 50 }, (_, number) => `SMS_G_System_C${number}`);
  expect(accepts({ source: "CM1", inventoryClasses: classes, truthMinutes: 1_440 })).toBe(true);
  expect(accepts({ source: "CM1" }, { source: "CM2" })).toBe(true);
  expect(accepts({ source: "CM1" }, { source: "CM1" })).toBe(false);
});
