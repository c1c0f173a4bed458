import { join } from "node:path";
import {
  DirectorySource,
  type DirectorySourceSettings,
} from "@isthmus/comgmt-bridge/directory/directory-source";
import type { RememberingSink } from "@isthmus/comgmt-bridge/testing/remembering-sink";
import { systemRandom } from "@isthmus/shared/random";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { Attribute, Change, Client } from "ldapts";
import { expect, type TestContext } from "vitest";
import { type LdapWatch, startLdapWatch } from "./ldap-watch.ts";
import { type SambaDomain, startSambaDomain, userAttributes } from "./samba-domain.ts";

/** A domain made by Samba, behind a relay that cuts off what Microsoft's controllers would not give: over 1,000 rows. */

export const MAX_PAGE_SIZE = 1_000;
export const COMPUTERS = 2_100;
export const MEMBERS = 60;
export const DAY_MS = 86_400_000;
export const GROUPS_MS = 900_000;

export interface ReadDomain {
  readonly domain: SambaDomain;
  readonly watch: LdapWatch;
  readonly admin: Client;
}

export const computer = (name: string, attributes: Record<string, string> = {}) => ({
  relativeDn: `CN=${name},OU=Machines`,
  attributes: {
    ...{ objectClass: "computer", sAMAccountName: `${name}$`, userAccountControl: "4096" },
    ...{ dNSHostName: `${name.toLowerCase()}.corp.test`, operatingSystem: "Windows 11" },
    ...attributes,
  },
});

/** The domain is filled, and stays until `stack` is disposed. */
export async function startReadDomain(
  context: TestContext,
  stack: AsyncDisposableStack,
): Promise<ReadDomain> {
  const domain = stack.use(await startSambaDomain(context));
  const ou = (name: string) => ({
    relativeDn: name,
    attributes: { objectClass: "organizationalUnit" },
  });
  const numbered = (count: number, name: string) =>
    Array.from({ length: count }, (_, at) => `${name}-${String(at).padStart(4, "0")}`);
  await domain.add([
    ...[ou("OU=Machines"), ou("OU=People"), ou("OU=Berlin,OU=People")],
    ...numbered(COMPUTERS, "PC").map((name) => computer(name)),
    ...numbered(MEMBERS, "user").map((name) => ({
      relativeDn: `CN=${name},OU=Berlin,OU=People`,
      attributes: { ...userAttributes(name, "Passw0rd.2"), userPrincipalName: `${name}@corp.test` },
    })),
    {
      relativeDn: "CN=Everybody\\, all of us,OU=People",
      attributes: { objectClass: "group", sAMAccountName: "everybody" },
    },
    {
      relativeDn: "CN=reader,CN=Users",
      attributes: {
        ...userAttributes("reader", "Passw0rd.3"),
        userPrincipalName: "reader@corp.test",
      },
    },
  ]);
  const { address, ca, administrator, folder, baseDn } = domain;
  const admin = new Client({ url: `ldaps://${address}`, tlsOptions: { ca } });
  stack.defer(() => admin.unbind());
  await admin.bind(administrator.dn, administrator.password);
  const members = numbered(MEMBERS, "user").map(
    (name) => `CN=${name},OU=Berlin,OU=People,${baseDn}`,
  );
  await admin.modify(
    `CN=Everybody\\, all of us,OU=People,${baseDn}`,
    change("add", "member", ...members),
  );
  const watch = stack.use(
    await startLdapWatch({
      ...{ host: address, ca, maxRows: MAX_PAGE_SIZE },
      ...{ certificateFile: join(folder, "dc.pem"), keyFile: join(folder, "dc.key") },
    }),
  );
  return { domain, watch, admin };
}

export const change = (
  operation: "add" | "delete" | "replace",
  type: string,
  ...values: string[]
) => new Change({ operation, modification: new Attribute({ type, values }) });

interface Changes {
  readonly bind?: { readonly dn: string; readonly password: string };
  readonly limits?: Partial<DirectorySourceSettings["limits"]>;
}

export function settingsOf(
  { domain, watch }: ReadDomain,
  { bind, limits }: Changes = {},
): DirectorySourceSettings {
  const { dn, password } = bind ?? domain.administrator;
  return {
    address: {
      ...{ name: "corp.test", urls: [`ldaps://localhost:${watch.port}`], ca: domain.ca },
      ...{ startTls: true, bindDn: dn, password: () => password, timeoutMs: 30_000 },
    },
    baseDn: domain.baseDn,
    kinds: ["device", "user", "group"],
    limits: {
      ...{ pageRows: 1_000, rangeValues: 1_500, maxMembers: 5_000, maxObjects: 100_000 },
      ...{ timeoutMs: 30_000, ...limits },
    },
    changesMs: 60_000,
    fullReadMs: DAY_MS,
    groupsAfterDeletionMs: GROUPS_MS,
    fullReadWithoutDirSyncMs: 3_600_000,
  };
}

/** Runs a source until it waits, so many rounds; then it is stopped, as at the end of a lease. */
export async function rounds(
  settings: DirectorySourceSettings,
  sink: RememberingSink,
  { clock = new FakeClock(Date.now()), count = 1 } = {},
) {
  const ending = new AbortController();
  let waited = 0;
  const source = new DirectorySource(settings, {
    ...{ clock, random: systemRandom, onFault: () => {} },
    pause: async () => {
      waited += 1;
      if (waited === count) ending.abort(new Error("enough"));
      ending.signal.throwIfAborted();
    },
  });
  await expect(source.run(sink, ending.signal)).rejects.toThrow("enough");
  return source;
}
