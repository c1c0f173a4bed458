import { type Logger, pino } from "pino";
import { Registry } from "prom-client";
import { RefusalError } from "../errors.ts";
import type { CommonConfiguration } from "../kernel/common-configuration.ts";
import type { HealthCheck, Kernel, LinkState, WindowLimit } from "../kernel/service-definition.ts";
import { verifyJws } from "../link/jws.ts";
import type { PublicKey, Service } from "../link/messages.ts";
import { systemRandom } from "../random.ts";
import { openStore, type Store } from "../store/store.ts";
import type { Operations } from "../store/transaction.ts";
import { FakeClock } from "./fake-clock.ts";
import { newStorePlace } from "./store-place.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** A kernel for the unit tests of a service: everything real but the link, the clock and the log. */
export interface TestKernel<Local, Rules, Ops extends Operations>
  extends Kernel<Local, Rules, Ops>,
    AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: Store<Ops>;
  /** What the service registered. */
  readonly checks: readonly HealthCheck[];
  readonly figures: ReadonlyMap<string, () => number>;
  readonly facts: ReadonlyMap<string, () => string | undefined>;
  readonly announced: Readonly<Record<string, string>>;
  /** Streams that the service woke, in order. */
  readonly woken: readonly string[];
  setLink(state: Partial<LinkState>): void;
  /** What the service sees as an order to stop. */
  stop(): void;
}

/**
 * A temporary state folder, a real store with the given module, a fake clock, a silent log and an idle link. Windows
 * without an entry in `limits` are unlimited.
 */
export async function makeTestKernel<Local, Rules, Ops extends Operations>(options: {
  readonly service: Service;
  readonly storeModule: URL;
  readonly local: Local;
  readonly guardrails: Rules;
  readonly limits?: Readonly<Record<string, WindowLimit>>;
  readonly tenantKeys?: readonly PublicKey[];
  readonly connectorId?: string;
  /** Silent where it is left out. */
  readonly log?: Logger;
}): Promise<TestKernel<Local, Rules, Ops>> {
  const folder = temporaryFolder();
  const clock = new FakeClock();
  const store = await openStore<Ops>({
    ...(await newStorePlace(folder.path)),
    module: options.storeModule,
  });
  const stopping = new AbortController();
  const checks: HealthCheck[] = [];
  const figures = new Map<string, () => number>();
  const facts = new Map<string, () => string | undefined>();
  const announced: Record<string, string> = {};
  const woken: string[] = [];
  let link: LinkState = {
    connected: false,
    lastContactAt: undefined,
    clockOffsetMs: undefined,
  };
  const tenantKeys = options.tenantKeys ?? [];
  const common: CommonConfiguration = {
    stateFolder: folder.path,
    cloud: { transport: "auto" },
    strict: false,
    health: { address: "127.0.0.1", port: 0 },
    log: { level: "silent" },
  };
  return {
    service: options.service,
    connectorId: options.connectorId ?? "test-connector",
    local: { ...common, ...options.local },
    guardrails: options.guardrails,
    stateFolder: folder.path,
    log: options.log ?? pino({ level: "silent" }),
    clock,
    random: systemRandom,
    store,
    signal: stopping.signal,
    metrics: new Registry(),
    health: {
      register: (check) => void checks.push(check),
      figure: (name, read) => void figures.set(name, read),
      fact: (name, read) => void facts.set(name, read),
    },
    link: { state: () => link, wake: (stream) => void woken.push(stream), tell: () => false },
    limits: {
      consume: countingLimits(options.limits ?? {}, clock),
      windowOf: (kind) => options.limits?.[kind] ?? { max: 1_000_000, perMinutes: 1 },
    },
    announce: (listeners) => void Object.assign(announced, listeners),
    tenantKeys: () => tenantKeys,
    verifyJws: (jws, typ) => verifyForTest(jws, typ, tenantKeys),
    checks,
    figures,
    facts,
    announced,
    woken,
    setLink: (state) => {
      link = { ...link, ...state };
    },
    stop: () => stopping.abort(),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

async function verifyForTest(jws: string, typ: string, keys: readonly PublicKey[]) {
  try {
    return await verifyJws(jws, typ, keys);
  } catch (error) {
    throw new RefusalError("signature-refused", "trust.tenant-key", (error as Error).message);
  }
}

/** Sliding windows in memory, exact to the millisecond. */
function countingLimits(limits: Readonly<Record<string, WindowLimit>>, clock: FakeClock) {
  const uses = new Map<string, number[]>();
  return async (kind: string, count = 1): Promise<void> => {
    const limit = limits[kind];
    if (limit === undefined) return;
    const since = clock.now() - limit.perMinutes * 60_000;
    const recent = (uses.get(kind) ?? []).filter((at) => at > since);
    uses.set(kind, recent);
    if (recent.length + count > limit.max) {
      throw new RefusalError(
        "limit-exceeded",
        `guardrails.commands.limits.${kind}`,
        `${kind} exceeds ${limit.max} in ${limit.perMinutes} minutes`,
      );
    }
    for (let used = 0; used < count; used++) recent.push(clock.now());
  };
}
