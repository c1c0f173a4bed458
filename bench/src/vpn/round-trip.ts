import { LAB, type Lab } from "../../../test/vpn-lab/namespaces.ts";

const PINGS = 100;
const MICROSECONDS = 1_000;

/** Mean of the round trips of pings 20 ms apart through an idle tunnel, us; the first ones warm up. */
export async function idleRoundTripUs(lab: Lab): Promise<number> {
  await ping(lab, 10);
  return ping(lab, PINGS);
}

/** Round trips of pings 10 ms apart while something else goes on for that long; what is lost is left out. */
export async function roundTripsMs(lab: Lab, seconds: number): Promise<number[]> {
  const count = Math.max(10, seconds * 100 - 30);
  const words = ["ping", "-i", "0.01", "-W", "1", "-c", `${count}`, LAB.internal.ipv4];
  const text = await lab.run("client", words);
  return [...text.matchAll(/time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

async function ping(lab: Lab, count: number): Promise<number> {
  const words = ["-q", "-i", "0.02", "-c", `${count}`, LAB.internal.ipv4];
  const text = await lab.run("client", ["ping", ...words]);
  const average = /= [\d.]+\/([\d.]+)\//.exec(text)?.[1];
  return Number(average) * MICROSECONDS;
}
