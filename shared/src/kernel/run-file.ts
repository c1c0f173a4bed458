import { z } from "zod";
import { fileAsRead } from "./file-as-read.ts";
import { readStateFile, removeStateFile, writeFileAtomically } from "./state-files.ts";

const runFile = z.looseObject({
  pid: z.number(),
  startedAt: z.number(),
  healthUrl: z.string(),
  /** What was read at the start. */
  files: z.array(fileAsRead).readonly().optional(),
});

/** What `run.json` says of a running process: its listeners' addresses besides these. */
export type RunFile = z.infer<typeof runFile>;

/** Says where a process that is ready can be reached; removed again when disposed. */
export function writeRunFile(file: string, content: RunFile): AsyncDisposable {
  writeFileAtomically(file, `${JSON.stringify(content, null, 2)}\n`);
  return { [Symbol.asyncDispose]: () => removeStateFile(file) };
}

/** The file of a process that runs, or of one that was killed; undefined where there is none or it is damaged. */
export function readRunFile(file: string): RunFile | undefined {
  try {
    return runFile.parse(JSON.parse(readStateFile(file) ?? ""));
  } catch {
    return undefined;
  }
}
