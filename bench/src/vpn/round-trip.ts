import { LAB, type Lab } from "../../../test/vpn-lab/namespaces.ts";
import type { BenchOptions } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import type { TlsCertificates } from "../fixtures/tls-certificates.ts";
import { interleave } from "../measure/interleave.ts";
import { median } from "../measure/statistics.ts";
import { connectTo, type Side, type Transport } from "./sides.ts";

/** The figure is a few wake-ups of an idle machine, which differ from one minute to the next: both sides take turns of a second. */
const ROUNDS = 21;
const PINGS = 50;
const FIRST_PINGS = 5;
const MICROSECONDS = 1_000;

/** Budget: bench/README.md, VPN against ocserv. */
const IDLE_RTT_BUDGET_US = { atMost: 50 };

/** Where the internal host answers beside its own address, so that each tunnel has a target of its own. */
const TARGETS = { gateway: LAB.internal.ipv4, ocserv: "10.99.2.3" } as const;
const DEVICES = { gateway: "vpn0", ocserv: "vpn1" } as const;
/** The TUN devices that a client may have. */
export const CLIENT_DEVICES = Object.values(DEVICES);

/** Pings through two idle tunnels that are up at once, one through each side. */
export async function idleRoundTrips(
  lab: Lab,
  sides: readonly Side[],
  transport: Transport,
  options: BenchOptions & { readonly certificates: TlsCertificates },
): Promise<Figure[]> {
  await lab.ip("internal", `addr replace ${TARGETS.ocserv}/24 dev inside`);
  await using clients = new AsyncDisposableStack();
  for (const side of sides) {
    const device = DEVICES[side.name];
    const client = clients.use(await connectTo(lab, side, transport, { ...options, device }));
    if (transport === "dtls") await client.until(/Established DTLS connection/);
    await lab.ip("client", `route replace ${TARGETS[side.name]}/32 dev ${device}`);
  }
  const rounds = Math.max(3, Math.round(ROUNDS * options.scale));
  const run = (side: Side) => async () => {
    await medianUs(lab, TARGETS[side.name], FIRST_PINGS);
    return medianUs(lab, TARGETS[side.name], PINGS);
  };
  const medians = await interleave(
    rounds,
    sides.map((side) => ({ name: side.name, run: run(side) })),
  );
  const own = medians.get("gateway") ?? [];
  const theirs = medians.get("ocserv") ?? [];
  const added = own.map((us, round) => us - (theirs[round] ?? Number.NaN));
  const name = `${transport}: idle round trip`;
  return [
    figure(`${name} beyond ocserv's`, "us", added, IDLE_RTT_BUDGET_US),
    figure(`${name}, gateway`, "us", own),
    figure(`${name}, ocserv`, "us", theirs),
  ];
}

/** Round trips of pings 10 ms apart while something else goes on for that long; what is lost is left out. */
export function roundTripsMs(lab: Lab, seconds: number): Promise<number[]> {
  const count = Math.max(10, seconds * 100 - 30);
  return pingsMs(lab, ["-i", "0.01", "-W", "1", "-c", `${count}`, LAB.internal.ipv4]);
}

/** Of so many pings 20 ms apart. Their mean would be that of the few which met something else on the machine. */
async function medianUs(lab: Lab, target: string, count: number): Promise<number> {
  const times = await pingsMs(lab, ["-i", "0.02", "-c", `${count}`, target]);
  return median(times) * MICROSECONDS;
}

async function pingsMs(lab: Lab, words: readonly string[]): Promise<number[]> {
  const text = await lab.run("client", ["ping", ...words]);
  return [...text.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}
