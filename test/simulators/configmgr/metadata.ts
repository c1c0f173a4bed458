import type { EntityClass } from "./entity-class.ts";

/** The classes of a route as OData's CSDL, without actions. */
export function metadataText(classes: readonly EntityClass[]): string {
  const types = classes.map(({ name, keys, columns }) => {
    const references = keys.map((key) => `<PropertyRef Name="${key}"/>`).join("");
    const properties = columns.map(
      (column) =>
        `<Property Name="${column.name}" Type="${column.type === "Complex" ? "Collection(Edm.Untyped)" : column.type}"/>`,
    );
    return `<EntityType Name="${name}"><Key>${references}</Key>${properties.join("")}</EntityType>`;
  });
  const sets = classes.map(
    ({ name }) => `<EntitySet Name="${name}" EntityType="AdminService.${name}"/>`,
  );
  return (
    '<?xml version="1.0" encoding="utf-8"?>' +
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>' +
    `<Schema Namespace="AdminService" xmlns="http://docs.oasis-open.org/odata/ns/edm">${types.join("")}` +
    `<EntityContainer Name="Container">${sets.join("")}</EntityContainer></Schema>` +
    "</edmx:DataServices></edmx:Edmx>"
  );
}
