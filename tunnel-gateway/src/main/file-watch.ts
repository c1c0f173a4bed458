import { stat } from "node:fs/promises";

/** Own limit. Mounted secrets change by a symbolic link, which file events miss: the files are looked at instead. */
const LOOK_EVERY_MS = 500;

/** Calls `onChange` when one of `files` is replaced, written, made or removed, until disposed. */
export async function watchFiles(
  files: readonly string[],
  onChange: () => Promise<void>,
): Promise<AsyncDisposable> {
  let seen = await stampOf(files);
  let looking: Promise<void> = Promise.resolve();
  const look = async () => {
    const stamp = await stampOf(files);
    if (stamp === seen) return;
    seen = stamp;
    await onChange();
  };
  const timer = setInterval(() => {
    looking = looking.then(look);
  }, LOOK_EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await looking;
    },
  };
}

async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = await Promise.all(
    files.map(async (file) => {
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      return found ? `${found.ino}:${found.size}:${found.mtimeNs}` : "none";
    }),
  );
  return stamps.join(" ");
}
