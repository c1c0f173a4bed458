import { systemClock } from "@isthmus/shared/clock";
import { runUntilStopped } from "@isthmus/shared/kernel/lifetime";
import { makeLog } from "@isthmus/shared/kernel/log";
import { SignerServer } from "../signer/signer-server.ts";

/** Runs the signer until it is told to stop, or until its stdin ends where a control plane started it. */
export function runSigner(of: {
  readonly stateFolder: string;
  readonly socket: string;
  readonly logLevel: string;
  readonly isUntilStdinEnds: boolean;
}): Promise<number> {
  const { stateFolder, socket } = of;
  const log = makeLog("signer", of.logLevel);
  return runUntilStopped(async ({ resources, fail }) => {
    const settings = { stateFolder, socket, clock: systemClock, log };
    const server = resources.use(await SignerServer.start(settings));
    void server.failed.then(fail);
    log.info({ pid: process.pid, socket }, "signer.ready");
    if (!of.isUntilStdinEnds) return;
    process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
    process.stdin.resume();
    // A pipe that is read keeps the process alive.
    resources.defer(() => void process.stdin.destroy());
  }, log);
}
