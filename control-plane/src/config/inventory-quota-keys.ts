import { z } from "zod";

/** Own limits of the limits. */
const MAX_RECORDS = 100_000_000;
const MAX_MEGABYTES = 10_000_000;
const MAX_SOURCES = 1_000;
const SOURCE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const limits = {
  /** Records of a source, those that are gone and still have a history among them. */
  records: z.number().int().min(1).max(MAX_RECORDS).optional(),
  /** What they have and had, timelines of devices and events of the source among it; 1 MB is 1,000,000 octets. */
  megabytes: z.number().int().min(1).max(MAX_MEGABYTES).optional(),
};

/** How much is kept of a source, and of those that have limits of their own; what is left out is as for all. */
export const inventoryQuotaKeys = z
  .strictObject({
    ...limits,
    sources: z
      .record(z.string().regex(SOURCE_NAME), z.strictObject(limits))
      .refine((sources) => Object.keys(sources).length <= MAX_SOURCES, "too many sources")
      .default({}),
  })
  .prefault({});
