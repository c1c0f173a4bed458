import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import { ConnectorError } from "@isthmus/shared/errors";
import { type HeldKey, isHeld, type SigningKey } from "@isthmus/shared/x509/signing-key";
import {
  type OpenedEnvelope,
  openEnvelope,
  openEnvelopeElsewhere,
  type SealedEnvelope,
} from "../protocol/envelope-opening.ts";
import { RawUnwrapping } from "../protocol/raw-unwrapping.ts";

/** Our own limit on envelopes that wait for a thread, about 4 KiB each. */
const MAX_WAITING = 1_000;

/** Opens envelopes with the RA's key. */
export interface EnvelopeOpener extends AsyncDisposable {
  /** Never fails for what is in the envelope. Throws ConnectorError `opener-busy` (retryable), `opener-died`. */
  open(sealed: SealedEnvelope): Promise<OpenedEnvelope>;
}

/** What goes to a thread and comes back, several at a time: crossing a thread costs as much for one as for ten. */
export type ToEnvelopeWorker = readonly { readonly id: number; readonly sealed: SealedEnvelope }[];
export type FromEnvelopeWorker = readonly (OpenedEnvelope & { readonly id: number })[];

/**
 * `threads` 0 opens on the calling thread, which then serves nothing else for about 0.6 ms an envelope. A key that is held
 * elsewhere needs none: its holder does the work. Throws ProtocolError `cms-recipient` if that key cannot decrypt.
 */
export function envelopeOpener(privateKey: SigningKey, threads: number): EnvelopeOpener {
  if (isHeld(privateKey)) return elsewhere(privateKey);
  return threads === 0 ? onThisThread(privateKey) : new ThreadedOpener(privateKey, threads);
}

function onThisThread(privateKey: KeyObject): EnvelopeOpener {
  return {
    open: async (sealed) => openEnvelope(sealed, privateKey),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function elsewhere(key: HeldKey): EnvelopeOpener {
  const unwrapping = new RawUnwrapping(key);
  return {
    open: (sealed) => openEnvelopeElsewhere(sealed, (of) => unwrapping.unwrap(of)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

interface Waiting {
  readonly resolve: (opened: OpenedEnvelope) => void;
  readonly reject: (error: Error) => void;
}

class ThreadedOpener implements EnvelopeOpener {
  readonly #privateKey: KeyObject;
  readonly #workers: Worker[];
  readonly #waiting = new Map<number, Waiting>();
  #gathered: { readonly id: number; readonly sealed: SealedEnvelope }[] = [];
  #lastId = 0;
  #next = 0;
  #isEnded = false;

  constructor(privateKey: KeyObject, threads: number) {
    this.#privateKey = privateKey;
    this.#workers = Array.from({ length: threads }, (_, index) => this.#start(index));
  }

  open(sealed: SealedEnvelope): Promise<OpenedEnvelope> {
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(
        new ConnectorError("opener-busy", `${MAX_WAITING} envelopes wait already`, {
          isRetryable: true,
        }),
      );
    }
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#gathered.push({ id, sealed: compact(sealed) });
      if (this.#gathered.length === 1) setImmediate(() => this.#send());
    });
  }

  /** Shares what came in one turn of the event loop among the threads. */
  #send(): void {
    const gathered = this.#gathered;
    this.#gathered = [];
    const share = Math.ceil(gathered.length / this.#workers.length);
    for (let first = 0; first < gathered.length; first += share) {
      this.#next = (this.#next + 1) % this.#workers.length;
      const some: ToEnvelopeWorker = gathered.slice(first, first + share);
      this.#workers[this.#next]?.postMessage(some);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    this.#rejectAll();
  }

  #start(index: number): Worker {
    const worker = new Worker(new URL("./envelope-worker.ts", import.meta.url), {
      workerData: this.#privateKey,
      execArgv: [],
    });
    worker.unref();
    worker.on("message", (opened: FromEnvelopeWorker) => {
      for (const { id, plaintext, isIntact } of opened) {
        this.#waiting.get(id)?.resolve({ plaintext: Buffer.from(plaintext.buffer), isIntact });
        this.#waiting.delete(id);
      }
    });
    // What waited at the thread that ended is lost: its devices ask again, and a new thread is there for them.
    worker.on("error", () => undefined);
    worker.on("exit", () => {
      if (this.#isEnded) return;
      this.#workers[index] = this.#start(index);
      this.#rejectAll();
    });
    return worker;
  }

  #rejectAll(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) {
      reject(new ConnectorError("opener-died", "the thread that opens envelopes ended"));
    }
  }
}

/** Copies the parts out of the message that they are views of: a view crosses a thread with all of its buffer. */
function compact(sealed: SealedEnvelope): SealedEnvelope {
  return {
    ...sealed,
    encryptedKey: new Uint8Array(sealed.encryptedKey),
    iv: new Uint8Array(sealed.iv),
    encryptedContent: new Uint8Array(sealed.encryptedContent),
  };
}
