import { request } from "node:https";
import { json } from "node:stream/consumers";
import type { Scene } from "./scene.ts";
import { TOKEN } from "./settings.ts";

export type Rows = readonly Readonly<Record<string, unknown>>[];

/** Asked of the simulator itself, past the line that was cut. */
export async function siteRows(scene: Scene, path: string): Promise<Rows> {
  const asked = request(`https://localhost:${scene.sitePort}/AdminService_TokenAuth/${path}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
    ca: scene.siteAuthority(),
  });
  const answer = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
    asked.once("response", resolve).once("error", reject).end();
  });
  return ((await json(answer)) as { value: Rows }).value;
}
