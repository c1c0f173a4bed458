import { z } from "zod";

/**
 * What happened on a client, as the site's timeline of the device has it (`Device(id)/Events`): a crash, a restart, an update. The site
 * keeps it for about 30 days and gives it no number, so an event is known by what it says.
 */

/** Own limits. */
export const MAX_CLIENT_EVENTS_IN_ENTRY = 100;
export const MAX_EVENT_MESSAGE_CHARACTERS = 4_096;
export const MAX_EVENT_WORD_CHARACTERS = 256;
export const MAX_EVENT_COLUMNS = 32;
export const MAX_EVENT_COLUMN_CHARACTERS = 512;

const word = z.string().max(MAX_EVENT_WORD_CHARACTERS);
const columnName = z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,127}$/);
const column = z.union([
  z.string().max(MAX_EVENT_COLUMN_CHARACTERS),
  z.number(),
  z.boolean(),
  z.null(),
]);

export const clientEvent = z.object({
  /** First 8 octets of SHA-256 over what the site says of it, hex: the same event read twice is one. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** When it happened, by the client's clock; when it was read, where the site does not say. */
  at: z.number().int().min(0).max(8_640_000_000_000_000),
  name: word.optional(),
  /** `Application Error`, `Microsoft-ConfigMgr`. */
  provider: word.optional(),
  eventId: z.number().int().optional(),
  level: word.optional(),
  message: z.string().max(MAX_EVENT_MESSAGE_CHARACTERS).optional(),
  /** Whether the message was longer, or a column was left out. */
  isCut: z.boolean().optional(),
  /** Other columns, by the names that the site gives them. */
  columns: z
    .record(columnName, column)
    .refine((columns) => Object.keys(columns).length <= MAX_EVENT_COLUMNS, "too many columns")
    .optional(),
});
export type ClientEvent = z.infer<typeof clientEvent>;
