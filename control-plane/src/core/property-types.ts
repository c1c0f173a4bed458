/** Types that many properties of resources have; `resources.ts` says what each word means. */

export const text = { type: "text" } as const;
export const optionalText = { type: "text", isNullable: true } as const;
/** Compared without regard to the case of ASCII letters, as Graph does. */
export const optionalName = { type: "text", isNullable: true, ignoresCase: true } as const;
export const record = { type: "record" } as const;
export const optionalRecord = { type: "record", isNullable: true } as const;
/** A number that grows, with leading zeros outside, so that it sorts as text, too. */
export const sequence = { type: "sequence" } as const;
export const time = { type: "time" } as const;
export const optionalTime = { type: "time", isNullable: true } as const;
export const number = { type: "number" } as const;
export const optionalNumber = { type: "number", isNullable: true } as const;
export const boolean = { type: "boolean" } as const;
export const optionalBoolean = { type: "boolean", isNullable: true } as const;
export const json = { type: "json" } as const;
export const optionalJson = { type: "json", isNullable: true } as const;
