import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What MIT's library says of a token; `token` is its own for the client, in base64. */
export type Acceptance =
  | { readonly user: string; readonly bound: boolean; readonly token?: string }
  | { readonly error: string; readonly token?: string };

/** The server's side of Kerberos, a process of its own: the library in ours is the one under test. */
export interface GssAcceptor extends AsyncDisposable {
  /** `token` in base64, `channel` the application data of its bindings. Questions are answered in their order. */
  accept(token: string, channel: Uint8Array | undefined): Promise<Acceptance>;
}

/** Needs Debian's python3-gssapi. */
export function startGssAcceptor(of: {
  readonly keytabFile: string;
  readonly krb5ConfigFile: string;
}): GssAcceptor {
  const process = spawn("/usr/bin/python3", [join(import.meta.dirname, "gss-acceptor.py")], {
    stdio: ["pipe", "pipe", "inherit"],
    // Without a replay cache: a token that is shown twice is a matter of the test.
    env: { KRB5_KTNAME: of.keytabFile, KRB5_CONFIG: of.krb5ConfigFile, KRB5RCACHENAME: "none:" },
  });
  const waiting: PromiseWithResolvers<Acceptance>[] = [];
  createInterface(process.stdout).on("line", (line) =>
    waiting.shift()?.resolve(JSON.parse(line) as Acceptance),
  );
  const ended = new Promise<void>((resolve) => process.once("exit", () => resolve()));
  void ended.then(() => {
    for (const { reject } of waiting) reject(new Error("the acceptor has ended"));
  });
  return {
    accept: (token, channel) => {
      const answer = Promise.withResolvers<Acceptance>();
      waiting.push(answer);
      process.stdin.write(`${token} ${channel ? Buffer.from(channel).toString("hex") : "-"}\n`);
      return answer.promise;
    },
    [Symbol.asyncDispose]: async () => {
      process.stdin.end();
      await ended;
    },
  };
}
