import { readFileSync, statSync } from "node:fs";
import type { Logger } from "pino";
import { z } from "zod";
import { ConfigurationError } from "../errors.ts";
import { parseConfiguration } from "./configuration.ts";
import type { DesiredConfiguration, OfferedConfiguration } from "./desired-configuration.ts";

/** Own limits. A mounted ConfigMap changes by a symbolic link, which file events miss: the file is looked at instead. */
const MAX_FILE_BYTES = 4_194_304;
const LOOK_EVERY_MS = 1_000;

const standaloneFile = z.strictObject({
  version: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  configuration: z.unknown(),
});

/** Reads the text of a standalone configuration: `{ "version": 1, "configuration": {...} }`. */
export function openStandalone(document: string, file: string): OfferedConfiguration {
  const { version, configuration } = parseConfiguration(standaloneFile, document, file);
  return { version, configuration, document };
}

/**
 * Offers the file's content now and whenever it changes, until disposed. A file that cannot be read or is broken leaves
 * what is in force as it is, and health says so.
 */
export async function watchStandaloneFile<Desired>(
  file: string,
  desired: DesiredConfiguration<Desired>,
  log: Logger,
): Promise<AsyncDisposable> {
  let seen = "";
  let looking: Promise<void> = Promise.resolve();
  const look = async () => {
    const stamp = stampOf(file);
    if (stamp === seen) return;
    seen = stamp;
    const outcome = await offer(file, desired);
    const level = outcome.state === "refused" ? "warn" : "info";
    log[level]({ configuration: outcome }, "configuration.offered");
  };
  await look();
  const timer = setInterval(() => {
    looking = looking.then(look).catch((error: unknown) => {
      log.error({ err: error }, "configuration.failed");
    });
  }, LOOK_EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}

async function offer<Desired>(file: string, desired: DesiredConfiguration<Desired>) {
  let offered: OfferedConfiguration;
  try {
    offered = readStandalone(file);
  } catch (error) {
    return await desired.refuse(desired.version + 1, error);
  }
  return await desired.offer(offered);
}

/** Reads a standalone configuration from its file. */
export function readStandalone(file: string): OfferedConfiguration {
  return openStandalone(readBounded(file), file);
}

function readBounded(file: string): string {
  try {
    const { size } = statSync(file);
    if (size <= MAX_FILE_BYTES) return readFileSync(file, "utf8");
    throw new ConfigurationError(file, [`the file has ${size} bytes, at most ${MAX_FILE_BYTES}`]);
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(file, [`cannot be read: ${(error as Error).message}`]);
  }
}

/** Changes whenever the file does; `none` while it is not there. */
function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? "none" : `${stat.ino}:${stat.size}:${stat.mtimeNs}`;
}
