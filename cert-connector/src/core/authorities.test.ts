import { expect, test } from "vitest";
import { Authorities } from "./authorities.ts";
import { goodIssuer } from "./fixture.ts";
import type { CertificateAuthority } from "./ports.ts";

const { issuer } = await goodIssuer();

function authority(name: string, labels: string[], obstacle?: string): CertificateAuthority {
  return {
    name,
    labels,
    kind: "remote",
    issuer: () => issuer,
    obstacle: () => obstacle,
    issue: async () => ({ kind: "pending" }),
    revoke: async () => undefined,
  };
}

test("work goes to the first authority of that name or label which can sign", () => {
  const authorities = new Authorities([
    authority("north", ["branch"], "it cannot be reached"),
    authority("south", ["branch", "spare"]),
  ]);
  expect(authorities.names).toEqual(new Set(["north", "south", "branch", "spare"]));
  expect(authorities.choose("branch").name).toBe("south");
  expect(authorities.choose("south").name).toBe("south");
  expect(authorities.named("north").name).toBe("north");
});

test("where none can, the reason of each is told, and trying again is right", () => {
  const authorities = new Authorities([
    authority("north", ["branch"], "it cannot be reached"),
    authority("south", ["branch"], "its token has expired"),
  ]);
  expect(() => authorities.choose("branch")).toThrow(
    expect.objectContaining({
      code: "ca-unavailable",
      isRetryable: true,
      message: "no CA can sign now: north: it cannot be reached; south: its token has expired",
    }),
  );
});

test("an unknown name is an error, and a label is no name", () => {
  const authorities = new Authorities([authority("north", ["branch"])]);
  expect(() => authorities.choose("west")).toThrow('no certification authority "west"');
  expect(() => authorities.named("branch")).toThrow('no certification authority "branch"');
});
