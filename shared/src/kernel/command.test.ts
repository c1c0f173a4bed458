import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { ConfigurationError, ConnectorError, RefusalError } from "../errors.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { type CliCommand, type CommandLine, runCommandLine } from "./command.ts";

const greet: CliCommand = {
  name: "greet",
  summary: "say hello",
  options: {
    name: { type: "string", summary: "whom", valueName: "NAME", isRequired: true },
    tone: { type: "string", summary: "how", values: ["warm", "cold"], default: "warm" },
    with: { type: "string", summary: "what", isRepeatable: true },
    loud: { type: "boolean", summary: "in capitals" },
  },
  positionals: [{ name: "place", summary: "where", isOptional: true }],
  async run(call) {
    call.note("greeting");
    const said = {
      name: call.required("name"),
      tone: call.text("tone"),
      with: call.list("with"),
      isLoud: call.flag("loud"),
      places: call.positionals,
    };
    return { text: `hello ${said.name}`, value: said };
  },
};

function failing(error: unknown): CliCommand {
  return {
    name: "fail",
    summary: "fail",
    async run() {
      throw error;
    },
  };
}

function line(...commands: CliCommand[]): CommandLine {
  return { name: "prog", summary: "A program.", version: "1.2.3", commands };
}

async function run(commandLine: CommandLine, ...arguments_: string[]) {
  const output = { stdout: "", stderr: "" };
  const collect = (stream: keyof typeof output) =>
    new Writable({
      write(chunk, _encoding, done) {
        output[stream] += chunk;
        done();
      },
    });
  const streams = { stdout: collect("stdout"), stderr: collect("stderr") };
  const exitCode = await runCommandLine(commandLine, arguments_, streams);
  return { exitCode, ...output };
}

const nested = line(greet, { name: "deep", summary: "holds more", commands: [greet] });

test("a command gets its options and prints its text", async () => {
  const said = await run(nested, "greet", "--name", "Ada", "--with", "a", "--with", "b", "here");
  expect(said).toEqual({ exitCode: 0, stdout: "hello Ada\n", stderr: "greeting\n" });
});

test("with --json its value is printed, wherever the flag stands", async () => {
  for (const words of [
    ["--json", "deep", "greet", "--name", "Ada", "--loud"],
    ["deep", "greet", "--name", "Ada", "--loud", "--json"],
  ]) {
    const { stdout } = await run(nested, ...words);
    const value = { name: "Ada", tone: "warm", with: [], isLoud: true, places: [] };
    expect(JSON.parse(stdout)).toEqual(value);
  }
});

test("--help is there at each level and names what may follow", async () => {
  expect((await run(nested, "--help")).stdout).toMatch(/Commands:\n {2}greet .*\n {2}deep /);
  expect((await run(nested, "deep", "--help")).stdout).toContain("Usage: prog deep <command>");
  const { stdout, exitCode } = await run(nested, "deep", "greet", "-h");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("Usage: prog deep greet --name NAME [options] [place]");
  expect(stdout).toContain("how (one of warm, cold; default warm)");
});

test("--version prints the version", async () => {
  expect((await run(nested, "--version")).stdout).toBe("1.2.3\n");
});

test.each([
  [[], "prog needs a command; there are: greet, deep, completion"],
  [["deep"], "prog deep needs a command; there are: greet"],
  [["gret"], 'prog has no command "gret"'],
  [["--name", "A", "greet"], "prog needs a command before --name; there are: greet, deep"],
  [["deep", "--name=A"], "prog deep needs a command before --name; there are: greet"],
  [["greet"], "prog greet needs --name"],
  [["greet", "--name"], "prog greet: Option '--name <value>' argument missing"],
  [["greet", "--name", "A", "--tone", "hot"], "--tone is hot, expected warm or cold"],
  [
    ["greet", "--name", "A", "--nam", "B"],
    "prog greet: Unknown option '--nam'; there are: --name, ",
  ],
  [["greet", "--name", "A", "here", "there"], 'prog greet does not take "there"'],
  [["completion", "tcsh"], 'no completion for "tcsh"'],
])("%j is wrong usage, exit code 2", async (words, message) => {
  const { exitCode, stdout, stderr } = await run(nested, ...words);
  expect(exitCode).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(message);
});

test("an error is one sentence with its code on stderr, and exit code 1", async () => {
  const error = new ConnectorError("too-late", "it is too late");
  const said = await run(line(failing(error)), "fail");
  expect(said).toEqual({ exitCode: 1, stdout: "", stderr: "prog: it is too late [too-late]\n" });
});

test.each([
  [new ConnectorError("late", "m"), { code: "late", message: "m", isRetryable: false }],
  [new RefusalError("no", "rule.x", "m"), { code: "no", message: "m", rule: "rule.x" }],
  [new ConfigurationError("f", ["a: b"]), { code: "configuration-invalid", faults: ["a: b"] }],
  [new Error("surprise"), { code: "internal" }],
])("with --json %s is an object on stdout", async (error, expected) => {
  const { stdout, exitCode } = await run(line(failing(error)), "fail", "--json");
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout).error).toMatchObject(expected);
});

test("an answer may say that what was asked for failed", async () => {
  const check: CliCommand = {
    name: "check",
    summary: "check",
    run: async () => ({ text: "bad", value: { isWell: false }, exitCode: 1 }),
  };
  expect(await run(line(check), "check")).toMatchObject({ exitCode: 1, stdout: "bad\n" });
});

test("the bash script completes subcommands, options and their values", async () => {
  using folder = temporaryFolder();
  const script = join(folder.path, "completion.bash");
  writeFileSync(script, (await run(nested, "completion", "bash")).stdout);
  const complete = (...words: string[]) => {
    const list = words.map((word) => `'${word}'`).join(" ");
    const commands = `source ${script}; COMP_WORDS=(prog ${list}); COMP_CWORD=${words.length}; _prog; echo "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", commands], { encoding: "utf8" }).trim().split(" ");
  };
  expect(complete("de")).toEqual(["deep"]);
  expect(complete("deep", "g")).toEqual(["greet"]);
  expect(complete("deep", "greet", "--l")).toEqual(["--loud"]);
  expect(complete("greet", "--tone", "")).toEqual(["warm", "cold"]);
  expect(complete("comp")).toEqual(["completion"]);
});

test("zsh and fish scripts name every subcommand", async () => {
  const zsh = (await run(nested, "completion", "zsh")).stdout;
  expect(zsh).toMatch(/^#compdef prog\n/);
  const fish = (await run(nested, "completion", "fish")).stdout;
  expect(fish).toContain("-n '__fish_use_subcommand' -f -a deep -d 'holds more'");
  expect(fish).toContain("-l tone -r -f -a 'warm cold'");
});
