import { join } from "node:path";
import { Lab, labObstacle } from "../../../test/vpn-lab/namespaces.ts";
import type { Bench, BenchOptions, BenchOutcome } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { makeTlsCertificates } from "../fixtures/tls-certificates.ts";
import { interleave } from "../measure/interleave.ts";
import { neededTool } from "../peers/tool.ts";
import { handshakes } from "./handshakes.ts";
import { startIperfServer } from "./iperf.ts";
import { manySessions } from "./many-sessions.ts";
import { measurePart, PARTS, type Part, type Round, TRANSPORTS, wholeRound } from "./round.ts";
import { roundFigures } from "./round-figures.ts";
import { CLIENT_DEVICES, idleRoundTrips } from "./round-trip.ts";
import { type Side, startGatewaySide, startOcservSide } from "./sides.ts";
import { type Failure, isFailure, lastLines, tryTwice } from "./turn.ts";

/** `npm run bench -- vpn`: Debian's openconnect through the gateway and through ocserv, in three network namespaces. */
export const vpnBench: Bench = {
  name: "vpn",
  summary: "packets through the VPN with stock openconnect, against ocserv (needs root)",
  defaultRuns: 3,
  run: runVpnBench,
};

/** One lab at a time: another with its name would take the namespaces from under it. */
const LAB_NAME = "bench";

async function runVpnBench(options: BenchOptions): Promise<BenchOutcome> {
  const obstacle = labObstacle() ?? (await Lab.occupied(LAB_NAME));
  if (obstacle !== undefined) throw new Error(`bench vpn cannot run here: ${obstacle}`);
  for (const tool of ["openconnect", "ocserv", "iperf3"] as const) neededTool(tool);
  const certificates = await makeTlsCertificates(options.folder);
  await using lab = await Lab.make(LAB_NAME);
  await using server = await startIperfServer(lab);
  const at = (name: string) => join(options.folder, name);
  await using gateway = await startGatewaySide(lab, at("gateway"), certificates);
  await using ocserv = await startOcservSide(lab, certificates);
  const sides = [gateway, ocserv];
  const mend = async () => {
    for (const device of CLIENT_DEVICES) {
      await lab.ip("client", `link delete ${device}`).catch(() => "it has gone, as it should");
    }
    await server.restart();
  };
  const attempt = <Result extends object>(
    what: string,
    of: readonly Side[],
    work: () => Promise<Result>,
  ) => {
    options.progress(what);
    const words = () => of.map(lastWords).join("\n");
    return tryTwice(what, work, { mend, words, progress: options.progress });
  };
  const both = { ...options, certificates };
  const turn = (side: Side, part: Part) => (round: number) => {
    const what = `${part.transport} ${part.direction}, round ${round + 1}/${options.runs}`;
    return attempt(`${what}: ${side.name}`, [side], () => measurePart(lab, side, part, both));
  };
  const parts: Turns[] = [];
  for (const part of PARTS) {
    const subjects = sides.map((side) => ({ name: side.name, run: turn(side, part) }));
    parts.push(await interleave<Round | Failure>(options.runs, subjects));
  }
  const { own, theirs, failures } = pairsOf(parts, options.runs);
  if (own.length === 0) throw new Error(`no round came off: ${failures[0]?.why}`);
  const { figures, notes } = roundFigures(own, theirs);
  const others = [
    ...TRANSPORTS.map((transport) => ({
      what: `idle round trips: ${transport}`,
      work: () => idleRoundTrips(lab, sides, transport, both),
    })),
    { what: "TLS handshakes", work: () => handshakes(lab, sides, certificates, options.scale) },
    { what: "many sessions", work: () => manySessions(lab, sides, certificates, options.scale) },
  ];
  const further: Figure[] = [];
  for (const { what, work } of others) {
    const outcome = await attempt(what, sides, work);
    if (isFailure(outcome)) failures.push(outcome);
    else further.push(...outcome);
  }
  const left = failures.map(({ what, why }) => `${what} failed twice and is left out: ${why}`);
  return { figures: [...figures, ...further, ...missing(failures)], notes: [...notes, ...left] };
}

type Turns = ReadonlyMap<string, readonly (Round | Failure)[]>;

const isRound = (one: Round | Failure): one is Round => !isFailure(one);

/** Rounds in which both sides came off in each part. */
function pairsOf(
  parts: readonly Turns[],
  rounds: number,
): { own: Round[]; theirs: Round[]; failures: Failure[] } {
  const [own, theirs]: [Round[], Round[]] = [[], []];
  const failures: Failure[] = [];
  for (let round = 0; round < rounds; round++) {
    const of = (side: Side["name"]) => parts.flatMap((part) => part.get(side)?.[round] ?? []);
    const [ones, others] = [of("gateway"), of("ocserv")];
    const failed = [...ones, ...others].filter(isFailure);
    failures.push(...failed);
    if (failed.length > 0) continue;
    own.push(wholeRound(ones.filter(isRound)));
    theirs.push(wholeRound(others.filter(isRound)));
  }
  return { own, theirs, failures };
}

/** What was not measured keeps no budget. */
function missing(failures: readonly Failure[]): Figure[] {
  return failures.length === 0 ? [] : [figure("left out", "", failures.length, { atMost: 0 })];
}

function lastWords(side: Side): string {
  return `${side.name} said:\n${lastLines(side.output())}`;
}
