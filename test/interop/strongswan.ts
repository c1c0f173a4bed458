import { mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "vitest";
import { missing, peer } from "../peers.ts";
import { findCurlPlugin } from "../setup/strongswan-plugin.ts";
import { runPeer } from "./run-peer.ts";

/** strongSwan's pki with its HTTP plugin; what it prints on stdout. */
export type Pki = (...words: string[]) => Promise<Buffer>;

export function strongSwan(context: TestContext): Pki {
  const path = peer("pki", context);
  const plugin = findCurlPlugin() ?? missing("strongSwan's curl plugin", context);
  return async (...words) => (await runPeer(path, words, { LD_PRELOAD: plugin })).stdout;
}

/** Asks for the authorities' certificates; returns the options that name their files, below `folder`. */
export async function fetchAuthorities(pki: Pki, url: string, folder: string): Promise<string[]> {
  const place = mkdtempSync(join(folder, "authorities-"));
  const [ca, ra] = [join(place, "ca.der"), join(place, "ra.der")];
  await pki("--scepca", "--url", url, "--caout", ca, "--raout", ra);
  const written = readdirSync(place).filter((name) => name.startsWith("ca"));
  const authorities = written.flatMap((name) => ["--cacert", join(place, name)]);
  return ["--cacert-enc", ra, "--cacert-sig", ra, ...authorities];
}
