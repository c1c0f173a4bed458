import { writeFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { runCommandLine } from "@isthmus/shared/kernel/command";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { serviceCommands } from "./service-commands.ts";

async function run(words: readonly string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const exitCode = await runCommandLine(
    { name: "cert-connector", summary: "", version: "1", commands: serviceCommands },
    words,
    { stdout, stderr },
  );
  return { exitCode, stdout: String(stdout.read()), stderr: String(stderr.read()) };
}

test.each(["zz", "", "0".repeat(41)])("revoke --serial %j is wrong usage", async (serial) => {
  const { exitCode, stderr } = await run(["revoke", "--config", "none.json", `--serial=${serial}`]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(`--serial ${serial}: expected up to 40 hexadecimal`);
});

test.each(["laptop-1", "0", "1.5", "1e3"])("request approve %j is wrong usage", async (id) => {
  const { exitCode, stderr } = await run(["request", "approve", "--config", "none.json", id]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("expected the number that `request list` shows");
});

test("challenge makes none for a profile that is not configured, and names those that are", async () => {
  using folder = temporaryFolder();
  const config = `${folder.path}/config.json`;
  const desired = `${folder.path}/desired.json`;
  const local = {
    stateFolder: "state",
    standalone: { desiredConfigurationFile: "desired.json" },
    ca: { folder: "ca", passphraseFile: "passphrase" },
  };
  const profiles = ["laptops", "phones"].map((id) => ({ id, challenge: { kind: "signed" } }));
  writeFileSync(config, JSON.stringify(local));
  writeFileSync(desired, JSON.stringify({ version: 1, configuration: { profiles } }));
  const challenge = (profile: string) =>
    run(["challenge", "--config", config, "--profile", profile, "--device", "d1"]);
  const refused = await challenge("nope");
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('no profile "nope"; there are: laptops, phones');
  expect(await challenge("phones")).toMatchObject({ exitCode: 0, stderr: "null" });
  const words = [
    "challenge",
    "--config",
    config,
    "--profile",
    "phones",
    "--device",
    "d1",
    "--json",
  ];
  const { stdout } = await run([...words, "--attribute", "Device_Serial=5CG1=2"]);
  expect(JSON.parse(stdout)).toMatchObject({ attributes: { Device_Serial: "5CG1=2" } });
  for (const attribute of ["Nothing=1", "SerialNumber", "SerialNumber="]) {
    expect((await run([...words, "--attribute", attribute])).exitCode).toBe(2);
  }
  // Longer than 7 days would be refused when the device comes.
  expect((await run([...words, "--minutes", "10080"])).exitCode).toBe(0);
  for (const minutes of ["10081", "0", "1e300"]) {
    expect((await run([...words, "--minutes", minutes])).exitCode).toBe(2);
  }
  writeFileSync(desired, "{");
  expect(await challenge("nope")).toMatchObject({ exitCode: 0 });
});
