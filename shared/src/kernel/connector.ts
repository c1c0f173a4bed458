import type { Logger } from "pino";
import { systemClock } from "../clock.ts";
import { type ConnectorLink, startLink } from "../link/connector-link.ts";
import {
  commandPayloads,
  type HealthSnapshot,
  JWS_TYPES,
  signedConfiguration,
} from "../link/messages.ts";
import { systemRandom } from "../random.ts";
import type { Store } from "../store/store.ts";
import type { Operations } from "../store/transaction.ts";
import { AuditKeeper } from "./audit-keeper.ts";
import { AUDIT_STREAM } from "./audit-operations.ts";
import { CommandGuard } from "./command-guard.ts";
import type { CommonConfiguration } from "./common-configuration.ts";
import { registerKernelChecks, unknownKinds } from "./connector-checks.ts";
import { connectorControl } from "./connector-control.ts";
import { type Foundation, layFoundation } from "./connector-foundation.ts";
import { connectorHooks } from "./connector-hooks.ts";
import { cloudAccess } from "./connector-source.ts";
import { type ControlHandlers, serveControlSocket } from "./control-socket.ts";
import { DesiredConfiguration, type OfferedConfiguration } from "./desired-configuration.ts";
import type { FileAsRead } from "./file-as-read.ts";
import { startHealthListener } from "./health-listener.ts";
import { everyHour } from "./housekeeping.ts";
import type { Identity } from "./identity.ts";
import type { Lifetime } from "./lifetime.ts";
import { storedLimits } from "./limits.ts";
import { writeRunFile } from "./run-file.ts";
import {
  type CommandHandler,
  commandHandler,
  type Kernel,
  type KernelLink,
  type RunningService,
  type ServiceDefinition,
} from "./service-definition.ts";
import { openStandalone, watchStandaloneFile } from "./standalone-file.ts";
import { SUITE_VERSION } from "./version.ts";

// biome-ignore lint/suspicious/noExplicitAny: handlers of differently typed payloads
type Handlers = Readonly<Record<string, CommandHandler<any>>>;

/**
 * Starts a connector: foundation, service, what was last in force, then the control plane (or the standalone file), and
 * last `run.json`, which says that it is ready. Everything it owns is on `lifetime.resources`, in the order of its start.
 *
 * @throws ConnectorError for whatever a person has to mend before it can start.
 */
export async function startConnector<Local, Desired, Rules, Ops extends Operations>(
  definition: ServiceDefinition<Local, Desired, Rules, Ops>,
  {
    local,
    configuration,
  }: {
    readonly local: Local & CommonConfiguration;
    readonly configuration: FileAsRead | undefined;
  },
  log: Logger,
  lifetime: Lifetime,
): Promise<void> {
  const { resources, signal } = lifetime;
  const base = await layFoundation(definition, { local, configuration }, log, lifetime);
  const connector = new Connector(definition, local, base);
  const health = await startHealthListener({
    ...local.health,
    board: base.board,
    metrics: base.metrics,
    isStarted: () => connector.isReady,
  });
  resources.use(health);
  signal.throwIfAborted();
  const service = await definition.start(connector.kernel(signal));
  resources.use(service);
  signal.throwIfAborted();
  await connector.connect(service, lifetime);
  signal.throwIfAborted();
  await connector.announceReady(health.url, service.controls ?? {}, lifetime);
}

/** The parts of one running connector and how they find each other. */
class Connector<Local, Desired, Rules, Ops extends Operations> {
  readonly #definition: ServiceDefinition<Local, Desired, Rules, Ops>;
  readonly #local: Local & CommonConfiguration;
  readonly #base: Foundation<Rules>;
  readonly #listeners: Record<string, string> = {};
  #link: ConnectorLink | undefined;
  #desired: DesiredConfiguration<Desired> | undefined;
  isReady = false;

  constructor(
    definition: ServiceDefinition<Local, Desired, Rules, Ops>,
    local: Local & CommonConfiguration,
    base: Foundation<Rules>,
  ) {
    this.#definition = definition;
    this.#local = local;
    this.#base = base;
    base.board.publishTo(base.metrics);
  }

  /** What the service is given. */
  kernel(signal: AbortSignal): Kernel<Local, Rules, Ops> {
    const { folder, log, store, board, metrics, connectorId, trust, guardrails } = this.#base;
    return {
      service: this.#definition.service,
      local: this.#local,
      guardrails: guardrails.rules,
      stateFolder: folder.path,
      log,
      clock: systemClock,
      random: systemRandom,
      store: store as unknown as Store<Ops>,
      signal,
      health: board,
      metrics,
      limits: this.#limits(),
      link: this.#kernelLink(),
      connectorId,
      announce: (listeners) => void Object.assign(this.#listeners, listeners),
      tenantKeys: () => trust.accepted(),
      verifyJws: (jws, typ) => trust.verify(jws, typ),
    };
  }

  /** Puts in force what was last in force, then listens to where new configuration and commands come from. */
  async connect(service: RunningService<Desired>, lifetime: Lifetime): Promise<void> {
    const { store, connectorId, source, board, guardrails, guardrailsFault, files } = this.#base;
    const desired = new DesiredConfiguration({
      source: connectorId,
      schema: this.#definition.desiredConfiguration,
      service,
      store,
      clock: systemClock,
    });
    this.#desired = desired;
    const audit = new AuditKeeper(store, systemClock);
    const handlers: Handlers = { ...service.commands, "health.report": this.#healthReport() };
    registerKernelChecks(board, {
      store,
      desired,
      audit,
      guardrailsFault,
      files,
      unknownKinds: unknownKinds(guardrails.commands, handlers),
      linkState: source.kind === "cloud" ? () => this.#linkState() : undefined,
    });
    await desired.applyKept((document) => this.#openKept(document));
    if (source.kind === "standalone") await this.#standAlone(source.file, desired, lifetime);
    else await this.#linkUp(source.identity, { service, handlers, desired, audit }, lifetime);
  }

  /** Opens the control socket and writes `run.json`. */
  async announceReady(
    healthUrl: string,
    controls: ControlHandlers,
    { resources }: Lifetime,
  ): Promise<void> {
    const { folder, log, store, trust, connectorId, startedAt, source } = this.#base;
    const control = connectorControl({
      store,
      trust,
      connectorId,
      link: this.#link,
      status: () => this.#status(healthUrl),
      record: (event, payload) => this.#audit(event, payload),
    });
    const all = { ...controls, ...control };
    resources.use(await serveControlSocket(folder.controlSocket, all, log));
    resources.use(
      writeRunFile(folder.runFile, {
        pid: process.pid,
        service: this.#definition.service,
        version: SUITE_VERSION,
        mode: source.kind,
        connectorId,
        startedAt,
        healthUrl,
        files: this.#base.files,
        ...this.#listeners,
      }),
    );
    this.isReady = true;
    const listeners = { healthUrl, ...this.#listeners };
    log.info({ connectorId, mode: source.kind, listeners }, "connector.ready");
  }

  async #standAlone(
    file: string,
    desired: DesiredConfiguration<Desired>,
    { resources }: Lifetime,
  ): Promise<void> {
    const { log, store } = this.#base;
    resources.use(await watchStandaloneFile(file, desired, log));
    const trim = () => store.run("trimStandaloneStreams");
    resources.use(everyHour(trim, (error) => log.error({ err: error }, "streams.not-trimmed")));
  }

  async #linkUp(
    identity: Identity,
    parts: {
      readonly service: RunningService<Desired>;
      readonly handlers: Handlers;
      readonly desired: DesiredConfiguration<Desired>;
      readonly audit: AuditKeeper;
    },
    { resources }: Lifetime,
  ): Promise<void> {
    const { log, store, trust, guardrails, board } = this.#base;
    const { handlers, desired, audit } = parts;
    const { service } = this.#definition;
    const onInventory = parts.service.onInventory?.bind(parts.service);
    const limits = this.#limits();
    const guard = new CommandGuard({ guardrails, handlers, limits, clock: systemClock });
    const snapshot = () => board.snapshot(this.#about(), true);
    const clock = systemClock;
    const hooks = connectorHooks({
      store,
      clock,
      log,
      service: this.#definition.service,
      guard,
      handlers,
      desired,
      trust,
      audit,
      snapshot,
      wakeAudit: () => this.#link?.wake(AUDIT_STREAM),
      onInventory,
    });
    const { connectorId, privateKey, linkUrl } = identity;
    this.#link = await startLink({
      identity: { connectorId, service, privateKey },
      url: linkUrl,
      ...cloudAccess(this.#local.cloud, identity.cloudCa),
      transport: this.#local.cloud.transport,
      store,
      tenantKeys: () => trust.accepted(),
      hooks,
      clock,
      random: systemRandom,
      log,
    });
    resources.use(this.#link);
    resources.defer(async () => parts.service.leave?.());
  }

  /** A kept document was authentic when it came, by a key that may be retired by now. */
  async #openKept(document: string): Promise<OfferedConfiguration> {
    const { source, trust } = this.#base;
    if (source.kind === "standalone") return openStandalone(document, source.file);
    const payload = await trust.verify(document, JWS_TYPES.configuration, trust.ever());
    const { version, configuration } = signedConfiguration.parse(payload);
    return { version, configuration, document };
  }

  #healthReport(): CommandHandler<unknown> {
    return commandHandler({
      payload: commandPayloads["health.report"],
      run: async () => this.#link?.wake("health"),
    });
  }

  #kernelLink(): KernelLink {
    return {
      state: () => this.#linkState(),
      wake: (stream) => this.#link?.wake(stream),
      tell: (message) => this.#link?.tell(message) ?? false,
    };
  }

  #linkState() {
    return this.#link?.state() ?? NOT_LINKED;
  }

  #limits() {
    const { store, guardrails } = this.#base;
    return storedLimits(store, guardrails, systemClock);
  }

  #about(): Pick<HealthSnapshot, "service" | "version" | "startedAt"> {
    const { startedAt } = this.#base;
    return { service: this.#definition.service, version: SUITE_VERSION, startedAt };
  }

  async #status(healthUrl: string) {
    const { source, connectorId, guardrails, board } = this.#base;
    return {
      pid: process.pid,
      mode: source.kind,
      connectorId,
      configurationVersion: this.#desired?.version ?? 0,
      guardrails: guardrails.source,
      health: await board.snapshot(this.#about(), true),
      listeners: { healthUrl, ...this.#listeners },
    };
  }

  #audit(event: string, payload: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#base.store.run("recordAudit", { at: systemClock.now(), event, payload });
  }
}

const NOT_LINKED = {
  connected: false,
  lastContactAt: undefined,
  clockOffsetMs: undefined,
  sessionNo: undefined,
  lastError: undefined,
  isRefused: false,
};
