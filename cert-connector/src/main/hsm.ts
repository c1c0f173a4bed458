import { ConnectorError } from "@isthmus/shared/errors";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import { makeStateFolder } from "@isthmus/shared/kernel/state-files";
import { systemRandom } from "@isthmus/shared/random";
import { isHeld } from "@isthmus/shared/x509/signing-key";
import { type AuthorityFiles, readAuthorityFolder } from "../ca/authority-folder.ts";
import { Hsm } from "../ca/hsm.ts";
import { type HsmKeyNames, heldKeysOf } from "../ca/hsm-authority.ts";
import { signsFor } from "../ca/hsm-key.ts";
import { pinMemory } from "../ca/pkcs11-pin.ts";
import type { CaConfiguration, HsmConfiguration } from "../config/ca.ts";
import type { CertificateKernel } from "./service.ts";

/** The embedded authority's files, and the token that holds its keys where the configuration names one. */
export interface OpenedAuthority {
  readonly files: AuthorityFiles;
  readonly hsm: Hsm | undefined;
}

type Place = { readonly ca: CaConfiguration; readonly stateFolder: string };

/**
 * Reads the authority's folder, and opens its token onto `resources`. Throws what `readAuthorityFolder`, `Hsm.open` and
 * `heldKeysOf` throw.
 */
export async function openAuthority(
  { ca, stateFolder }: Place,
  resources: AsyncDisposableStack,
  log?: CertificateKernel["log"],
): Promise<OpenedAuthority> {
  const passphrase = readSecretFile(ca.passphraseFile);
  if (ca.hsm === undefined) {
    return { files: readAuthorityFolder(ca.folder, passphrase), hsm: undefined };
  }
  const hsm = resources.use(await openHsm(ca.hsm, stateFolder, log));
  const held = await heldKeysOf(hsm, ca.folder, keyNames(ca.hsm));
  return { files: readAuthorityFolder(ca.folder, passphrase, held), hsm };
}

/** Opens the token that the configuration names. */
export function openHsm(
  of: HsmConfiguration,
  stateFolder: string,
  log?: CertificateKernel["log"],
): Promise<Hsm> {
  const { module, tokenLabel, slot, pinFile, sessions, timeoutMs } = of;
  makeStateFolder(stateFolder);
  return Hsm.open({
    place: { module, tokenLabel, slot, pinFile, sessions },
    timeoutMs,
    random: systemRandom,
    pins: pinMemory(stateFolder),
    onLost: ({ message }) => log?.warn({ reason: message }, "hsm.lost"),
    onOpened: (token) => log?.info(token, "hsm.opened"),
  });
}

export function keyNames(of: HsmConfiguration): HsmKeyNames {
  const { issuingKeyLabel, issuingKeyId, raKeyLabel, raKeyId } = of;
  const hasRa = raKeyLabel !== undefined || raKeyId !== undefined;
  return {
    issuing: { label: issuingKeyLabel, id: issuingKeyId },
    ra: hasRa ? { label: raKeyLabel, id: raKeyId } : undefined,
  };
}

/** Whether the token signs: it is asked for a signature of the issuing key. */
export function hsmCheck({ files, hsm }: OpenedAuthority): HealthCheck[] {
  if (hsm === undefined) return [];
  return [{ name: "hsm", run: () => hsmResult(hsm, files) }];
}

async function hsmResult(hsm: Hsm, { issuing }: AuthorityFiles): Promise<CheckResult> {
  try {
    if (isHeld(issuing.key) && !(await signsFor(issuing.key))) {
      return unhealthy("hsm-failed", "HSM: its signatures are wrong");
    }
  } catch (error) {
    const fault = hsm.fault ?? (error as ConnectorError);
    return unhealthy(fault instanceof ConnectorError ? fault.code : "hsm-failed", fault.message);
  }
  const { label, model } = hsm.token ?? { label: "", model: "" };
  return { status: "healthy", reason: `token "${label}" (${model}) signs` };
}

const REMEDIES: Readonly<Record<string, string>> = {
  "hsm-pin-refused": "put the right PIN into the pinFile; it is tried once the file has changed",
  "hsm-pin-locked": "have the token's security officer set a new PIN",
  "hsm-pin-expired": "set a new PIN with the vendor's tool and put it into the pinFile",
  "hsm-pin-last-try": "log in once with the vendor's tool and the right PIN",
  "hsm-token-missing": "see that the HSM is on, reachable, and that the token's name is right",
  "hsm-key-missing":
    "see with the vendor's tool which keys the token has, and what they are called",
  "hsm-package-missing": "install it where g++, make and python3 are, and restart the service",
  "hsm-module-unusable": "see that the vendor's library and its configuration are there",
  "secret-unreadable": "see that the pinFile is there and readable",
};

/** Nothing is issued meanwhile; whoever asks is told to come back. */
function unhealthy(code: string, reason: string): CheckResult {
  const remedy =
    REMEDIES[code] ?? "see that the HSM is on and reachable; the token is opened again by itself";
  return { status: "unhealthy", reason, remedy };
}

/** For `check`, without the service: opens the token and has every key sign for its certificate. */
export async function offlineHsmResult(place: Place): Promise<CheckResult> {
  await using resources = new AsyncDisposableStack();
  try {
    const opened = await openAuthority(place, resources);
    const [check] = hsmCheck(opened);
    return (await check?.run()) ?? { status: "healthy", reason: "keys are in files" };
  } catch (error) {
    if (error instanceof ConnectorError) return unhealthy(error.code, error.message);
    throw error;
  }
}
