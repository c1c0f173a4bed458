import { readFileSync } from "node:fs";
import type { Clock } from "@isthmus/shared/clock";
import { useKeytab } from "@isthmus/shared/directory/kerberos-environment";
import { KerberosTickets } from "@isthmus/shared/directory/kerberos-tickets";
import { ConnectorError } from "@isthmus/shared/errors";
import { OutboundHttp } from "@isthmus/shared/kernel/outbound-http";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { CheckResult, HealthCheck } from "@isthmus/shared/kernel/service-definition";
import type { Random } from "@isthmus/shared/random";
import { type Certificate, parseCertificate } from "@isthmus/shared/x509/certificate";
import { pemToDer } from "@isthmus/shared/x509/pem";
import { AdcsCesBackEnd } from "../ca/adcs-ces-back-end.ts";
import type { AdcsLogin } from "../ca/adcs-login.ts";
import { AdcsWebBackEnd } from "../ca/adcs-web-back-end.ts";
import { CfsslBackEnd } from "../ca/cfssl-back-end.ts";
import { EjbcaBackEnd } from "../ca/ejbca-back-end.ts";
import { loadKerberos } from "../ca/kerberos-library.ts";
import { readProvisionerKey } from "../ca/provisioner-key.ts";
import { MAX_ANSWER_BYTES } from "../ca/remote-answer.ts";
import { RemoteAuthority } from "../ca/remote-authority.ts";
import type { RemoteBackEnd } from "../ca/remote-order.ts";
import { ScepBackEnd } from "../ca/scep-back-end.ts";
import { makeScepSigner, readScepSigner } from "../ca/scep-signer.ts";
import { StepCaBackEnd } from "../ca/step-ca-back-end.ts";
import { VaultBackEnd } from "../ca/vault-back-end.ts";
import { type VaultLogin, VaultSession } from "../ca/vault-session.ts";
import {
  type AuthorityConfiguration,
  type AuthorityOfKind,
  checkNameOf,
} from "../config/authorities.ts";

/** The certification authorities elsewhere, put together from the local configuration. */

export interface Means {
  readonly clock: Clock;
  readonly random: Random;
  /** Where Kerberos tickets are kept. */
  readonly stateFolder: string;
}

type Chain = readonly [Certificate, ...Certificate[]];

/** In the order of the configuration. None of them is asked for anything yet. */
export async function remoteAuthorities(
  configurations: Readonly<Record<string, AuthorityConfiguration>>,
  means: Means,
  resources: AsyncDisposableStack,
): Promise<RemoteAuthority[]> {
  const authorities: RemoteAuthority[] = [];
  for (const [name, configuration] of Object.entries(configurations)) {
    authorities.push(resources.use(await remoteAuthority(name, configuration, means)));
  }
  return authorities;
}

async function remoteAuthority(
  name: string,
  configuration: AuthorityConfiguration,
  means: Means,
): Promise<RemoteAuthority> {
  const chain = readChain(configuration.issuerFile);
  return new RemoteAuthority({
    name,
    labels: configuration.labels,
    chain,
    backEnd: await backEndOf(configuration, chain, means),
    probeEveryMs: configuration.probeSeconds * 1_000,
    clock: means.clock,
  });
}

async function backEndOf(
  configuration: AuthorityConfiguration,
  chain: Chain,
  means: Means,
): Promise<RemoteBackEnd> {
  switch (configuration.kind) {
    case "step-ca":
      return stepCa(configuration, chain, means);
    case "cfssl":
      return cfssl(configuration);
    case "vault":
      return vault(configuration, means);
    case "ejbca":
      return ejbca(configuration, means);
    case "scep":
      return await scep(configuration, chain, means);
    case "adcs-web":
      return adcsWeb(configuration, means);
    case "adcs-ces":
      return adcsCes(configuration, means);
  }
}

function stepCa(of: AuthorityOfKind<"step-ca">, chain: Chain, means: Means): RemoteBackEnd {
  const { urls, provisioner, keyFile, passwordFile } = of;
  const password = passwordFile === undefined ? undefined : readSecretFile(passwordFile);
  const root = chain.at(-1) ?? chain[0];
  return new StepCaBackEnd({
    http: httpTo(of),
    urls,
    provisioner,
    key: readProvisionerKey(readSecretFile(keyFile), password),
    rootThumbprint: root.thumbprint,
    ...means,
  });
}

function cfssl(of: AuthorityOfKind<"cfssl">): RemoteBackEnd {
  const { profile, label, authKeyFile } = of;
  const hex = readSecretFile(authKeyFile).trim();
  if (!/^([0-9a-f]{2}){16,}$/i.test(hex)) {
    throw new ConnectorError(
      "cfssl-auth-key",
      `${authKeyFile} has to hold 16 octets or more in hex`,
    );
  }
  return new CfsslBackEnd({ http: httpTo(of), profile, label, authKey: Buffer.from(hex, "hex") });
}

function vault(of: AuthorityOfKind<"vault">, { clock }: Means): RemoteBackEnd {
  const { namespace, mount, role, issuerRef, sign } = of;
  const session = new VaultSession({ http: httpTo(of), namespace, login: vaultLogin(of), clock });
  return new VaultBackEnd({ session, mount, role, issuerRef, sign });
}

function vaultLogin({ login }: AuthorityOfKind<"vault">): VaultLogin {
  if (login.method === "token") {
    return { method: "token", token: () => readSecretFile(login.tokenFile) };
  }
  const { mount, roleIdFile, secretIdFile } = login;
  return {
    method: "approle",
    mount,
    roleId: () => readSecretFile(roleIdFile),
    secretId: () => readSecretFile(secretIdFile),
  };
}

function ejbca(of: AuthorityOfKind<"ejbca">, { random }: Means): RemoteBackEnd {
  const { authority, certificateProfile, endEntityProfile, usernamePrefix, names } = of;
  const profiles = { certificateProfile, endEntityProfile };
  return new EjbcaBackEnd({
    http: httpTo(of),
    authority,
    ...profiles,
    usernamePrefix,
    names,
    random,
  });
}

async function scep(
  of: AuthorityOfKind<"scep">,
  chain: Chain,
  { clock, random }: Means,
): Promise<RemoteBackEnd> {
  const { signer: files, legacyAlgorithms } = of;
  const signer =
    files === undefined
      ? await makeScepSigner(clock, random)
      : readScepSigner(readFileSync(files.certificateFile, "utf8"), readSecretFile(files.keyFile));
  return new ScepBackEnd({ http: httpTo(of), signer, chain, legacyAlgorithms, random });
}

function adcsWeb(of: AuthorityOfKind<"adcs-web">, means: Means): RemoteBackEnd {
  const { template, sanAttribute } = of;
  const attributes = { template, sanAttribute };
  return new AdcsWebBackEnd({ http: httpTo(of), login: adcsLogin(of, means), attributes });
}

function adcsCes(of: AuthorityOfKind<"adcs-ces">, means: Means): RemoteBackEnd {
  const { template, sanAttribute, urls } = of;
  return new AdcsCesBackEnd({
    http: httpTo(of),
    to: urls[0] ?? "",
    login: adcsLogin(of, means),
    attributes: { template, sanAttribute },
    random: means.random,
  });
}

function adcsLogin(
  { login }: AuthorityOfKind<"adcs-web" | "adcs-ces">,
  { clock, random, stateFolder }: Means,
): AdcsLogin {
  if (login.method === "basic") {
    const { user, passwordFile } = login;
    return { method: "basic", user, password: () => readSecretFile(passwordFile) };
  }
  const { keytabFile, principal, channelBinding } = login;
  useKeytab(keytabFile, stateFolder);
  const tickets = new KerberosTickets({ principal, clock, random, load: loadKerberos });
  return { method: "kerberos", tickets, channelBinding };
}

function httpTo(of: AuthorityConfiguration): OutboundHttp {
  const { urls, timeoutMs, caFile } = of;
  const client = "client" in of ? of.client : undefined;
  return new OutboundHttp({
    urls,
    timeoutMs,
    maxAnswerBytes: MAX_ANSWER_BYTES,
    trusted: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
    client: client && {
      certificate: readFileSync(client.certificateFile, "utf8"),
      key: readSecretFile(client.keyFile),
    },
  });
}

function readChain(file: string): Chain {
  const [issuing, ...above] = pemToDer(readFileSync(file, "utf8"), "CERTIFICATE").map(
    parseCertificate,
  );
  if (issuing === undefined || issuing.basicConstraints?.isCa !== true) {
    throw new ConnectorError("issuer-file", `the first certificate in ${file} is not a CA's`);
  }
  return [issuing, ...above];
}

/** What a running service knows of each authority from its last contact. */
export function authorityHealth(authorities: readonly RemoteAuthority[]): HealthCheck[] {
  return authorities.map((authority) => ({
    name: checkNameOf(authority.name),
    run: () => resultOf(authority),
  }));
}

/** For `check`: each authority is asked once. */
export function authorityChecks(
  configurations: Readonly<Record<string, AuthorityConfiguration>>,
  means: Means,
): HealthCheck[] {
  return Object.entries(configurations).map(([name, configuration]) => ({
    name: checkNameOf(name),
    run: async () => {
      using authority = await remoteAuthority(name, configuration, means);
      await authority.probe();
      return resultOf(authority);
    },
  }));
}

function resultOf(authority: RemoteAuthority): CheckResult {
  const obstacle = authority.obstacle();
  if (obstacle === undefined) return { status: "healthy", reason: "it answers" };
  return {
    status: "unhealthy",
    reason: obstacle,
    remedy: `see authorities.${authority.name}: address, TLS trust, credentials and issuerFile; profiles with another authority of the same label go on`,
  };
}
