import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type TestIdentity,
  testAuthority,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { freePort } from "@isthmus/shared/testing/free-port";
import { derToPem } from "@isthmus/shared/x509/pem";
import { buildStepCa, findStepCa } from "../../../test/setup/step-ca.ts";
import { findTool, TOOLS } from "../../../test/tools.ts";
import { type Foreign, isListening, startForeign } from "../process/foreign.ts";

/** step-ca with a SCEP provisioner, one static challenge and an intermediate CA of its own. */
export interface StepCaPeer extends AsyncDisposable {
  readonly url: URL;
  readonly challenge: string;
  readonly process: Foreign;
  /** Of step-ca and of the Go that built it, on which its CPU depends. */
  readonly version: string;
}

const [, LIBRARY_PACKAGE] = TOOLS.go.packages;
const CHALLENGE = "bench-challenge";
const PROVISIONER = "bench";
const DAY_MS = 86_400_000;
/** `EncryptionAlgorithmAES256CBC` of its pkcs7 library, the cipher that our answers have; without it they are in DES. */
const AES_256_CBC = 2;

/** Builds step-ca where that was not done yet. Returns what is missing for it, or undefined once it can be started. */
export function lackOfStepCa(say: (line: string) => void): string | undefined {
  return buildStepCa(say);
}

/**
 * Makes a root and an RSA-2048 intermediate CA in `folder` and starts step-ca before them: the database is the one that
 * `step ca init` chooses, and its access log is off, as the connector's information is.
 */
export async function startStepCa(folder: string): Promise<StepCaPeer> {
  const program = findStepCa();
  if (program === undefined) throw new Error("step-ca is not built");
  mkdirSync(folder, { recursive: true });
  const [port, insecurePort] = [await freePort(), await freePort()];
  const configuration = {
    ...(await makeAuthority(folder)),
    address: `127.0.0.1:${port}`,
    // SCEP over HTTP, as the connector is asked.
    insecureAddress: `127.0.0.1:${insecurePort}`,
    dnsNames: ["127.0.0.1"],
    db: { type: "badgerv2", dataSource: join(folder, "db") },
    authority: {
      provisioners: [
        {
          type: "SCEP",
          name: PROVISIONER,
          challenge: CHALLENGE,
          encryptionAlgorithmIdentifier: AES_256_CBC,
        },
      ],
    },
  };
  const configurationFile = join(folder, "ca.json");
  writeFileSync(configurationFile, JSON.stringify(configuration, null, 2), { mode: 0o600 });
  const server = startForeign(program, [configurationFile], {
    folder,
    environment: { STEPPATH: folder },
  });
  await server.until("listener", () => isListening(insecurePort));
  return {
    url: new URL(`http://127.0.0.1:${insecurePort}/scep/${PROVISIONER}`),
    challenge: CHALLENGE,
    process: server,
    version: versionOf(program),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The keys of `ca.json` that name the CA's files. */
async function makeAuthority(folder: string) {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + 30 * DAY_MS };
  const root = await testAuthority({ subject: "CN=Bench Root", serialNumber: "01", ...validity });
  const issuing = await testAuthority(
    { subject: "CN=Bench Issuing CA", serialNumber: "02", key: testRsaKey(), ...validity },
    root,
  );
  const write = (name: string, content: string) => {
    const file = join(folder, name);
    writeFileSync(file, content, { mode: 0o600 });
    return file;
  };
  return {
    root: write("root.pem", certificatePem(root)),
    crt: write("issuing.pem", certificatePem(issuing)),
    key: write("issuing.key", issuing.key.export({ type: "pkcs8", format: "pem" }).toString()),
  };
}

function certificatePem({ certificate }: TestIdentity): string {
  return derToPem(certificate.der, "CERTIFICATE");
}

/** The program was built without a version; Debian's package and the program itself know the two that count. */
function versionOf(program: string): string {
  const go = findTool("go");
  const said = (command: string, words: readonly string[], version: RegExp) =>
    version.exec(spawnSync(command, words, { encoding: "utf8" }).stdout ?? "")?.[1];
  const own = said("dpkg-query", ["-W", LIBRARY_PACKAGE], /\t([\d.]+)/) ?? "of unknown version";
  const compiler = go && said(go, ["version", program], /: go([\d.]+)/);
  return `${own} (Go ${compiler ?? "of unknown version"})`;
}
