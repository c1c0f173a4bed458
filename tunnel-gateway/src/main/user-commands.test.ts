import { PassThrough, Readable, Writable } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { expect, test } from "vitest";
import { verifyPassword } from "../directory/password-hash.ts";
import { parseOneTimeSecret } from "../protocol/one-time-password.ts";
import type { Terminal } from "./read-password.ts";
import { userCommands } from "./user-commands.ts";

async function run(words: readonly string[], input: Terminal) {
  const written = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof written) =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += String(chunk);
        done();
      },
    });
  const streams = { stdout: stream("stdout"), stderr: stream("stderr") };
  const line = {
    name: "tunnel-gateway",
    summary: "",
    version: "1",
    commands: userCommands(() => input),
  };
  return { exitCode: await runCommandLine(line, words, streams), ...written };
}

const piped = (text: string) => Readable.from([Buffer.from(text)]) as Terminal;

/** A terminal that types when it is asked, and counts how it was switched. */
function terminal(...lines: readonly string[]) {
  const input = new PassThrough();
  const modes: boolean[] = [];
  const typing = Object.assign(input, {
    isTTY: true,
    setRawMode: (isRaw: boolean) => modes.push(isRaw),
  });
  input.write(lines.map((line) => `${line}\r`).join(""));
  return { input: typing, modes };
}

test("a password from a pipe is hashed, its first line alone and as it stands", async () => {
  const { exitCode, stdout, stderr } = await run(
    ["hash-password"],
    piped(" correct horse \r\nmore\n"),
  );
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^scrypt\$.*\n$/);
  expect(await verifyPassword(" correct horse ", stdout.trim())).toBe(true);
});

test("with --json there is an object, and no two hashes are the same", async () => {
  const hash = async () => (await run(["hash-password", "--json"], piped("p"))).stdout;
  const [one, other] = [JSON.parse(await hash()), JSON.parse(await hash())];
  expect(Object.keys(one)).toEqual(["passwordHash"]);
  expect(one.passwordHash).not.toBe(other.passwordHash);
});

test("a terminal is asked twice, shows nothing, and is as it was afterwards", async () => {
  const { input, modes } = terminal("pässx\u007f", "päss");
  const { exitCode, stdout, stderr } = await run(["hash-password"], input);
  expect(exitCode).toBe(0);
  expect(await verifyPassword("päss", stdout.trim())).toBe(true);
  expect(stderr).not.toContain("ss" + "x");
  expect(modes).toEqual([true, false]);
});

test.each([
  ["two that differ", ["one", "other"], "password-unusable"],
  ["nothing", ["", ""], "password-unusable"],
  ["Ctrl-C", ["on\u0003"], "interrupted"],
])("%s at a terminal is no password, and the terminal is as it was", async (_what, lines, code) => {
  const { input, modes } = terminal(...lines);
  const { exitCode, stderr } = await run(["hash-password"], input);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`[${code}]`);
  expect(modes).toEqual([true, false]);
});

test.each([
  [1, 0],
  [1_024, 0],
  [1_025, 1],
])("a password of %i characters: exit code %i", async (length, expected) => {
  const { exitCode } = await run(["hash-password"], piped("p".repeat(length)));
  expect(exitCode).toBe(expected);
});

test("an empty pipe is no password", async () => {
  const { stderr } = await run(["hash-password"], piped("\n"));
  expect(stderr).toContain("[password-unusable]");
});

test("a secret is printed for the file and for the app, another each time", async () => {
  const words = ["totp-secret", "alice@contoso.example", "--issuer", "Contoso VPN", "--json"];
  const make = async () => JSON.parse((await run(words, piped(""))).stdout);
  const { user, secret, url } = await make();
  expect(user).toBe("alice@contoso.example");
  expect(parseOneTimeSecret(secret)).toHaveLength(20);
  expect(new URL(url).searchParams.get("secret")).toBe(secret);
  expect(new URL(url).searchParams.get("issuer")).toBe("Contoso VPN");
  expect((await make()).secret).not.toBe(secret);
  const { stdout } = await run(["totp-secret", "bob"], piped(""));
  expect(stdout).toMatch(
    /^[A-Z2-7]{32}\notpauth:\/\/totp\/VPN:bob\?secret=[A-Z2-7]{32}&issuer=VPN\n$/,
  );
});

test.each([
  [["totp-secret"]],
  [["totp-secret", ""]],
  [["totp-secret", "u".repeat(257)]],
  [["totp-secret", "a\tb"]],
])("%j is wrong usage", async (words) => {
  expect((await run(words, piped(""))).exitCode).toBe(2);
});
