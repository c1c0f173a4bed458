import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import type { Answer, ControlPlaneFixture } from "../main/control-plane-fixture.ts";

/** For tests: somebody who reads the console's pages as a browser does, without a script. */

const FORM = "application/x-www-form-urlencoded";
const UNESCAPED: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

export interface FollowedPage {
  readonly text: () => string;
  readonly isEnded: () => boolean;
  /** It was ended without its end. */
  readonly isCut: () => boolean;
  readonly leave: () => void;
}

export class ConsoleBrowser {
  readonly #plane: ControlPlaneFixture;
  #cookie = "";

  constructor(plane: ControlPlaneFixture) {
    this.#plane = plane;
  }

  async signIn(userName: string, password: string, next?: string): Promise<Answer> {
    const answer = await this.submit("/sign-in", { userName, password, ...(next && { next }) });
    const [cookie = ""] = answer.headers["set-cookie"] ?? [];
    this.#cookie = cookie.split(";", 1)[0] ?? "";
    return answer;
  }

  get(path: string): Promise<Answer> {
    return this.#plane.send(path, { headers: { cookie: this.#cookie } });
  }

  /** The page at this address, as HTML; throws where it is none. */
  async page(path: string, status = 200): Promise<string> {
    const answer = await this.get(path);
    if (answer.status === status) return answer.body;
    throw new Error(`${path} answered ${answer.status}, not ${status}: ${answer.body}`);
  }

  /** A page that is written as things happen, as far as it has come. */
  async follow(path: string): Promise<FollowedPage> {
    const ca = readFileSync(join(this.#plane.folder, "ca.pem"));
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { cookie: this.#cookie };
      request(`${this.#plane.url}${path}`, { ca, agent: false, headers }, resolve)
        .on("error", reject)
        .end();
    });
    let text = "";
    let isEnded = false;
    response.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    response.on("end", () => {
      isEnded = true;
    });
    response.on("error", () => {});
    return {
      text: () => text,
      isEnded: () => isEnded,
      isCut: () => response.closed && !isEnded,
      leave: () => response.destroy(),
    };
  }

  submit(
    path: string,
    values: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const body = new URLSearchParams(values).toString();
    const all = { "content-type": FORM, cookie: this.#cookie, ...headers };
    return this.#plane.send(path, { method: "POST", body, headers: all });
  }
}

/** Where the link with this text leads. */
export function linkIn(page: string, words: string): string {
  const found = [...page.matchAll(/<a [^>]*href="([^"]*)"[^>]*>([^<]*)<\/a>/g)].find(
    ([, , text]) => text === words,
  );
  if (found === undefined) throw new Error(`no link ${words} in ${page}`);
  return unescaped(found[1] ?? "");
}

/** Names and values of the hidden fields of a page. */
export function hiddenIn(page: string): Record<string, string> {
  const fields = page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g);
  return Object.fromEntries(
    [...fields].map(([, name = "", value = ""]) => [name, unescaped(value)]),
  );
}

/** Text of each cell of the rows of the page's tables, without markup. */
export function rowsIn(page: string): string[][] {
  const bodies = [...page.matchAll(/<tbody>(.*?)<\/tbody>/gs)].map(([, body = ""]) => body);
  return bodies.flatMap((body) =>
    body
      .split("</tr>")
      .slice(0, -1)
      .map((row) =>
        [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell = ""]) =>
          unescaped(cell.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ")).trim(),
        ),
      ),
  );
}

function unescaped(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|#39);/g, (sign) => UNESCAPED[sign] ?? sign);
}
