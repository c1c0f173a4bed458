import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { LAB, type Lab } from "./namespaces.ts";

const execute = promisify(execFile);
/** What TCP to and from the gateway may have in a segment, so that it fits every path here: less 40 bytes of headers. */
const TCP_SEGMENT = 1_200;
const ETHERNET = 1_500;
/** Where the router's ICMP comes from. */
const OWN_ADDRESS = "10.99.3.1/32";

/** The largest IPv4 packets that the router hands on, in bytes. */
export interface PathWidth {
  /** From the client to the gateway. */
  readonly up: number;
  readonly down: number;
}

/** A router between client and gateway that neither of them knows of. */
export interface NarrowPath extends AsyncDisposable {
  widen(width: PathWidth): Promise<void>;
  /** How many ICMP errors about packets that were too large have got lost in it. */
  silenced(): Promise<number>;
}

/**
 * Puts a router between client and gateway (over IPv4) that drops what is too large, and whose ICMP about that gets lost, as behind many
 * firewalls. TCP is told of smaller segments, as such places do. Both keep their addresses and links of 1,500 bytes.
 */
export async function narrowPath(lab: Lab, width: PathWidth): Promise<NarrowPath> {
  const router = `${lab.namespace("client")}-rt`;
  const on = (...words: string[]) => execute("ip", ["netns", "exec", router, ...words]);
  const ip = (line: string) => on("ip", ...line.split(" "));
  const remove = () => execute("ip", ["netns", "del", router]).catch(() => undefined);
  await using undo = new AsyncDisposableStack();
  await remove();
  await execute("ip", ["netns", "add", router]);
  undo.defer(async () => void (await remove()));
  await lab.ip("client", "link del outside");
  for (const machine of ["client", "gateway"] as const) {
    const { ipv4, ipv6 } = LAB[machine];
    const end = `outside netns ${lab.namespace(machine)}`;
    await ip(`link add name ${machine} type veth peer name ${end}`);
    await ip(`addr add ${OWN_ADDRESS} dev ${machine}`);
    await ip(`link set ${machine} up`);
    await lab.ip(machine, `addr add ${ipv4}/24 dev outside`);
    await lab.ip(machine, `addr add ${ipv6}/64 dev outside nodad`);
    await lab.ip(machine, "link set outside up");
  }
  const answers = ["client", "gateway"].flatMap((device) => [
    `net.ipv4.conf.${device}.proxy_arp=1`,
    `net.ipv4.neigh.${device}.proxy_delay=0`,
  ]);
  await on("sysctl", "-qw", "net.ipv4.ip_forward=1", ...answers);
  await on("nft", RULES.join("; "));
  const widen = async ({ up, down }: PathWidth) => {
    await ip(`route replace ${LAB.gateway.ipv4} dev gateway mtu lock ${up}`);
    await ip(`route replace ${LAB.client.ipv4} dev client mtu lock ${down}`);
  };
  await widen(width);
  const kept = undo.move();
  return {
    widen,
    async silenced() {
      const { stdout } = await on("nft", "list", "chain", "inet", "narrow", "out");
      return Number(/packets (\d+)/.exec(stdout)?.[1]);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Nothing at all is too large for it. */
export const WIDE: PathWidth = { up: ETHERNET, down: ETHERNET };

const RULES = [
  "add table inet narrow",
  "add chain inet narrow through { type filter hook forward priority 0; }",
  "add chain inet narrow out { type filter hook output priority 0; }",
  `add rule inet narrow through tcp flags syn tcp option maxseg size set ${TCP_SEGMENT}`,
  "add rule inet narrow out icmp type destination-unreachable counter drop",
];
