import { generateKeyPairSync, randomInt } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { ScepDevice } from "@isthmus/cert-connector/testing/scep-device";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect, test } from "vitest";
import { startTenant, tenantConfiguration } from "../interop/intune/tenant-fixture.ts";
import type { IntuneSimulator } from "../simulators/intune/intune-simulator.ts";
import {
  beginIntuneEnrolment,
  enrolPatiently,
  type WaitedEnrolment,
} from "./intune/waiting-device.ts";
import { ConnectorProcess } from "./scep/connector-process.ts";

/** How often the connector is killed: 8 in every run of the tests, 100 with KILLS=100. */
const KILLS = Number(process.env["KILLS"] ?? "8");
const DEVICES = 6;
const LONGEST_LIFE_MS = 600;
/** The notification of a life at which it ends, at most. */
const LAST_NOTIFICATION = 5;
/** One in so many notifications is answered with 503, so that devices wait while the connector lives, too. */
const ONE_LOST_IN = 8;

/**
 * Where a life ends: at its n-th notification before Intune has it, when Intune has it and the answer is on its way, or
 * whenever.
 */
const ENDS = ["received", "recorded", "whenever"] as const;

test(`${KILLS} SIGKILLs between issue and notification: one certificate, at least one notification`, {
  // One that several deaths have met and that is lost then is told again minutes later.
  timeout: 60_000 + KILLS * 30_000,
}, async () => {
  using folder = temporaryFolder();
  const tenant = await startTenant(folder.path);
  await using simulator = tenant.simulator;
  await using connector = new ConnectorProcess(folder.path, {
    local: { tenants: { contoso: tenantConfiguration(tenant, tenant.credentials.secret) } },
    profile: { challenge: { kind: "intune", tenant: "contoso" } },
  });
  const first = new ScepDevice(await connector.start());
  const server = await first.server();
  let running = Promise.resolve(first);
  let isOver = false;
  const keys = Array.from({ length: DEVICES }, newKey);

  const enrolments: WaitedEnrolment[] = [];
  const devices = keys.map(async (key) => {
    while (!isOver) {
      const transaction = await beginIntuneEnrolment(await running, simulator, key);
      enrolments.push(await enrolPatiently(transaction, () => running, simulator));
    }
  });
  for (let kill = 0; kill < KILLS; kill += 1) {
    await running;
    await lifeEnds(simulator, connector, ENDS[kill % ENDS.length] ?? "whenever");
    running = connector.start().then((url) => new ScepDevice(url, server));
  }
  isOver = true;
  simulator.onNotification = () => undefined;
  await Promise.all(devices);
  await connector.stop();

  expect(simulator.violations).toEqual([]);
  expect(enrolments.filter(({ lost }) => lost > 0).length).toBeGreaterThanOrEqual(KILLS / 4);
  expect(enrolments.filter(({ thumbprints: [a, b] }) => a !== b)).toEqual([]);
  expect(enrolments.filter(({ wasToldFirst }) => !wasToldFirst)).toEqual([]);
  checkNotifications(simulator, enrolments);
  checkLedger(connector.storeFile, enrolments.length);
});

/** Kills the connector at a moment of this kind, and waits until it is dead. */
async function lifeEnds(
  simulator: IntuneSimulator,
  connector: ConnectorProcess,
  end: (typeof ENDS)[number],
): Promise<void> {
  if (end === "whenever") {
    await delay(randomInt(LONGEST_LIFE_MS));
    await connector.kill();
    return;
  }
  const dead = Promise.withResolvers<void>();
  let left = 1 + randomInt(LAST_NOTIFICATION);
  simulator.onNotification = async (phase) => {
    if (phase !== end || --left !== 0) return await sometimesLost(phase);
    await connector.kill();
    dead.resolve();
    return phase === "received" ? "lost" : undefined;
  };
  await dead.promise;
  simulator.onNotification = sometimesLost;
}

const sometimesLost: IntuneSimulator["onNotification"] = async (phase) =>
  phase === "received" && randomInt(ONE_LOST_IN) === 0 ? "lost" : undefined;

/** Each enrolment was told at least once, always with the same words, and of the certificate that the device holds. */
function checkNotifications(
  { notifications }: IntuneSimulator,
  enrolments: readonly WaitedEnrolment[],
): void {
  const told = Map.groupBy(notifications, ({ body }) => String(body["transactionId"]));
  expect(told.size).toBe(enrolments.length);
  for (const { transactionId, thumbprints } of enrolments) {
    const [notification, ...repeated] = told.get(transactionId) ?? [];
    expect(notification?.event).toBe("success");
    expect(notification?.body["certificateThumbprint"]).toBe(thumbprints[0]);
    for (const each of repeated) expect(each).toEqual(notification);
  }
  expect(notifications.length).toBeGreaterThan(told.size);
}

function checkLedger(file: string, enrolments: number): void {
  using store = new DatabaseSync(file, { readOnly: true });
  const count = (sql: string) =>
    Number(store.prepare(`SELECT count(*) AS n FROM ${sql}`).get()?.["n"]);
  expect(count("enrolment WHERE state = 'issued' AND revoked_at IS NULL")).toBe(enrolments);
  expect(count("enrolment")).toBe(enrolments);
  expect(count("enrolment WHERE notification_id IS NOT NULL")).toBe(0);
  expect(count("notification WHERE state = 'accepted' AND payload_json IS NULL")).toBe(enrolments);
  expect(count("notification")).toBe(enrolments);
}

function newKey() {
  return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
}
