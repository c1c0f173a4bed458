import type { DatabaseSync } from "node:sqlite";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { openForReading, openForWriting } from "./database.ts";
import { lockFile } from "./file-lock.ts";
import { GroupCommit } from "./group-commit.ts";
import { migrate, requireMigrated } from "./migrate.ts";
import { fromSqlite, toPortable } from "./store-errors.ts";
import type { StoreModule } from "./transaction.ts";
import type { FromWriter, Outcome, ToWriter, Writer, WriterSettings } from "./worker-messages.ts";

/** The worker thread that alone writes a store's database. Started by `store.ts`. */
if (parentPort !== null) await serve(parentPort, workerData as WriterSettings);

async function serve(port: MessagePort, settings: WriterSettings): Promise<void> {
  const send = (message: FromWriter) => port.postMessage(message);
  using resources = new DisposableStack();
  try {
    const writer = await open(settings, resources);
    const isDone = listen(port, writer, send);
    send({ type: "ready" });
    await isDone;
    writer.finish();
  } catch (error) {
    send({ type: "unopened", error: toPortable(error) });
    port.close();
    return;
  }
  port.close();
}

async function open(settings: WriterSettings, resources: DisposableStack): Promise<Writer> {
  const { place, isReadOnly } = settings;
  const module = (await import(settings.moduleUrl)) as StoreModule;
  if ("file" in place) return openSqlite(place.file, module, isReadOnly, resources);
  // Loaded where it is used: a service with a store of its own needs no driver of another.
  const { openPostgresql } = await import("./postgresql/writer.ts");
  return openPostgresql(place.postgresql, module, isReadOnly, resources);
}

function openSqlite(
  file: string,
  { migrations, operations }: StoreModule,
  isReadOnly: boolean,
  resources: DisposableStack,
): Writer {
  try {
    if (!isReadOnly) resources.use(lockFile(`${file}-lock`, `store ${file}`));
    const database: DatabaseSync = isReadOnly ? openForReading(file) : openForWriting(file);
    resources.defer(() => database.close());
    if (isReadOnly) requireMigrated(database, file, migrations);
    else migrate(database, file, migrations, Date.now());
    const commit = new GroupCommit({ database, operations, file, isReadOnly });
    return {
      run: (batch) => commit.run(batch),
      finish: () => {
        if (!isReadOnly) database.exec("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
      },
    };
  } catch (error) {
    throw fromSqlite(error, file);
  }
}

/** Serves batches until the owner asks to close. */
function listen(port: MessagePort, writer: Writer, send: (message: FromWriter) => void) {
  return new Promise<void>((resolve) => {
    port.on("message", (message: ToWriter) => {
      if (message.type === "close") return resolve();
      const outcomes = writer.run(message.operations);
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
