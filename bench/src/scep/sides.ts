import { join } from "node:path";
import type { BenchOptions } from "../bench.ts";
import { hasScepserver, startScepserver } from "../peers/scepserver.ts";
import { lackOfStepCa, startStepCa } from "../peers/step-ca.ts";
import type { Foreign } from "../process/foreign.ts";
import { startCertConnector } from "./cert-connector.ts";
import type { Enrollee } from "./device-messages.ts";
import { scaled } from "./load-size.ts";

/** A SCEP server under measurement. */
export interface Side {
  readonly name: "RSA CA" | "EC CA" | "full ledger" | "step-ca" | "scepserver";
  readonly pid: number;
  readonly url: string;
  /** Of a round. */
  readonly enrolments: number;
  /** Whether it may return the device's nonce as its own: both peers do, the connector must not. */
  readonly mayEchoNonce: boolean;
  /** Devices with a challenge each, a fresh one where the server has such. */
  enrollees(commonNames: readonly string[]): Promise<Enrollee[]>;
}

/** Those that can be had here, and notes about how they differ and what is missing. */
export interface Sides extends AsyncDisposable {
  readonly all: readonly Side[];
  readonly notes: readonly string[];
}

/** Somebody else's server with one static challenge. */
interface Peer extends AsyncDisposable {
  readonly url: URL;
  readonly challenge: string;
  readonly process: Foreign;
}

/** A peer's are fewer because each costs it more. */
const ENROLMENTS = 2_000;
const PEER_ENROLMENTS = 600;
const FULL_LEDGER = { entries: 1_000_000, revoked: 1_000 };

/** Starts the connectors and the peers, each in a folder of its own. */
export async function startSides(options: BenchOptions): Promise<Sides> {
  // Before anything runs: it may be compiled first, for minutes.
  const lack = lackOfStepCa(options.progress);
  await using stack = new AsyncDisposableStack();
  const all = await startConnectors(options, stack);
  const notes: string[] = [];
  if (lack === undefined) {
    const peer = stack.use(await startStepCa(join(options.folder, "step-ca")));
    all.push(peerSide("step-ca", peer, options));
    notes.push(`step-ca ${peer.version}: ${STEP_CA_DIFFERS}`);
  } else notes.push(`no step-ca beside, and its budget is not judged: ${lack}`);
  if (hasScepserver()) {
    const peer = stack.use(await startScepserver(join(options.folder, "scepserver")));
    all.push(peerSide("scepserver", peer, options));
  } else notes.push("scepserver is not installed (Debian package scep): no peer beside");
  const owned = stack.move();
  return { all, notes, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const STEP_CA_DIFFERS =
  "keys, cipher and messages as ours; a static challenge for signed ones, one synced write for an intent and a result, no lint, audit or policy";

async function startConnectors(
  options: BenchOptions,
  stack: AsyncDisposableStack,
): Promise<Side[]> {
  const filling = {
    entries: scaled(FULL_LEDGER.entries, options),
    revoked: scaled(FULL_LEDGER.revoked, options),
  };
  const enrolments = scaled(ENROLMENTS, options);
  const sides: Side[] = [];
  for (const [name, algorithm, filled] of [
    ["RSA CA", "rsa-2048", undefined],
    ["EC CA", "ec-p256", undefined],
    ["full ledger", "rsa-2048", filling],
  ] as const) {
    if (filled !== undefined) options.progress(`filling a ledger with ${filled.entries} entries`);
    const folder = join(options.folder, name.replace(" ", "-"));
    const connector = stack.use(await startCertConnector(folder, algorithm, filled));
    sides.push({ name, ...connector, enrolments, mayEchoNonce: false });
  }
  return sides;
}

function peerSide(name: "step-ca" | "scepserver", peer: Peer, options: BenchOptions): Side {
  const { url, challenge, process } = peer;
  return {
    name,
    pid: process.pid,
    url: url.href,
    enrolments: scaled(PEER_ENROLMENTS, options),
    mayEchoNonce: true,
    enrollees: async (commonNames) => commonNames.map((commonName) => ({ commonName, challenge })),
  };
}
