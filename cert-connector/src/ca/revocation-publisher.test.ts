import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type {
  PublishedList,
  RevocationLedger,
  RevokedCertificate,
} from "../core/revocation-ledger.ts";
import { readAuthorityFolder } from "./authority-folder.ts";
import { createAuthority } from "./create-authority.ts";
import { type EmbeddedAuthority, embeddedAuthority } from "./embedded-authority.ts";
import { RevocationPublisher } from "./revocation-publisher.ts";

const HOUR_MS = 3_600_000;
const clock = new FakeClock();
const authority = await makeAuthority();

async function makeAuthority(): Promise<EmbeddedAuthority> {
  using folder = temporaryFolder();
  const order = { name: "T", algorithm: "ec-p256", passphrase: "p", rootPassphrase: "p" } as const;
  const ca = `${folder.path}/ca`;
  const rootKeyFile = `${folder.path}/root`;
  const rest = { permitted: [], clock, random: systemRandom };
  await createAuthority({ ...order, folder: ca, rootKeyFile, ...rest });
  return embeddedAuthority(readAuthorityFolder(ca, "p"));
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A ledger in memory whose next `failures` lists cannot be begun. */
function memoryLedger() {
  const state = {
    revoked: [] as RevokedCertificate[],
    stored: undefined as PublishedList | undefined,
    lists: 0,
    failures: 0,
  };
  const ledger: RevocationLedger = {
    beginList: async () => {
      if (state.failures > 0) {
        state.failures -= 1;
        throw new Error("store-full");
      }
      state.lists += 1;
      return { number: state.lists, revoked: [...state.revoked] };
    },
    storeList: async (list) => {
      state.stored = list;
    },
    currentList: async () => state.stored,
    statusOf: async () => ({ kind: "unknown" }),
  };
  return { state, ledger };
}

function publisherOver(ledger: RevocationLedger, failures: unknown[] = []) {
  return new RevocationPublisher({
    authority,
    ledger,
    clock,
    schedule: () => ({ periodHours: 24, overlapHours: 12 }),
    onFailure: (error) => failures.push(error),
    onPublished: () => undefined,
  });
}

/** Lets the time pass for timers and clock alike, and what they started come to its end. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await vi.advanceTimersByTimeAsync(ms);
}

test("a new list comes each period and stays valid over the next", async () => {
  const { state, ledger } = memoryLedger();
  await using publisher = publisherOver(ledger);
  await publisher.start();
  const first = publisher.current;
  expect((first?.nextUpdate ?? 0) - (first?.thisUpdate ?? 0)).toBe(36 * HOUR_MS);
  await pass(23 * HOUR_MS);
  expect(state.lists).toBe(1);
  await pass(HOUR_MS);
  vi.useRealTimers();
  await until(() => publisher.current?.number === 2, "the second list");
});

test("a list is made at start, for what was revoked just before a crash", async () => {
  const { state, ledger } = memoryLedger();
  await using before = publisherOver(ledger);
  await before.start();
  state.revoked.push({ serialNumber: "0a", revokedAt: clock.now(), reason: "superseded" });
  await using after = publisherOver(ledger);
  await after.start();
  expect(parseCertificateList(after.current?.der ?? Buffer.alloc(0)).revoked.has("0a")).toBe(true);
});

test("refreshes that come while one runs share the next, and each holds what came before it", async () => {
  const { state, ledger } = memoryLedger();
  await using publisher = publisherOver(ledger);
  const running = publisher.refresh();
  state.revoked.push({ serialNumber: "0a", revokedAt: clock.now(), reason: "superseded" });
  await Promise.all([running, ...Array.from({ length: 50 }, () => publisher.refresh())]);
  expect(state.lists).toBe(2);
  expect(parseCertificateList(publisher.current?.der ?? Buffer.alloc(0)).revoked.size).toBe(1);
});

test("after a failure the old list stays in force, and the next attempt comes in ten seconds", async () => {
  const { state, ledger } = memoryLedger();
  const failures: unknown[] = [];
  await using publisher = publisherOver(ledger, failures);
  await publisher.start();
  state.failures = 1;
  await expect(publisher.refresh()).rejects.toThrow("store-full");
  expect(publisher.current?.number).toBe(1);
  expect(failures).toHaveLength(1);
  publisher.reschedule();
  await pass(9_999);
  expect(publisher.current?.number).toBe(1);
  await pass(1);
  vi.useRealTimers();
  await until(() => publisher.current?.number === 2, "the next attempt");
});
