import { Agent, get } from "node:http";
import { answerWith } from "../process/answering.ts";

/** Relying parties that fetch a list, in a process of their own. */

const handlers = {
  download: async ({
    url,
    count,
    concurrency,
  }: {
    url: string;
    count: number;
    concurrency: number;
  }): Promise<{ readonly seconds: number; readonly bytes: number }> => {
    const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
    let left = count;
    let bytes = 0;
    const client = async () => {
      while (left > 0) {
        left -= 1;
        bytes += await fetchOnce(agent, url);
      }
    };
    const started = performance.now();
    await Promise.all(Array.from({ length: concurrency }, client));
    agent.destroy();
    return { seconds: (performance.now() - started) / 1_000, bytes };
  },
};
export type DownloadProgram = typeof handlers;
answerWith(handlers);

/** How many bytes came. */
function fetchOnce(agent: Agent, url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on("error", reject);
      response.on("end", () =>
        response.statusCode === 200
          ? resolve(bytes)
          : reject(new Error(`${url}: HTTP ${response.statusCode}`)),
      );
    }).on("error", reject);
  });
}
