import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import type { TestContext } from "vitest";
import { missing, peer } from "../../peers.ts";
import { runPeer } from "../run-peer.ts";

const PIN = "482913";
const SECURITY_OFFICER_PIN = "99887766";
/** Where distributions put the library. */
const MODULES = [
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib64/pkcs11/libsofthsm2.so",
];

function isInstalled(name: string): boolean {
  try {
    return createRequire(import.meta.url).resolve(name) !== "";
  } catch {
    return false;
  }
}

/** A token of SoftHSM in a folder of its own, and that folder for what else a test writes. */
export interface SoftToken extends Disposable {
  readonly folder: string;
  readonly module: string;
  readonly label: string;
  readonly pinFile: string;
  /** Takes the token out, as if the device lost its power; `putBack` undoes it. */
  takeOut(): void;
  putBack(): void;
}

/** SoftHSM reads where its tokens are from the environment, which the connector's own process for the module inherits. */
export async function softToken(context: TestContext): Promise<SoftToken> {
  const utility = peer("softhsm", context);
  if (!isInstalled("pkcs11js")) {
    missing("the npm package pkcs11js (built by npm ci with g++, make and python3)", context);
  }
  const module = MODULES.find((path) => existsSync(path)) ?? missing("SoftHSM's module", context);
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  mkdirSync(at("tokens"));
  writeFileSync(at("softhsm2.conf"), `directories.tokendir = ${at("tokens")}\nlog.level = ERROR\n`);
  const before = process.env["SOFTHSM2_CONF"];
  process.env["SOFTHSM2_CONF"] = at("softhsm2.conf");
  const label = "Isthmus";
  const pins = ["--so-pin", SECURITY_OFFICER_PIN, "--pin", PIN];
  await runPeer(utility, ["--init-token", "--free", "--label", label, ...pins]);
  writeFileSync(at("pin"), `${PIN}\n`, { mode: 0o600 });
  return {
    folder: folder.path,
    module,
    label,
    pinFile: at("pin"),
    takeOut: () => renameSync(at("tokens"), at("taken-out")),
    putBack: () => renameSync(at("taken-out"), at("tokens")),
    [Symbol.dispose]: () => {
      if (before === undefined) delete process.env["SOFTHSM2_CONF"];
      else process.env["SOFTHSM2_CONF"] = before;
      folder[Symbol.dispose]();
    },
  };
}

/** The processes of this one that own a PKCS#11 module. */
export function moduleProcesses(): number[] {
  const threads = readdirSync("/proc/self/task");
  const children = threads.flatMap((id) =>
    readFileSync(`/proc/self/task/${id}/children`, "utf8")
      .split(" ")
      .filter((pid) => pid !== ""),
  );
  return children.map(Number).filter((pid) => commandOf(pid).includes("pkcs11-process"));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
