import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A Debian service starts as soon as its package is installed, unless this program says no. */
const POLICY_FILE = "/usr/sbin/policy-rc.d";
const POLICY_FORBIDS = "#!/bin/sh\nexit 101\n";

const APT_TIMEOUT_MS = 600_000;
const APT_OPTIONS = [
  "-o=Acquire::Retries=2",
  "-o=Acquire::http::Timeout=30",
  "-o=DPkg::Lock::Timeout=120",
];

/** Whether packages can be installed here: root, on a Debian-like machine. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
}

/** Installs packages without one question and without starting any service. Returns what went wrong, or undefined. */
export function install(packages: readonly string[]): string | undefined {
  if (packages.length === 0) return undefined;
  using _ = noServices();
  refreshLists();
  return apt(["install", "-y", "--no-install-recommends", "--no-upgrade", ...packages]);
}

/**
 * Takes one file out of a package without installing it, because the package would upgrade half of systemd with it.
 * Returns what went wrong, or undefined.
 */
export function extract(packageName: string, member: string, target: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-setup-"));
  try {
    refreshLists();
    const failure = apt(["download", packageName], folder);
    const archive = readdirSync(folder).find((file) => file.endsWith(".deb"));
    if (archive === undefined) return failure ?? `${packageName} was not downloaded`;
    const unpacked = run("dpkg-deb", ["-x", join(folder, archive), folder], folder);
    if (unpacked !== undefined) return unpacked;
    mkdirSync(dirname(target), { recursive: true });
    return run("cp", [join(folder, member), target], folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Unpacks packages of another release into a folder, without installing them and without a trace in the system's sources.
 * Returns what went wrong, or undefined.
 */
export function extractFrom(
  source: string,
  packages: readonly string[],
  target: string,
): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-setup-"));
  const list = join(folder, "sources.list");
  const lists = join(folder, "lists");
  try {
    writeFileSync(list, `${source}\n`);
    mkdirSync(join(lists, "partial"), { recursive: true });
    const own = [
      `-o=Dir::Etc::sourcelist=${list}`,
      "-o=Dir::Etc::sourceparts=-",
      `-o=Dir::State::lists=${lists}`,
      "-o=APT::Sandbox::User=root",
    ];
    const failure =
      apt([...own, "update", "-qq"]) ?? apt([...own, "download", ...packages], folder);
    if (failure !== undefined) return failure;
    mkdirSync(target, { recursive: true });
    return readdirSync(folder)
      .filter((file) => file.endsWith(".deb"))
      .map((file) => run("dpkg-deb", ["-x", join(folder, file), target], folder))
      .find((unpacked) => unpacked !== undefined);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Forbids services to start until the end of the block, also when the run is stopped by Ctrl-C. */
function noServices(): Disposable {
  if (existsSync(POLICY_FILE)) return { [Symbol.dispose]: () => {} };
  writeFileSync(POLICY_FILE, POLICY_FORBIDS, { mode: 0o755 });
  const remove = () => rmSync(POLICY_FILE, { force: true });
  const stop = () => {
    remove();
    process.exit(130);
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  return {
    [Symbol.dispose]: () => {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      remove();
    },
  };
}

let areListsFresh = false;

/** A failing third-party source is no reason to stop: what is missing then shows at the installation. */
function refreshLists(): void {
  if (!areListsFresh) apt(["update", "-qq"]);
  areListsFresh = true;
}

function apt(words: readonly string[], folder = "/"): string | undefined {
  return run("apt-get", [...APT_OPTIONS, ...words], folder);
}

function run(command: string, words: readonly string[], folder: string): string | undefined {
  const done = spawnSync(command, words, {
    cwd: folder,
    encoding: "utf8",
    timeout: APT_TIMEOUT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "a" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (done.status === 0) return undefined;
  const lines = `${done.stdout ?? ""}${done.stderr ?? ""}`.trim().split("\n").slice(-5).join("\n");
  return `${command} ${words.join(" ")} failed: ${done.error?.message ?? lines}`;
}
