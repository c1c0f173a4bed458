import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";

const execute = promisify(execFile);
const TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 16 * 1_048_576;

/** Addresses of the three machines that the namespaces play. */
export const LAB = {
  client: { ipv4: "10.99.1.2", ipv6: "fd99:1::2" },
  gateway: {
    ipv4: "10.99.1.1",
    ipv6: "fd99:1::1",
    insideIpv4: "10.99.2.1",
    insideIpv6: "fd99:2::1",
  },
  internal: {
    ipv4: "10.99.2.2",
    ipv6: "fd99:2::2",
    network: "10.99.2.0/24",
    ipv6Network: "fd99:2::/64",
  },
} as const;

const MACHINES = ["client", "gateway", "internal"] as const;
export type Machine = (typeof MACHINES)[number];

/** Why no lab can be made here; undefined where one can. */
export function labObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  return existsSync("/dev/net/tun") ? undefined : "there is no /dev/net/tun";
}

/**
 * Three network namespaces in a row: client - gateway - internal, joined by veth pairs, both address families, no way to
 * anything else. What runs in them is ended when the lab is disposed of.
 */
export class Lab implements AsyncDisposable {
  readonly #prefix: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** `prefix` tells labs apart that exist at once: at most 8 letters and digits. */
  static async make(prefix: string): Promise<Lab> {
    const lab = new Lab(prefix);
    await lab.#remove();
    for (const machine of MACHINES) {
      await execute("ip", ["netns", "add", lab.namespace(machine)]);
      await lab.ip(machine, "link set lo up");
      await lab.run(machine, [
        "sysctl",
        "-qw",
        "net.ipv6.conf.default.accept_dad=0",
        "net.ipv6.conf.all.accept_dad=0",
      ]);
    }
    await lab.#join("client", "outside", "gateway", "outside");
    await lab.#join("gateway", "inside", "internal", "inside");
    const { client, gateway, internal } = LAB;
    await lab.#address("client", "outside", client.ipv4, client.ipv6);
    await lab.#address("gateway", "outside", gateway.ipv4, gateway.ipv6);
    await lab.#address("gateway", "inside", gateway.insideIpv4, gateway.insideIpv6);
    await lab.#address("internal", "inside", internal.ipv4, internal.ipv6);
    const forwarding = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
    await lab.run("gateway", ["sysctl", "-qw", ...forwarding]);
    await lab.ip("internal", `route add default via ${gateway.insideIpv4}`);
    await lab.ip("internal", `-6 route add default via ${gateway.insideIpv6}`);
    return lab;
  }

  /** Why no lab of that name can be made now: making one takes the namespaces of the same name from whoever is in them. */
  static async occupied(prefix: string): Promise<string | undefined> {
    const lab = new Lab(prefix);
    for (const machine of MACHINES) {
      const name = lab.namespace(machine);
      const { stdout } = await execute("ip", ["netns", "pids", name]).catch(() => ({ stdout: "" }));
      const pids = stdout.trim().split(/\s+/).join(", ");
      if (pids !== "") return `the namespace ${name} is in use by the processes ${pids}`;
    }
    return undefined;
  }

  namespace(machine: Machine): string {
    return `${this.#prefix}-${machine}`;
  }

  /** `ip` with words of one line, in a machine's namespace. */
  async ip(machine: Machine, line: string): Promise<string> {
    const { stdout } = await execute("ip", ["-n", this.namespace(machine), ...line.split(" ")]);
    return stdout;
  }

  /** Runs a program on a machine to its end; throws with what it printed where its exit code is not 0. */
  async run(machine: Machine, words: readonly string[], timeoutMs = TIMEOUT_MS): Promise<string> {
    const options = { timeout: timeoutMs, maxBuffer: MAX_OUTPUT_BYTES };
    try {
      const { stdout } = await execute("ip", this.#in(machine, words), options);
      return stdout;
    } catch (error) {
      const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
      throw new Error(`on ${machine}: ${words.join(" ")} failed:\n${stdout}${stderr}`, {
        cause: error,
      });
    }
  }

  /** How many sockets listen on a TCP port of a machine. */
  async listeners(machine: Machine, port: number): Promise<number> {
    const shown = await this.run(machine, ["ss", "-Hltn", `sport = :${port}`]);
    return shown.split("\n").filter((line) => line.includes("LISTEN")).length;
  }

  /** Starts a program on a machine; `ip netns exec` becomes that program, so its pid is the program's. */
  start(
    machine: Machine,
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): ChildProcess {
    const child = spawn("ip", this.#in(machine, words), {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    child.once("error", () => this.#children.delete(child));
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = [...this.#children].map((child) => endChild(child));
    await Promise.all(ended);
    await this.#remove();
  }

  #in(machine: Machine, words: readonly string[]): string[] {
    return ["netns", "exec", this.namespace(machine), ...words];
  }

  async #join(left: Machine, leftName: string, right: Machine, rightName: string): Promise<void> {
    const ends = [
      leftName,
      "netns",
      this.namespace(left),
      "type",
      "veth",
      "peer",
      "name",
      rightName,
    ];
    await execute("ip", ["link", "add", "name", ...ends, "netns", this.namespace(right)]);
  }

  async #address(machine: Machine, device: string, ipv4: string, ipv6: string): Promise<void> {
    await this.ip(machine, `addr add ${ipv4}/24 dev ${device}`);
    await this.ip(machine, `addr add ${ipv6}/64 dev ${device} nodad`);
    await this.ip(machine, `link set ${device} up`);
  }

  async #remove(): Promise<void> {
    for (const machine of MACHINES) {
      await execute("ip", ["netns", "del", this.namespace(machine)]).catch(() => undefined);
    }
  }
}

const END_TIMEOUT_MS = 5_000;

/** SIGTERM, and SIGKILL where that is not heeded. */
export async function endChild(
  child: ChildProcess,
  signal: NodeJS.Signals = "SIGTERM",
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), END_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
