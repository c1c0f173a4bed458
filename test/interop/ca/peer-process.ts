import { type ChildProcess, spawn } from "node:child_process";
import {
  type OutboundAnswer,
  OutboundHttp,
  type OutboundRequest,
} from "@isthmus/shared/kernel/outbound-http";
import { until } from "@isthmus/shared/testing/until";

const START_TIMEOUT_MS = 60_000;

/** A foreign server as a process of its own, with what it printed. */
export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #output = "";

  constructor(path: string, words: readonly string[], folder: string) {
    this.#child = spawn(path, words, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
      });
    }
    this.#ended = new Promise((resolve) => this.#child.once("close", () => resolve()));
  }

  get output(): string {
    return this.#output;
  }

  /** Waits until it answers with a status below 500. */
  async answers(url: string, of: Partial<OutboundRequest>, trusted?: string): Promise<void> {
    await until(
      async () => {
        if (this.#child.exitCode !== null) throw new Error(`the peer ended:\n${this.#output}`);
        const answer = await ask(url, of, trusted).catch(() => undefined);
        return answer !== undefined && answer.status < 500;
      },
      `an answer of ${url}`,
      START_TIMEOUT_MS,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#ended;
  }
}

/** One request of the test itself. */
export async function ask(
  url: string,
  of: Partial<OutboundRequest>,
  trusted?: string,
  client?: { readonly certificate: string; readonly key: string },
): Promise<OutboundAnswer> {
  using http = new OutboundHttp({
    urls: [url],
    timeoutMs: 10_000,
    maxAnswerBytes: 1_048_576,
    trusted,
    client,
  });
  return await http.send({ method: "GET", path: "", ...of });
}
