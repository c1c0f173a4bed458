import { ProtocolError } from "@isthmus/shared/errors";
import { fuzzRuns } from "@isthmus/shared/testing/fuzz-runs";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  readApplications,
  readClientOperation,
  readDevice,
  readExtensionData,
  readOperationStatus,
  readQueryResult,
  readQueryStatus,
  readRecoveryKey,
  readRecoveryKeyIds,
  readScript,
  readScriptStatus,
  readScriptTask,
} from "./action-rows.ts";

const NAMES = [
  ...["ID", "Type", "CreatedBy", "TargetResourceIDs", "State", "IsExpired", "TotalClients"],
  ...["ClientOperationId", "ResourceId", "ScriptGuid", "ScriptVersion", "ScriptType", "Script"],
  ...["ApprovalState", "ScriptOutput", "ScriptExecutionState", "MachineId", "SMSID", "value"],
  ...["Result", "Application", "ApplicationId", "CIGUID", "Status", "ErrorCode", "RecoveryKeyId"],
  ...["PropertyName", "PropertyValue", "__proto__", "@odata.context"],
];
const value = fc.oneof(fc.jsonValue(), fc.integer(), fc.string(), fc.constant("67bf7a26-acf7"));
const row = fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 10 });
const ROWS = [
  ...[readClientOperation, readOperationStatus, readScriptTask, readScriptStatus],
  ...[readQueryStatus, readScript, readDevice],
];
const BODIES = [
  ...[readQueryResult, readApplications, readRecoveryKeyIds, readRecoveryKey, readExtensionData],
];

const readOrRefused = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
};

test("a row is read or refused, whatever it holds", () => {
  fc.assert(
    fc.property(row, (of) => {
      for (const read of ROWS) readOrRefused(() => read(of));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("an answer is read or refused, whatever it holds", () => {
  const lists = fc.oneof(row, fc.array(row, { maxLength: 3 }), value);
  const body = fc.oneof(
    lists.map((of) => JSON.stringify({ value: of })),
    lists.map((of) => JSON.stringify(of)),
    fc.string(),
  );
  fc.assert(
    fc.property(body, (text) => {
      for (const read of BODIES) readOrRefused(() => read(Buffer.from(text)));
    }),
    { numRuns: fuzzRuns(2_000) },
  );
});

test("a property whose value is a list of objects is kept as its text", () => {
  const body = { value: [{ Assets: [{ toString: [] }], Owner: "Ann" }] };
  expect(readExtensionData(Buffer.from(JSON.stringify(body)))).toEqual({
    ...{ Assets: '[{"toString":[]}]', Owner: "Ann" },
  });
});

test("a refusal of a recovery key never repeats what came", () => {
  for (const text of [JSON.stringify({ value: "123456-".repeat(60) }), "123456-123456"]) {
    let thrown: unknown;
    try {
      readRecoveryKey(Buffer.from(text));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ message: "no recovery key came" });
    expect((thrown as Error).cause).toBeUndefined();
  }
});
