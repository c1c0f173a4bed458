import { hash } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";

const compress = promisify(zstdCompress);

/** Records of one zstd batch. */
const BATCH = 100;
const LEVEL = 3;

/**
 * What no synchronisation can do without: parses, hashes, writes out and compresses these records, in batches. Returns CPU-us of this
 * process for each record.
 */
export async function floorPerRecord(records: readonly string[]): Promise<number> {
  await work(records.slice(0, BATCH * 5));
  const before = process.cpuUsage();
  await work(records);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / records.length;
}

async function work(records: readonly string[]): Promise<void> {
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL };
  for (let first = 0; first < records.length; first += BATCH) {
    const lines = records.slice(first, first + BATCH).map((text) => {
      const value: unknown = JSON.parse(text);
      hash("sha256", text);
      return JSON.stringify(value);
    });
    await compress(Buffer.from(lines.join("\n")), { params });
  }
}
