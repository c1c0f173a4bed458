import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { WebSocket } from "ws";

/** A page of a real Chromium, by its DevTools protocol, for who uses a keyboard and allows no script. */

const START_MS = 60_000;

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
  readonly params?: Readonly<Record<string, unknown>>;
}

const KEY_CODES = { Tab: 9, Enter: 13, " ": 32 } as const;

export class BrowserPage implements AsyncDisposable {
  /** What the page's console says: errors, and what the Content-Security-Policy refused. */
  readonly messages: string[] = [];
  readonly #socket: WebSocket;
  readonly #resources: AsyncDisposableStack;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #sent = 0;
  #loads = 0;

  private constructor(socket: WebSocket, resources: AsyncDisposableStack) {
    this.#socket = socket;
    this.#resources = resources;
    socket.on("message", (data) => this.#receive(JSON.parse(String(data)) as Answer));
  }

  static async open(chromium: string): Promise<BrowserPage> {
    const resources = new AsyncDisposableStack();
    try {
      const profile = resources.use(temporaryFolder());
      const options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
      ];
      const own = ["--ignore-certificate-errors", "--remote-debugging-port=0"];
      const child = spawn(
        chromium,
        [...options, ...own, `--user-data-dir=${profile.path}`, "about:blank"],
        { stdio: "ignore" },
      );
      resources.defer(() => stop(child));
      const portFile = join(profile.path, "DevToolsActivePort");
      const port = await until(() => firstLineOf(portFile), "Chromium's port", START_MS);
      const address = await until(() => pageAddress(port), "Chromium's page", START_MS);
      const socket = new WebSocket(address);
      await once(socket, "open");
      resources.defer(() => socket.terminate());
      const page = new BrowserPage(socket, resources);
      for (const domain of ["Page", "Log", "Runtime"]) await page.#ask(`${domain}.enable`);
      await page.#ask("Emulation.setScriptExecutionDisabled", { value: true });
      return page;
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  async visit(url: string): Promise<void> {
    await this.#loading(() => this.#ask("Page.navigate", { url }));
  }

  /** Presses a key that leads to another page. */
  async follow(key: keyof typeof KEY_CODES): Promise<void> {
    await this.#loading(() => this.press(key));
  }

  async press(key: keyof typeof KEY_CODES): Promise<void> {
    const what = { key, windowsVirtualKeyCode: KEY_CODES[key] };
    const text = key === "Tab" ? {} : { text: key === "Enter" ? "\r" : key };
    await this.#ask("Input.dispatchKeyEvent", { type: "keyDown", ...what, ...text });
    await this.#ask("Input.dispatchKeyEvent", { type: "keyUp", ...what });
  }

  async type(text: string): Promise<void> {
    await this.#ask("Input.insertText", { text });
  }

  /** Tabs on until the element in focus says this, by its text or its label. */
  async tabTo(words: string): Promise<void> {
    for (let turn = 0; turn < 200; turn++) {
      if ((await this.read(FOCUSED)) === words) return;
      await this.press("Tab");
    }
    throw new Error(`no tab stop says ${words}`);
  }

  /** What an expression over the document is, as JSON carries it. */
  async read(expression: string): Promise<unknown> {
    const { result } = await this.#ask("Runtime.evaluate", { expression, returnByValue: true });
    return (result as { readonly value?: unknown } | undefined)?.value;
  }

  async #loading(act: () => Promise<unknown>): Promise<void> {
    const before = this.#loads;
    await act();
    await until(() => this.#loads > before, "the page", START_MS);
  }

  async #ask(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    this.#sent += 1;
    const id = this.#sent;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  #receive(answer: Answer): void {
    if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer);
    if (answer.method === "Page.loadEventFired") this.#loads += 1;
    if (answer.method === "Log.entryAdded") {
      const entry = answer.params?.["entry"] as { text: string; url?: string } | undefined;
      this.messages.push(`${entry?.url ?? ""} ${entry?.text ?? ""}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

const FOCUSED = `(() => { const focused = document.activeElement;
  return (focused.labels?.[0] ?? focused).textContent.trim().replace(/\\s+/g, " "); })()`;

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

function firstLineOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").split("\n")[0];
  } catch {
    return undefined;
  }
}

async function pageAddress(port: string): Promise<string | undefined> {
  const answer = await fetch(`http://127.0.0.1:${port}/json/list`);
  const targets = (await answer.json()) as { type: string; webSocketDebuggerUrl: string }[];
  return targets.find(({ type }) => type === "page")?.webSocketDebuggerUrl;
}
