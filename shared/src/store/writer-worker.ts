import type { DatabaseSync } from "node:sqlite";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { openForReading, openForWriting } from "./database.ts";
import { lockFile } from "./file-lock.ts";
import { GroupCommit } from "./group-commit.ts";
import { migrate, requireMigrated } from "./migrate.ts";
import { fromSqlite, toPortable } from "./store-errors.ts";
import type { StoreModule } from "./transaction.ts";
import type { FromWriter, Outcome, ToWriter, WriterSettings } from "./worker-messages.ts";

/** The worker thread that alone writes a store's database. Started by `store.ts`. */
if (parentPort !== null) await serve(parentPort, workerData as WriterSettings);

async function serve(port: MessagePort, settings: WriterSettings): Promise<void> {
  const send = (message: FromWriter) => port.postMessage(message);
  using resources = new DisposableStack();
  try {
    const { database, commit } = await open(settings, resources);
    const isDone = listen(port, commit, send);
    send({ type: "ready" });
    await isDone;
    if (!settings.isReadOnly) database.exec("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    send({ type: "unopened", error: toPortable(fromSqlite(error, settings.file)) });
    port.close();
    return;
  }
  port.close();
}

async function open(settings: WriterSettings, resources: DisposableStack) {
  const { file, isReadOnly } = settings;
  const { migrations, operations } = (await import(settings.moduleUrl)) as StoreModule;
  if (!isReadOnly) resources.use(lockFile(`${file}-lock`, `store ${file}`));
  const database: DatabaseSync = isReadOnly ? openForReading(file) : openForWriting(file);
  resources.defer(() => database.close());
  if (isReadOnly) requireMigrated(database, file, migrations);
  else migrate(database, file, migrations, Date.now());
  const commit = new GroupCommit({ database, operations, file, isReadOnly });
  return { database, commit };
}

/** Serves batches until the owner asks to close. */
function listen(port: MessagePort, commit: GroupCommit, send: (message: FromWriter) => void) {
  return new Promise<void>((resolve) => {
    port.on("message", (message: ToWriter) => {
      if (message.type === "close") return resolve();
      const outcomes = commit.run(message.operations);
      try {
        send({ type: "outcomes", outcomes });
      } catch {
        send({ type: "outcomes", outcomes: outcomes.map(cloneable) });
      }
    });
  });
}

/** An operation may have returned what cannot cross a thread (a function): that outcome alone becomes an error. */
function cloneable(outcome: Outcome): Outcome {
  try {
    return structuredClone(outcome);
  } catch (error) {
    return { ok: false, error: toPortable(error) };
  }
}
