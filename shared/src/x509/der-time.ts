/** UTCTime `YYMMDDHHMMSSZ`; two-digit years are 1950..2049 (RFC 5280 section 4.1.2.5.1). Undefined if it is no date. */
export function readUtcTime(text: string): number | undefined {
  if (text.length !== 13) return undefined;
  const year = text.charCodeAt(0) >= 0x35 ? "19" : "20";
  return readGeneralizedTime(year + text);
}

/** GeneralizedTime `YYYYMMDDHHMMSSZ`, without fractions (RFC 5280 section 4.1.2.5.2). Undefined if it is no date. */
export function readGeneralizedTime(text: string): number | undefined {
  if (!/^\d{14}Z$/.test(text)) return undefined;
  const number = (from: number, to: number) => Number(text.slice(from, to));
  const [year, month, day] = [number(0, 4), number(4, 6), number(6, 8)];
  const [hours, minutes, seconds] = [number(8, 10), number(10, 12), number(12, 14)];
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hours, minutes, seconds);
  const isSameDay = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return isSameDay ? date.getTime() : undefined;
}
