import { z } from "zod";

/** Own limits. */
const MAX_ENTITIES = 500;
const MAX_PATTERNS = 100;
const MAX_FUNCTIONS = 100;
const MAX_PATTERN_CHARACTERS = 260;
const MAX_WINDOW_HOURS = 8_760;
/** Those of the language: `shared/src/cmpivot/limits.ts`. */
const LANGUAGE_LIMITS = { characters: 4_000, joins: 5, nesting: 24 };

const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "is no name");

/** A pattern says what it means only without the wildcards of PowerShell, and without parts that Windows changes. */
const pattern = z
  .string()
  .min(1)
  .max(MAX_PATTERN_CHARACTERS)
  .refine(
    (text) => !/[?[\]`]/.test(text),
    "may have * as its only wildcard: no ?, [, ] or backquote",
  )
  .refine(
    (text) => !/(^|[\\/])\s|[.\s]($|[\\/])/.test(text),
    "has a part that begins with a space, or ends with a space or a dot",
  );

const entityRule = z.union([
  z.union([z.literal("*"), name]).transform((entity) => ({ entity, arguments: [] as string[] })),
  z.strictObject({
    /** An entity that takes an argument, e.g. `Registry`. */
    entity: name,
    /** What it may be asked for, e.g. `hklm:\software\contoso\*`; `*` stands for anything. */
    arguments: z.array(pattern).max(MAX_PATTERNS).default([]),
  }),
]);

/** Which CMPivot queries may be sent to a site; none where the section is missing. */
export const queryGuardrails = z.strictObject({
  /**
   * Entities that may be read: by name, `*` for every documented one that takes no argument, or an object with patterns
   * for one that does. Classes of the own inventory have to be named.
   */
  entities: z.array(entityRule).max(MAX_ENTITIES).default([]),
  /** Scalar functions and aggregates that may be used; all of the language where missing. */
  functions: z.array(name).max(MAX_FUNCTIONS).optional(),
  limits: z
    .strictObject({
      maxCharacters: z.number().int().min(1).max(LANGUAGE_LIMITS.characters).default(2_000),
      maxJoins: z.number().int().min(0).max(LANGUAGE_LIMITS.joins).default(LANGUAGE_LIMITS.joins),
      maxNesting: z
        .number()
        .int()
        .min(0)
        .max(LANGUAGE_LIMITS.nesting)
        .default(LANGUAGE_LIMITS.nesting),
      /** How far back CcmLog, EventLog and WinEvent may be read. */
      maxWindowHours: z.number().min(0).max(MAX_WINDOW_HOURS).default(168),
    })
    .prefault({}),
});
