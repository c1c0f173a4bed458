import type { Migration } from "@isthmus/shared/store/transaction";

/** What is kept of sources beyond `inventory-migrations.ts`. */
export const sourceMigrations: readonly Migration[] = [
  {
    id: "source-1-event-keys",
    sql: `
      -- JSON: keys of the records that the event is about, the first of them; NULL where it names none.
      ALTER TABLE inventory_event ADD COLUMN keys TEXT;
    `,
  },
];
