import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { ConnectorError } from "@isthmus/shared/errors";
import type { HostStep } from "./host-plan.ts";
import { deviceFlags } from "./network-device.ts";
import { readTunDevice, tunDeviceFault } from "./tun-device.ts";

/** Does the steps of a plan in order. @throws ConnectorError `host-setup-failed` with the command and what it said */
export function carryOut(steps: readonly HostStep[], note: (line: string) => void): void {
  for (const step of steps) {
    const { unlessDevice, ifDevice, unlessSet } = step;
    if (unlessDevice !== undefined && deviceFlags(unlessDevice.name) !== undefined) {
      requireFit(unlessDevice);
      note(`already there: ${unlessDevice.name}`);
      continue;
    }
    if (ifDevice !== undefined && deviceFlags(ifDevice) === undefined) {
      note(`gone already: ${ifDevice}`);
      continue;
    }
    if (unlessSet?.every(isSet)) {
      note(`already set: ${unlessSet.join(", ")}`);
      continue;
    }
    note(`${commandLine(step)}   # ${step.why}`);
    run(step);
  }
}

/** A plan as a shell script, for those who would rather read it and run it themselves. */
export function asScript(steps: readonly HostStep[]): string {
  const lines = steps.flatMap((step) => {
    const guarded = `${guardOf(step)}${commandLine(step)}`;
    const whole = step.input === undefined ? guarded : `${guarded} <<'RULES'\n${step.input}RULES`;
    return [`# ${step.why}`, whole];
  });
  return ["#!/bin/sh", "set -e", ...lines, ""].join("\n");
}

function guardOf({ unlessDevice, ifDevice, unlessSet }: HostStep): string {
  if (unlessDevice) return `test -e /sys/class/net/${unlessDevice.name} || `;
  if (ifDevice !== undefined) return `test ! -e /sys/class/net/${ifDevice} || `;
  if (!unlessSet) return "";
  const files = unlessSet.map((setting) => `/proc/sys/${setting}`).join(" ");
  // One that is not there is not set.
  return `test "$(cat ${files} | grep -cx 1)" = ${unlessSet.length} || `;
}

/** Whether a kernel setting, a path below /proc/sys, is 1. */
export function isSet(setting: string): boolean {
  try {
    return readFileSync(`/proc/sys/${setting}`, "utf8").trim() === "1";
  } catch {
    return false;
  }
}

/** What is there under a tunnel's name has to be that tunnel. @throws ConnectorError `host-setup-failed` */
function requireFit({ name, user }: { readonly name: string; readonly user: string }): void {
  const fault = tunDeviceFault(readTunDevice(name), userNumber(user));
  if (fault !== undefined) throw new ConnectorError("host-setup-failed", `${name}: ${fault}`);
}

/** @throws ConnectorError `host-setup-failed` where there is no such user */
export function userNumber(user: string): number {
  if (/^\d+$/.test(user)) return Number(user);
  const { status, stdout } = spawnSync("id", ["-u", user], { encoding: "utf8" });
  if (status === 0) return Number(stdout);
  throw new ConnectorError("host-setup-failed", `there is no user ${user}: name another by --user`);
}

function run(step: HostStep): void {
  const [program = "", ...words] = step.command;
  const { status, error, stderr } = spawnSync(program, words, {
    input: step.input ?? "",
    encoding: "utf8",
  });
  if (status === 0) return;
  throw new ConnectorError(
    "host-setup-failed",
    `${commandLine(step)}: ${reasonOf(program, error, stderr)}`,
  );
}

function reasonOf(program: string, error: Error | undefined, stderr: string | null): string {
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") {
    const debian = program === "nft" ? "nftables" : program === "ip" ? "iproute2" : "procps";
    return `${program} is not installed (Debian: apt-get install ${debian})`;
  }
  const said = (stderr ?? "").trim() || error?.message || "failed";
  return /not permitted|denied/i.test(said) ? `${said}; host-setup needs root` : said;
}

function commandLine(step: HostStep): string {
  return step.command.join(" ");
}
