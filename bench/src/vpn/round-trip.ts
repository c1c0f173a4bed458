import { LAB, type Lab } from "../../../test/vpn-lab/namespaces.ts";

const PINGS = 100;
const MICROSECONDS = 1_000;

/** Mean of the round trips of pings 20 ms apart through an idle tunnel, us; the first ones warm up. */
export async function idleRoundTripUs(lab: Lab): Promise<number> {
  await ping(lab, 10);
  return ping(lab, PINGS);
}

async function ping(lab: Lab, count: number): Promise<number> {
  const words = ["-q", "-i", "0.02", "-c", `${count}`, LAB.internal.ipv4];
  const text = await lab.run("client", ["ping", ...words]);
  const average = /= [\d.]+\/([\d.]+)\//.exec(text)?.[1];
  return Number(average) * MICROSECONDS;
}
