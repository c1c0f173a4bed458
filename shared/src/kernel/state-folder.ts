import { join } from "node:path";
import { lockFile } from "../store/file-lock.ts";
import { makeStateFolder } from "./state-files.ts";

/** Where each thing lies in a connector's state folder. */
export interface StateFolder {
  readonly path: string;
  readonly identityFile: string;
  readonly identityKeyFile: string;
  /** The key of an enrolment whose answer has not come yet. */
  readonly pendingKeyFile: string;
  readonly trustFile: string;
  readonly cloudCaFile: string;
  readonly storeFile: string;
  readonly lockFile: string;
  readonly controlSocket: string;
  /** Made once the service is ready, removed by a clean stop: `{ pid, healthUrl, ... }`. */
  readonly runFile: string;
}

export function stateFolderAt(path: string): StateFolder {
  return {
    path,
    identityFile: join(path, "identity.json"),
    identityKeyFile: join(path, "identity-key.pem"),
    pendingKeyFile: join(path, "enrolment-key.pem"),
    trustFile: join(path, "trust.json"),
    cloudCaFile: join(path, "cloud-ca.pem"),
    storeFile: join(path, "store.db"),
    lockFile: join(path, "lock"),
    controlSocket: join(path, "control.sock"),
    runFile: join(path, "run.json"),
  };
}

/**
 * Makes the folder where it is missing and holds it for this process. The lock goes with the process, so what a killed
 * one leaves behind is taken over without asking.
 *
 * @throws ConnectorError `store-in-use` while another process has it.
 */
export function holdStateFolder(folder: StateFolder): Disposable {
  makeStateFolder(folder.path);
  return lockFile(folder.lockFile, `state folder ${folder.path}`);
}
