import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@isthmus/shared/clock";
import { type ConnectorLink, startLink } from "@isthmus/shared/link/connector-link";
import { enrol } from "@isthmus/shared/link/enrol";
import type { LinkHooks } from "@isthmus/shared/link/link-hooks";
import type { HealthSnapshot } from "@isthmus/shared/link/messages";
import { systemRandom } from "@isthmus/shared/random";
import { openStore, type Store } from "@isthmus/shared/store/store";
import { answerWith } from "../process/answering.ts";
import type { operations } from "./busy-store.ts";

/**
 * One connector with the suite's own link and store, in a process of its own: it sends issuance events up as fast as they are
 * taken, and runs every command by answering it.
 */

/** Entries that wait at any time, so that the stream never runs dry, and how many are made in one transaction. */
const BACKLOG_ENTRIES = 5_000;
const APPEND_ENTRIES = 100;
const LOOK_EVERY_MS = 20;

const startedAt = Date.now();
let link: ConnectorLink | undefined;
let store: Store<typeof operations> | undefined;
let made = 0;

const handlers = {
  /** Enrols and connects. Answers the connector's id. */
  connect: async (of: { token: string; folder: string }): Promise<string> => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const service = "cert-connector";
    const displayName = "busy";
    const answer = await enrol({ token: of.token, service, displayName, privateKey });
    store = await openStore<typeof operations>({
      file: join(of.folder, "busy.db"),
      module: new URL("./busy-store.ts", import.meta.url),
    });
    link = await startLink({
      identity: { connectorId: answer.connectorId, service, privateKey },
      url: answer.linkUrl,
      ca: answer.caPem,
      store,
      tenantKeys: () => [answer.tenantKey],
      hooks,
      clock: systemClock,
      random: systemRandom,
      log: { info: () => {}, warn: say, error: say },
    });
    return answer.connectorId;
  },

  /** Begins to send without end. */
  sendBulk: async (_: null): Promise<void> => {
    if (store !== undefined && link !== undefined) void keepBacklog(store, link).catch(say);
  },

  /** How many entries the control plane has acknowledged. */
  acknowledged: async (_: null): Promise<number> => made - (await waiting()),
};
export type BusyConnectorProgram = typeof handlers;
answerWith(handlers);

async function keepBacklog(into: Store<typeof operations>, by: ConnectorLink): Promise<void> {
  for (;;) {
    for (let left = BACKLOG_ENTRIES - (await waiting()); left > 0; left -= APPEND_ENTRIES) {
      await into.run("appendIssued", { first: made, count: APPEND_ENTRIES, at: Date.now() });
      made += APPEND_ENTRIES;
      by.wake("issuance");
    }
    await delay(LOOK_EVERY_MS);
  }
}

async function waiting(): Promise<number> {
  const figures = (await store?.run("streamFigures")) ?? [];
  return figures.find(({ stream }) => stream === "issuance")?.unackedEntries ?? 0;
}

function health(): HealthSnapshot {
  return { service: "cert-connector", version: "0.1.0", startedAt, checks: [], figures: {} };
}

const hooks: LinkHooks = {
  judge: async () => "run",
  run: async () => health(),
  reconcile: async () => "not-run",
  configurationVersion: () => 0,
  onConfiguration: async () => {},
  onTrust: async () => {},
  onCountersigned: async () => {},
  auditHead: async () => undefined,
  health: async () => health(),
  onEvent: () => {},
};

function say(...words: unknown[]): void {
  process.stderr.write(`busy connector: ${words.map(String).join(" ")}\n`);
}
