import { generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { IntuneClient } from "@isthmus/cert-connector/intune/intune-client";
import { ScepValidation } from "@isthmus/cert-connector/intune/scep-validation";
import type {
  TenantCredential,
  TenantSettings,
} from "@isthmus/cert-connector/intune/tenant-settings";
import { makeRequest } from "@isthmus/cert-connector/testing/scep-device";
import { type Clock, systemClock } from "@isthmus/shared/clock";
import { systemRandom } from "@isthmus/shared/random";
import { testCertificate } from "@isthmus/shared/testing/certificate-authority";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { derToPem } from "@isthmus/shared/x509/pem";
import { IntuneSimulator } from "../../simulators/intune/intune-simulator.ts";
import type { AssignedProfile } from "../../simulators/intune/scep-requests.ts";

const TENANT_ID = "11111111-2222-4333-8444-555555555555";
export const CLIENT_ID = "99999999-8888-4777-8666-555555555555";
const SECRET = "the~client.secret";
const DAY_MS = 86_400_000;

const federatedKeys = generateKeyPairSync("rsa", { modulusLength: 2048 });
const FEDERATED = { issuer: "https://kubernetes.test", subject: "system:serviceaccount:pki:ra" };

/** A simulated tenant, and the files that prove this connector to it, in `folder`. */
export async function startTenant(folder: string) {
  const { privateKey: key } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const times = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + 365 * DAY_MS };
  const { certificate } = await testCertificate({ subject: "CN=connector", key, ...times });
  const pem = derToPem(certificate.der, "CERTIFICATE");
  const write = (name: string, text: string | Buffer) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const certificateFile = write("client.crt", pem);
  const cipher = { cipher: "aes-256-cbc", passphrase: "open sesame" } as const;
  const keyFile = write("client.key", key.export({ type: "pkcs8", format: "pem", ...cipher }));
  const passphraseFile = write("client.passphrase", "open sesame\n");
  const simulator = await IntuneSimulator.start({
    tenantId: TENANT_ID,
    clientId: CLIENT_ID,
    secret: SECRET,
    certificate: pem,
    federated: { ...FEDERATED, key: federatedKeys.publicKey },
  });
  const caFile = simulator.writeCa(join(folder, "cloud-ca.pem"));
  const credentials = {
    secret: { kind: "secret", file: write("client.secret", SECRET) },
    certificate: {
      kind: "certificate",
      certificateFile,
      keyFile,
      passphraseFile,
      algorithm: "PS256",
    },
    federated: { kind: "federated", tokenFile: write("token", federatedToken({})) },
  } as const satisfies Record<string, TenantCredential>;
  return { simulator, credentials, caFile, write };
}

/** A token of the other identity provider; `changes` replace claims. */
export function federatedToken(changes: Readonly<Record<string, unknown>>): string {
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: FEDERATED.issuer,
    sub: FEDERATED.subject,
    aud: "api://AzureADTokenExchange",
    exp: now + 600,
    ...changes,
  };
  const signed = [{ alg: "RS256", typ: "JWT" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const signature = sign("sha256", Buffer.from(signed), federatedKeys.privateKey);
  return `${signed}.${signature.toString("base64url")}`;
}

/** A client of the simulated tenant. */
export function clientOf(
  { simulator }: Pick<Awaited<ReturnType<typeof startTenant>>, "simulator">,
  credential: TenantCredential,
  changes: Partial<TenantSettings> = {},
  clock: Clock = systemClock,
) {
  const settings: TenantSettings = {
    name: "contoso",
    tenantId: TENANT_ID,
    clientId: CLIENT_ID,
    credential,
    hosts: simulator.hosts,
    ca: simulator.ca,
    proxy: undefined,
    timeoutMs: 20_000,
    ...changes,
  };
  const client = new IntuneClient(settings, { clock, random: systemRandom });
  return { client, validation: new ScepValidation(client, "Isthmus test") };
}

/** The part of the local file that describes the simulated tenant. */
export function tenantConfiguration(
  { simulator, caFile }: Awaited<ReturnType<typeof startTenant>>,
  credential: TenantCredential,
  revocations: Readonly<Record<string, unknown>> = { isEnabled: false },
) {
  const { hosts } = simulator;
  return { tenantId: TENANT_ID, clientId: CLIENT_ID, credential, hosts, caFile, revocations };
}

/** What a device sends that has this profile, with the challenge made for it. */
export function requestFor(profile: AssignedProfile, challengePassword: string) {
  const names = profile.subjectAltNames as Parameters<typeof subjectAltNameExtension>[0];
  return makeRequest(
    {
      subject: parseNameText(profile.subject),
      challengePassword,
      extensionRequest: names.length === 0 ? [] : [subjectAltNameExtension(names, false)],
    },
    Date.now(),
  );
}
