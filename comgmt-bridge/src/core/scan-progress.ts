import { RECORD_KINDS, type RecordKind } from "@isthmus/shared/link/inventory-messages";
import { z } from "zod";

/** How far a scan of all kinds is, written down after each part so that a restart goes on where it was. */
const progress = z.object({
  beganAt: z.number().int(),
  /** Whether tables that are read seldom are read, too. */
  isWhole: z.boolean(),
  done: z.array(z.enum(RECORD_KINDS)),
  /** The kind that is under way, and the key through which it was read. */
  kind: z.enum(RECORD_KINDS).optional(),
  kindBeganAt: z.number().int().optional(),
  through: z.number().int().optional(),
  parts: z.number().int(),
  records: z.number().int(),
  /** Whether a part of that kind could not be read, so that its scan ends without saying what is gone. */
  hasFailed: z.boolean(),
});
export type ScanProgress = z.infer<typeof progress>;

/** A scan that stopped longer ago begins anew: what it read at first is old by now. */
const MAX_AGE_MS = 86_400_000;

/** What is known of scans that ended. */
const history = z.object({
  endedAt: z.number().int(),
  wholeEndedAt: z.number().int(),
  /** Of the last complete scan, by kind. */
  parts: z.partialRecord(z.enum(RECORD_KINDS), z.number().int()),
  records: z.partialRecord(z.enum(RECORD_KINDS), z.number().int()),
});
export type ScanHistory = z.infer<typeof history>;

export const NO_HISTORY: ScanHistory = { endedAt: 0, wholeEndedAt: 0, parts: {}, records: {} };

export function newScan(beganAt: number, isWhole: boolean): ScanProgress {
  return { beganAt, isWhole, done: [], parts: 0, records: 0, hasFailed: false };
}

/** The scan that was under way; undefined where there was none, or not one to go on with. */
export function scanToResume(text: string | undefined, now: number): ScanProgress | undefined {
  const read = progress.safeParse(jsonOf(text));
  if (!read.success) return undefined;
  const age = now - read.data.beganAt;
  return age >= 0 && age <= MAX_AGE_MS ? read.data : undefined;
}

export function readHistory(text: string | undefined): ScanHistory {
  const read = history.safeParse(jsonOf(text));
  return read.success ? read.data : NO_HISTORY;
}

export function withKind(of: ScanProgress, kind: RecordKind, now: number): ScanProgress {
  if (of.kind === kind) return of;
  const { through: _, ...rest } = of;
  return { ...rest, kind, kindBeganAt: now, parts: 0, records: 0, hasFailed: false };
}

export function withoutKind(of: ScanProgress): ScanProgress {
  const { kind, kindBeganAt: _began, through: _through, ...rest } = of;
  return kind === undefined ? of : { ...rest, done: [...of.done, kind] };
}

function jsonOf(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
