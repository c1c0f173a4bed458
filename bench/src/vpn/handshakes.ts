import { setTimeout as delay } from "node:timers/promises";
import type { Lab } from "../../../test/vpn-lab/namespaces.ts";
import { type Figure, figure } from "../figure.ts";
import type { TlsCertificates } from "../fixtures/tls-certificates.ts";
import { interleave } from "../measure/interleave.ts";
import { treeCpuSeconds } from "../measure/process-tree.ts";
import { ratios } from "../measure/statistics.ts";
import { startProgram } from "../process/program.ts";
import type { HandshakeLoadProgram } from "./handshake-load.ts";
import { papersFor } from "./session-papers.ts";
import type { Side } from "./sides.ts";

const ROUNDS = 3;
const HANDSHAKES = 500;
/** Before the clock starts, so that buffers and code that come only once are not counted to each. */
const FIRST_HANDSHAKES = 100;
/** Until ocserv has waited for the last of its workers, whose CPU is not its own before. */
const SETTLE_MS = 1_000;

/** Budgets: bench/README.md, VPN against ocserv. */
const HANDSHAKE_BUDGET = { atMost: 0.3 };

/** CPU of TLS 1.3 handshakes alone, with and without a client certificate. */
export async function handshakes(
  lab: Lab,
  sides: readonly Side[],
  certificates: TlsCertificates,
  scale: number,
): Promise<Figure[]> {
  const loadFile = new URL("./handshake-load.ts", import.meta.url);
  const client = lab.namespace("client");
  await using load = await startProgram<HandshakeLoadProgram>(loadFile, {}, client);
  const count = Math.max(FIRST_HANDSHAKES, Math.round(HANDSHAKES * scale));
  const figures: Figure[] = [];
  for (const hasCertificate of [true, false]) {
    const measure = (side: Side) => async () => {
      const of = { papers: papersFor(side, certificates), hasCertificate };
      await load.ask("handshakes", { ...of, count: FIRST_HANDSHAKES });
      await delay(SETTLE_MS);
      const before = treeCpuSeconds(side.pid);
      await load.ask("handshakes", { ...of, count });
      await delay(SETTLE_MS);
      return ((treeCpuSeconds(side.pid) - before) * 1_000) / count;
    };
    const subjects = sides.map((side) => ({ name: side.name, run: measure(side) }));
    figures.push(...report(hasCertificate, await interleave(ROUNDS, subjects)));
  }
  return figures;
}

function report(
  hasCertificate: boolean,
  costs: ReadonlyMap<string, readonly number[]>,
): readonly Figure[] {
  const title = `TLS handshake${hasCertificate ? "" : " without a client certificate"}`;
  const of = (name: Side["name"]) => costs.get(name) ?? [];
  const against = ratios(of("gateway"), of("ocserv"));
  return [
    figure(`${title}: CPU against ocserv`, "x", against, HANDSHAKE_BUDGET),
    figure(`${title}: CPU, gateway`, "CPU-ms", of("gateway")),
    figure(`${title}: CPU, ocserv`, "CPU-ms", of("ocserv")),
  ];
}
