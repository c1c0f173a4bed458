import { ConnectorError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { describe, expect, test } from "vitest";
import { Authorities } from "../core/authorities.ts";
import type { ClaimedAuthorityRevocation } from "../core/authority-revocation.ts";
import type { CertificateAuthority } from "../core/ports.ts";
import { AuthorityRevocations } from "./authority-revocations.ts";
import type { CertificateKernel } from "./service.ts";

const NOW = Date.UTC(2026, 0, 1);

/** One order at an authority that revokes so; what was stored of it. */
function revocations(attempts: number, revoke: () => Promise<void>, authority = "elsewhere") {
  const stored: [string, Record<string, unknown>][] = [];
  const order: ClaimedAuthorityRevocation = {
    id: 7,
    authority,
    serialNumber: "ff",
    certificate: Buffer.from("certificate"),
    notAfter: NOW + 1_000,
    reason: "keyCompromise",
    attempts,
  };
  const store = {
    run: async (operation: string, argument: Record<string, unknown>) => {
      if (operation === "claimAuthorityRevocations") return [order];
      stored.push([operation, argument]);
      return undefined;
    },
  } as unknown as CertificateKernel["store"];
  const elsewhere: CertificateAuthority = {
    name: "elsewhere",
    labels: [],
    kind: "remote",
    issuer: () => {
      throw new Error("not asked for");
    },
    obstacle: () => undefined,
    issue: () => Promise.reject(new Error("not asked for")),
    revoke,
  };
  const log = { info: () => {}, warn: () => {} } as unknown as CertificateKernel["log"];
  const kernel = { store, clock: new FakeClock(NOW), log };
  const it = new AuthorityRevocations(kernel, new Authorities([elsewhere]));
  return { tell: () => it.tell(order), stored };
}

const away = () => Promise.reject(new ConnectorError("ca-unavailable", "away"));

describe("an authority that is told of a revocation", () => {
  test("and does it has nothing left to do", async () => {
    const { tell, stored } = revocations(0, async () => undefined);
    expect(await tell()).toBe("revoked");
    expect(stored).toEqual([["authorityRevocationDone", { id: 7, at: NOW }]]);
  });

  test.each([
    [0, 30_000],
    [1, 60_000],
    [6, 1_920_000],
    [7, 3_600_000],
    [1_000, 3_600_000],
  ])("and is away is told again, after %i attempts in %i ms", async (attempts, pauseMs) => {
    const { tell, stored } = revocations(attempts, away);
    expect(await tell()).toBe("later");
    expect(stored).toEqual([
      ["authorityRevocationDeferred", { id: 7, at: NOW, nextAt: NOW + pauseMs, message: "away" }],
    ]);
  });

  test("and has no way for it is a person's matter", async () => {
    const never = new ConnectorError("ca-cannot-revoke", "by hand");
    const { tell, stored } = revocations(0, () => Promise.reject(never));
    expect(await tell()).toBe("by-hand");
    expect(stored[0]?.[1]).toMatchObject({ nextAt: undefined, message: "by hand" });
  });

  test("and is not configured any more is told once it is again", async () => {
    const { tell, stored } = revocations(0, async () => undefined, "gone");
    expect(await tell()).toBe("later");
    expect(stored[0]?.[1]).toMatchObject({ message: expect.stringContaining('"gone"') });
  });

  test("and fails in a way that nobody foresaw is told again, without its words in the store", async () => {
    const { tell, stored } = revocations(0, () => Promise.reject(new Error("secret")));
    expect(await tell()).toBe("later");
    expect(JSON.stringify(stored)).not.toContain("secret");
  });
});
