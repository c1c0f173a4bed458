import type { KeyObject } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { openEnvelope } from "../protocol/envelope-opening.ts";
import type { FromEnvelopeWorker, ToEnvelopeWorker } from "./envelope-opener.ts";

/** A thread that opens envelopes with the RA's key. Started by `envelope-opener.ts`. */
const privateKey = workerData as KeyObject;

parentPort?.on("message", (envelopes: ToEnvelopeWorker) => {
  const opened: FromEnvelopeWorker = envelopes.map(({ id, sealed }) => {
    const { plaintext, isIntact } = openEnvelope(sealed, privateKey);
    return { id, plaintext: new Uint8Array(plaintext), isIntact };
  });
  parentPort?.postMessage(opened);
});
