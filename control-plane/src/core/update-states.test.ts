import { describe, expect, test } from "vitest";
import { updateStatus } from "./update-states.ts";

describe("the status of an update, as the SDK reference of SMS_UpdateComplianceStatus has it", () => {
  test.each([
    [0, "unknown", "detection state unknown", "unknown"],
    [1, "notApplicable", "update is not required", "compliant"],
    [2, "required", "update is required", "nonCompliant"],
    [3, "installed", "update is installed", "compliant"],
    // The site does not say it, or says what nobody explains.
    [null, "unknown", "detection state unknown", "unknown"],
    [4, "unknown", "unknown (4)", "unknown"],
    [-1, "unknown", "unknown (-1)", "unknown"],
    [2.5, "unknown", "unknown (2.5)", "unknown"],
  ])("%j is %s", (status, state, words, compliance) => {
    expect(updateStatus(status, null)).toEqual({
      ...{ state, words, compliance, enforcementWords: undefined },
    });
  });
});

describe("how far an installation is, as the documentation of state messages of topic 402 has it", () => {
  test.each([
    [1, "enforcement started", "nonCompliant"],
    [2, "enforcement waiting for content", "nonCompliant"],
    [3, "waiting for another installation to complete", "nonCompliant"],
    [4, "waiting for the maintenance window before installing", "nonCompliant"],
    [5, "restart required before installing", "nonCompliant"],
    [6, "general failure", "error"],
    [7, "pending installation", "nonCompliant"],
    [8, "installing update", "nonCompliant"],
    [9, "pending system restart", "nonCompliant"],
    [10, "successfully installed update", "nonCompliant"],
    [11, "failed to install the update", "error"],
    [12, "downloading update", "nonCompliant"],
    [13, "downloaded update", "nonCompliant"],
    [14, "failed to download the update", "error"],
    [15, "unknown (15)", "nonCompliant"],
    [0, undefined, "nonCompliant"],
    [null, undefined, "nonCompliant"],
  ])("%j is %j", (enforcement, words, compliance) => {
    expect(updateStatus(2, enforcement)).toMatchObject({ enforcementWords: words, compliance });
    // What an earlier attempt came to makes an update that is there no error.
    expect(updateStatus(3, enforcement).compliance).toBe("compliant");
  });
});
