/** "You can use a maximum of 5 joins per query" (CMPivot changes for version 1906, limitations for joins). */
export const MAX_JOINS = 5;
/** "You can use a maximum of 64 combined columns" (the same). */
export const MAX_COLUMNS = 64;

/** Our own: the longest sample of the documentation has 230 characters. */
export const MAX_QUERY_CHARACTERS = 4_000;
/** Our own: parentheses, calls and joined queries within each other. */
export const MAX_NESTING = 24;
