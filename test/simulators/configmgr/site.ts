import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { ConnectorError } from "@isthmus/shared/errors";
import {
  type TestIdentity,
  testAuthority,
  testCertificate,
} from "@isthmus/shared/testing/certificate-authority";
import { subjectAltNameExtension } from "@isthmus/shared/x509/extensions";
import { derToPem } from "@isthmus/shared/x509/pem";
import type { Change, MadeChange } from "./changes.ts";
import { type FaultRule, Faults } from "./faults.ts";
import type { Execution } from "./operations.ts";
import { Pace } from "./pace.ts";
import { Provider, type SeenRequest } from "./provider.ts";
import type { Limits, SiteOptions } from "./site-options.ts";
import { SiteState } from "./site-state.ts";

/** A Configuration Manager site that answers the AdminService over HTTPS. */
export interface Site extends AsyncDisposable {
  /** `https://localhost:port`, without the route. */
  readonly url: string;
  readonly port: number;
  /** What the provider's certificate chains to, in PEM. */
  readonly caPem: string;
  /** Of the provider. */
  readonly certificate: Uint8Array;
  /** Returns the ResourceID it is about, which for `add` is new. */
  change(change: Change): number | undefined;
  /** Those of the script, too. */
  changes(): readonly MadeChange[];
  /** Everything that ran on any device, in order. */
  executions(): readonly Execution[];
  /** What ran more than once on one device, as `<resource> <kind> <what>` with its count. */
  repeated(): ReadonlyMap<string, number>;
  /** Returns a function that takes the rule back. */
  fault(rule: FaultRule): () => void;
  clearFaults(): void;
  /** How many answers faults have touched since the start, by the names of their rules, and `narrowed`. */
  strikes(): ReadonlyMap<string, number>;
  limit(limits: Limits): void;
  /** The provider's clock is ahead by so much. */
  skewClock(ms: number): void;
  /** Rights are narrowed: of all devices only this share is seen, with 200. 1 shows all again. */
  narrow(share: number): void;
  /** The last of them. */
  requests(): readonly SeenRequest[];
  /** All requests and rows since the start. */
  load(): { readonly requests: number; readonly rows: number };
  mostInFlight(): number;
  backup(): Backup;
  /** The provider starts again with what it was; what devices did since then they did. */
  restore(backup: Backup): void;
  /** Cuts all connections. */
  cutConnections(): void;
  readonly state: SiteState;
}

export type Backup = ReturnType<SiteState["backup"]>;

const DAY_MS = 86_400_000;
/** As http.sys, which the AdminService stands on; Node's own would be 5 s. */
const IDLE_CONNECTION_MS = 120_000;

export async function startSite(options: SiteOptions = {}): Promise<Site> {
  const state = new SiteState(options);
  const faults = new Faults(options.faults ?? []);
  const pace = new Pace(options.limits ?? {});
  const { authority, provider: identity } = await certificates(options);
  const provider = new Provider(state, faults, pace, identity.certificate.der);
  const server = createServer(
    {
      cert: derToPem(identity.certificate.der, "CERTIFICATE"),
      key: identity.key.export({ type: "pkcs8", format: "pem" }),
      keepAliveTimeout: IDLE_CONNECTION_MS,
    },
    (request, response) => {
      provider.serve(request, response).catch((error: unknown) => {
        const isTooLarge = error instanceof ConnectorError && error.code === "body-too-large";
        // A fault of the simulator must not look like one of the site.
        if (response.headersSent) response.destroy();
        else if (isTooLarge) response.writeHead(413, { connection: "close" }).end();
        else response.writeHead(599, { "content-type": "text/plain" }).end(String(error));
      });
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, options.host ?? "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}`,
    port,
    caPem: derToPem(authority.certificate.der, "CERTIFICATE"),
    certificate: identity.certificate.der,
    state,
    change: (change) => {
      state.catchUp();
      return state.changes.make(change);
    },
    changes: () => {
      state.catchUp();
      return state.changes.made;
    },
    executions: () => {
      state.catchUp();
      return state.operations.executions();
    },
    repeated: () => {
      state.catchUp();
      return repeatedIn(state.operations.executions());
    },
    fault: (rule) => faults.add(rule),
    clearFaults: () => faults.clear(),
    strikes: () => new Map([...faults.strikes, ["narrowed", faults.narrowed]]),
    limit: (limits) => {
      pace.limits = limits;
    },
    skewClock: (ms) => {
      state.skewMs = ms;
    },
    narrow: (share) => {
      state.hidden = share >= 1 ? undefined : (device) => device.bits(900) / 0x1_0000_0000 >= share;
    },
    requests: () => provider.requests,
    load: () => provider.load,
    mostInFlight: () => pace.mostInFlight,
    backup: () => state.backup(),
    restore: (backup) => {
      const before = deviceIds(state);
      state.restore(backup);
      state.changes.restored(differing(before, deviceIds(state)));
      server.closeAllConnections();
    },
    cutConnections: () => server.closeAllConnections(),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function deviceIds({ fleet }: SiteState): Set<number> {
  return new Set([...fleet.between(-Infinity, Infinity)].map(({ id }) => id));
}

function differing(one: ReadonlySet<number>, other: ReadonlySet<number>): number[] {
  return [...one, ...other].filter((id) => one.has(id) !== other.has(id));
}

function repeatedIn(executions: readonly Execution[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { resourceId, kind, what, parameters } of executions) {
    const key = `${resourceId} ${kind} ${what} ${JSON.stringify(parameters)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return new Map([...counts].filter(([, count]) => count > 1));
}

/** A provider's certificate comes from the site's own authority, which no machine outside the site trusts. */
async function certificates({ providerFqdn = "cm1.corp.test" }: SiteOptions): Promise<{
  readonly authority: TestIdentity;
  readonly provider: TestIdentity;
}> {
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + 365 * DAY_MS };
  const authority = await testAuthority({ subject: "CN=SMS Issuing", ...validity });
  const provider = await testCertificate(
    {
      ...{ subject: `CN=${providerFqdn}`, serialNumber: "4003", ...validity },
      extensions: [
        subjectAltNameExtension([
          { type: "dns", value: providerFqdn },
          { type: "dns", value: "localhost" },
          { type: "ip", value: "127.0.0.1" },
        ]),
      ],
    },
    authority,
  );
  return { authority, provider };
}
