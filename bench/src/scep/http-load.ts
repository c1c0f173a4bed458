import { Agent, request } from "node:http";

const PKI_MESSAGE = "application/x-pki-message";

/** A request that is fired, and what came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
  /** From the first octet sent to the last received. */
  readonly latencyMs: number;
}

/**
 * POSTs every body to `url`, `concurrency` at a time over kept connections. Answers in the order of the bodies; what
 * fails below HTTP has status 0 and the reason as its body.
 */
export async function fire(
  url: URL,
  bodies: readonly Buffer[],
  concurrency: number,
  contentType = PKI_MESSAGE,
): Promise<{ readonly answers: readonly HttpAnswer[]; readonly seconds: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const answers: HttpAnswer[] = new Array(bodies.length);
  let next = 0;
  const sender = async () => {
    while (next < bodies.length) {
      const index = next++;
      answers[index] = await post(agent, url, bodies[index] ?? Buffer.alloc(0), contentType);
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: concurrency }, sender));
  const seconds = (performance.now() - started) / 1000;
  agent.destroy();
  return { answers, seconds };
}

/** One POST over a kept connection. */
export function post(
  agent: Agent,
  url: URL,
  body: Buffer,
  contentType = PKI_MESSAGE,
): Promise<HttpAnswer> {
  const headers = { "content-type": contentType, "content-length": body.length };
  const started = performance.now();
  return new Promise((resolve) => {
    const settle = (status: number, answer: Buffer) =>
      resolve({ status, body: answer, latencyMs: performance.now() - started });
    const sent = request(url, { agent, method: "POST", headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => settle(response.statusCode ?? 0, Buffer.concat(chunks)));
      response.on("error", (error) => settle(0, Buffer.from(error.message)));
    });
    sent.on("error", (error) => settle(0, Buffer.from(error.message)));
    sent.end(body);
  });
}
