import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts } from "@isthmus/suite/ports";
import { setUpStandalone } from "@isthmus/suite/standalone";
import { Suite } from "@isthmus/suite/suite";

/** The demonstration's profile for clients that know only SHA-1 and DES. */
export const LEGACY_PROFILE = {
  id: "device-legacy",
  challenge: { kind: "signed" },
  legacyAlgorithms: true,
  validityDays: 30,
  renewalWindowPercent: 100,
} as const;

/** A cert-connector and a gateway in standalone mode, with a folder for what a foreign client writes. */
export interface StandaloneSuite extends AsyncDisposable {
  readonly suite: Suite;
  readonly folder: string;
  readonly scepUrl: string;
  /** Hex. */
  readonly issuerKeyId: string;
}

export async function startStandaloneSuite(): Promise<StandaloneSuite> {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-interop-"));
  const ports = await freePorts();
  const suite = new Suite({ layout: layoutOf(join(folder, "suite")), ports });
  const dispose = async () => {
    await suite[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
  let issuerKeyId: string;
  try {
    await suite.openSite();
    issuerKeyId = await setUpStandalone(suite, [LEGACY_PROFILE]);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    suite,
    folder,
    issuerKeyId,
    scepUrl: `http://127.0.0.1:${ports.scep}/scep`,
    [Symbol.asyncDispose]: dispose,
  };
}
