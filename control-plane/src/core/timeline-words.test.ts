import { NOTIFICATIONS } from "@isthmus/shared/link/site-messages";
import { expect, test } from "vitest";
import { actionTitle, actionWords } from "./action-words.ts";
import { codeWords, fieldWords } from "./timeline-words.ts";

test.each([
  ["stable", "Model", "Model"],
  ["stable", "DeviceOSBuild", "Device OS build"],
  ["identity", "AADDeviceID", "AAD device ID"],
  ["collections", "", "Collections"],
  ["updateCompliance", "", "Software updates"],
  ["SMS_G_System_LOGICAL_DISK", "DeviceID=C:/FreeSpace", "Logical disk: C: free space"],
  ["SMS_G_System_COMPUTER_SYSTEM", "", "Computer system"],
  ["SMS_GEH_System_PC_BIOS", "Version", "Pc bios: version"],
  ["SMS_G_System_CUSTOM_Printers", "Name", "CUSTOM Printers: name"],
  ["constructor", "", "Constructor"],
])("the field %s/%s is called %s", (facet, path, words) => {
  expect(fieldWords({ facet, path })).toBe(words);
});

test("every notification has words of its own, and a name that nobody knows stays as it is", () => {
  for (const name of NOTIFICATIONS) expect(actionWords(name)).toMatch(/^[A-Z][A-Za-z -]+$/);
  expect(new Set(NOTIFICATIONS.map(actionWords)).size).toBe(NOTIFICATIONS.length);
  expect(actionWords("constructor")).toBe("constructor");
  expect(actionTitle("installApplication", { applicationName: "Editor" })).toBe("Install Editor");
  expect(actionTitle("runScript", { scriptName: "Clean up" })).toBe("Run script Clean up");
  expect(codeWords("device-noncompliant")).toBe("device noncompliant");
});
