import { fileURLToPath } from "node:url";
import { LAB, type Lab } from "./namespaces.ts";
import { type Serving, serving } from "./serving.ts";

const PORT = 8_001;
const PROGRAM = fileURLToPath(new URL("./datagrams-process.ts", import.meta.url));
const HEADERS = { 4: 20 + 8, 6: 40 + 8 } as const;
/** The first one makes its sender learn the MTU, any may be kept waiting by other work on this machine. */
const TRIES = 20;

/** The internal host answers datagrams by longer ones, which no router may cut up until it has been told of an MTU. */
export async function startDatagramServer(lab: Lab): Promise<Serving> {
  const child = lab.start("internal", [process.execPath, PROGRAM, "serve", `${PORT}`]);
  const isReady = async () =>
    (await lab.run("internal", ["ss", "-Hlun", `sport = :${PORT}`])).includes(`:${PORT}`);
  return await serving("the server of datagrams", child, isReady);
}

/** Whether the client, who asks, gets a datagram of the internal host that is as long as that with its headers. */
export async function getsDatagram(lab: Lab, bytes: number, family: 4 | 6 = 4): Promise<boolean> {
  const target = family === 4 ? LAB.internal.ipv4 : LAB.internal.ipv6;
  const wanted = bytes - HEADERS[family];
  const words = ["ask", `${family}`, target, `${PORT}`, `${wanted}`, `${TRIES}`];
  const printed = await lab.run("client", [process.execPath, PROGRAM, ...words]);
  return Number(printed) === wanted;
}

/**
 * What the internal host knows of the way to clients, which all have the gateway's own address there: the MTU, undefined where nobody
 * has told it any.
 */
export async function mtuToClients(lab: Lab, family: 4 | 6 = 4): Promise<number | undefined> {
  const { insideIpv4, insideIpv6 } = LAB.gateway;
  const printed = await lab.ip("internal", `route get ${family === 4 ? insideIpv4 : insideIpv6}`);
  const mtu = / mtu (\d+)/.exec(printed)?.[1];
  return mtu === undefined ? undefined : Number(mtu);
}
