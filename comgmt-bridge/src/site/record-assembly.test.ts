import { expect, test } from "vitest";
import { recordKeyOf } from "../core/record-keys.ts";
import type { SiteTable, TableContent } from "../core/site-table.ts";
import type { Row } from "../protocol/admin-service/answer.ts";
import { RecordAssembly, type TableRows } from "./record-assembly.ts";

function tableOf(id: string, content: TableContent, rows: readonly Row[]): TableRows {
  const of = { route: "wmi", name: id } as const;
  const keyNames = ["ResourceID"];
  const table: SiteTable = {
    ...{ id, of, keyNames, isRequired: false, reading: "always", rowsPerKey: 1, content },
  };
  return { table, keyName: "ResourceID", select: undefined, rows };
}

const SPINE: TableContent = { kind: "columns", facets: { identity: ["Name"], stable: ["Build"] } };
const facets = new Set(["identity", "stable", "collections", "Disk"]);

const spineOf = (...rows: readonly Row[]) => tableOf("System", SPINE, rows);

test("columns of several tables come to one facet, in the order of the tables", () => {
  const assembly = new RecordAssembly({
    ...{ spine: spineOf({ ResourceID: 1, Build: "b", Name: "n" }), facets },
  });
  const content: TableContent = { kind: "columns", facets: { stable: ["CoManaged"] } };
  assembly.add(
    tableOf("Device", content, [
      { ResourceID: 1, CoManaged: 0 },
      { ResourceID: 2, CoManaged: 1 },
    ]),
  );
  expect(assembly.records()).toEqual([
    { key: "1", facets: { identity: '{"Name":"n"}', stable: '{"Build":"b","CoManaged":0}' } },
  ]);
});

test("rows and values stand in one order whatever the site's, and without what is its own", () => {
  const assembly = new RecordAssembly({ spine: spineOf({ ResourceID: 1 }), facets });
  assembly.add(
    tableOf("Disk", { kind: "rows", facet: "Disk" }, [
      { "@odata.etag": "x", ResourceID: 1, GroupID: 10, DeviceID: "D:", TimeStamp: "t" },
      {
        __LAZYPROPERTIES: [],
        ResourceID: 1,
        GroupID: 2,
        DeviceID: "C:",
        RevisionID: 7,
        Size: null,
      },
    ]),
  );
  assembly.add(
    tableOf("Member", { kind: "values", facet: "collections", column: "CollectionID" }, [
      { ResourceID: 1, CollectionID: "SMSDM003" },
      { ResourceID: 1, CollectionID: "SMS00001" },
    ]),
  );
  expect(assembly.records()).toEqual([
    {
      key: "1",
      facets: {
        Disk: '[{"GroupID":2,"DeviceID":"C:"},{"GroupID":10,"DeviceID":"D:"}]',
        collections: '["SMS00001","SMSDM003"]',
      },
    },
  ]);
});

test("facets that were not asked for are not made, and their texts are what JSON.stringify gives", () => {
  const names = ["é", '"quoted"', "\u2028", "\ud800", "\u0000"];
  const rows = names.map((Name, index) => ({ ResourceID: index + 1, Name, Build: "b" }));
  const assembly = new RecordAssembly({ spine: spineOf(...rows), facets: new Set(["identity"]) });
  for (const { facets: made } of assembly.records()) {
    expect(Object.keys(made)).toEqual(["identity"]);
    expect(JSON.stringify(JSON.parse(made["identity"] ?? ""))).toBe(made["identity"]);
  }
});

test("an application is called by its GUID, and its last revision counts", () => {
  const guid = "0F8FAD5B-D9CB-469F-A165-70867728950E";
  const row = (id: number, Name: string, model: string) => ({
    ResourceID: id,
    Name,
    ModelName: model,
  });
  const recordKey = recordKeyOf("application");
  const assembly = new RecordAssembly({
    spine: spineOf(
      row(1, "old", `ScopeId_1/Application_${guid}/1`),
      row(2, "new", `ScopeId_1/Application_${guid}/2`),
      row(3, "none", "ScopeId_1/GlobalSettings_1"),
    ),
    facets: new Set(["identity"]),
    ...(recordKey && { recordKey }),
  });
  expect(assembly.records()).toEqual([
    { key: guid.toLowerCase(), facets: { identity: '{"Name":"new"}' } },
  ]);
});
