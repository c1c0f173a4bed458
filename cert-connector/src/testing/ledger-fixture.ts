import { openStore } from "@isthmus/shared/store/store";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { newStorePlace } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { expect } from "vitest";
import type { Intent, PendingRequest } from "../core/ledger.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { storeLedger } from "../store/store-ledger.ts";

/** A ledger in a real store, and one good value of each kind for tests to change one thing of. */

export const HOUR_MS = 3_600_000;
export const NOON = Date.UTC(2026, 0, 1, 12);

export async function openLedger() {
  const folder = temporaryFolder();
  const store = await openStore<CertificateOperations>({
    ...(await newStorePlace(folder.path)),
    module: new URL("../store/operations.ts", import.meta.url),
  });
  const clock = new FakeClock(NOON);
  return {
    store,
    clock,
    ledger: storeLedger(store, clock),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

let count = 0;
/** A good intent of its own; tests change one thing. */
export function intent(changes: Partial<Intent> = {}): Intent {
  count += 1;
  return {
    profileId: "device",
    transactionId: `transaction-${count}`,
    requestHash: Buffer.from(`request-${count}`),
    frontDoor: "scep",
    authority: "embedded",
    issuerKeyId: "ab",
    issuer: "CN=CA",
    serialNumber: count.toString(16).padStart(40, "1"),
    tbs: Buffer.from(`tbs-${count}`),
    subject: "CN=device",
    notBefore: NOON,
    notAfter: NOON + 24 * HOUR_MS,
    grant: {
      challenge: { id: `challenge-${count}`, expiresAt: NOON + HOUR_MS },
      deviceId: "device-1",
      subjectAltNames: [],
    },
    requesterKeyHash: Buffer.from("key"),
    maxPerHour: 100,
    window: undefined,
    at: NOON,
    ...changes,
  };
}

export function issuedOf({ serialNumber }: Intent, at = NOON) {
  return { serialNumber, certificate: Buffer.from(serialNumber), thumbprint: "00".repeat(32), at };
}

export const code = (expected: string) => expect.objectContaining({ code: expected });
export function pending(changes: Partial<PendingRequest> = {}): PendingRequest {
  return { ...intent(), certificationRequest: Buffer.from("csr"), ...changes };
}
