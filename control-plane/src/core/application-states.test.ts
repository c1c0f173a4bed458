import { expect, test } from "vitest";
import {
  applicationChanges,
  applicationStates,
  applicationStateWords,
} from "./application-states.ts";

const ROW = {
  ...{ AppCI: 1, AppName: "Browser", AssignmentID: 2, DTCI: 3, UserName: "(SYSTEM)" },
  ...{ AppStatusType: 1, EnforcementState: 1_000, InstalledState: 2, DeploymentIntent: 2 },
};
const ERROR = { AppCI: 1, AssignmentID: 2, DTCI: 3, UserName: "(SYSTEM)", ErrorCode: -2016410844 };

function only(row: object, errors: unknown = undefined) {
  const [state] = applicationStates([{ ...ROW, ...row }], errors);
  if (state === undefined) throw new Error("no state");
  return state;
}

test.each([
  ["installed", {}],
  ["notInstalled", { InstalledState: 1 }],
  ["installing", { AppStatusType: 2, EnforcementState: 2_002 }],
  ["restartPending", { AppStatusType: 2, EnforcementState: 2_008 }],
  ["restartPending", { AppStatusType: 1, EnforcementState: 9 }],
  ["requirementsNotMet", { AppStatusType: 3 }],
  ["failed", { AppStatusType: 5 }],
  ["available", { AppStatusType: 4, InstalledState: 3 }],
  ["required", { AppStatusType: 4, InstalledState: 3, DeploymentIntent: 1 }],
  ["notInstalled", { AppStatusType: 4, InstalledState: 1 }],
  ["unknown", { AppStatusType: 4, InstalledState: 3, DeploymentIntent: 9 }],
  ["unknown", { AppStatusType: "5", InstalledState: null, DeploymentIntent: {} }],
] as const)("a row is %s where it has %o", (state, row) => {
  expect(only(row).state).toBe(state);
});

test("what failed says why, and only that", () => {
  const failed = only({ AppStatusType: 5, EnforcementState: 5_000 }, [ERROR]);
  expect(failed).toMatchObject({
    error: { code: "0x87D00324" },
    enforcementWords: "deployment failed",
  });
  expect(applicationStateWords(failed)).toMatch(/^Failed: 0x87D00324, the application was not/);
  expect(only({}, [ERROR]).error).toBeUndefined();
  expect(only({ AppStatusType: 5 }, [{ ...ERROR, DTCI: 4 }]).error).toBeUndefined();
});

test("changes are told in words, one for each application", () => {
  const before = applicationStates([ROW, { ...ROW, AppCI: 9, AppName: "Gone" }], undefined);
  const after = applicationStates(
    [
      { ...ROW, AppStatusType: 5 },
      { ...ROW, AppCI: 8, AppName: "New", AppStatusType: 4, InstalledState: 3 },
    ],
    [ERROR],
  );
  expect(applicationChanges(before, after, 10)).toEqual([
    {
      ...{ name: "Browser", before: "Installed" },
      after: expect.stringMatching(/^Failed: 0x87D00324/),
    },
    { name: "New", before: undefined, after: "Available" },
    { name: "Gone", before: "Installed", after: undefined },
  ]);
  expect(applicationChanges(before, after, 2)).toHaveLength(2);
  expect(applicationChanges(after, after, 10)).toEqual([]);
});
