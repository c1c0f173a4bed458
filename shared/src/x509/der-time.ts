/** UTCTime `YYMMDDHHMMSSZ`; two-digit years are 1950..2049 (RFC 5280 section 4.1.2.5.1). Undefined if it is no date. */
export function readUtcTime(content: Uint8Array): number | undefined {
  if (content.length !== 13) return undefined;
  const year = twoDigits(content, 0);
  return momentOf(year < 50 ? 2_000 + year : 1_900 + year, content, 2);
}

/** GeneralizedTime `YYYYMMDDHHMMSSZ`, without fractions (RFC 5280 section 4.1.2.5.2). Undefined if it is no date. */
export function readGeneralizedTime(content: Uint8Array): number | undefined {
  if (content.length !== 15) return undefined;
  return momentOf(twoDigits(content, 0) * 100 + twoDigits(content, 2), content, 4);
}

/** Reads `MMDDHHMMSSZ` from `at`. Long lists are full of times, so no text is made and no expression matched. */
function momentOf(year: number, content: Uint8Array, at: number): number | undefined {
  const month = twoDigits(content, at);
  const day = twoDigits(content, at + 2);
  const hours = twoDigits(content, at + 4);
  const minutes = twoDigits(content, at + 6);
  const seconds = twoDigits(content, at + 8);
  const isTime = hours < 24 && minutes < 60 && seconds < 60 && content[at + 10] === 0x5a;
  // What is no digit is NaN and makes every comparison false.
  if (!isTime || !(year >= 100 && month >= 1 && day >= 1)) return undefined;
  if (!(month <= 12 && day <= daysIn(year, month))) return undefined;
  return Date.UTC(year, month - 1, day, hours, minutes, seconds);
}

function twoDigits(content: Uint8Array, at: number): number {
  return digit(content[at]) * 10 + digit(content[at + 1]);
}

function digit(octet: number | undefined): number {
  return octet !== undefined && octet >= 0x30 && octet <= 0x39 ? octet - 0x30 : Number.NaN;
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysIn(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 && isLeap ? 29 : (DAYS[month - 1] ?? 0);
}
