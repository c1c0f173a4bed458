import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { systemClock } from "../clock.ts";
import type { Store } from "../store/store.ts";
import { openStore } from "../store/store.ts";
import type { Operations } from "../store/transaction.ts";
import type { CommonConfiguration } from "./common-configuration.ts";
import type { ConnectorOperations } from "./connector-operations.ts";
import { type ConnectorSource, connectorSource } from "./connector-source.ts";
import { type FileAsRead, rememberFile } from "./file-as-read.ts";
import {
  builtInGuardrails,
  type Guardrails,
  inspectGuardrailsFile,
  loadGuardrails,
} from "./guardrails-file.ts";
import { HealthBoard } from "./health.ts";
import type { Lifetime } from "./lifetime.ts";
import { processMetrics } from "./process-metrics.ts";
import type { ServiceDefinition } from "./service-definition.ts";
import { holdStateFolder, type StateFolder, stateFolderAt } from "./state-folder.ts";
import { storePlaceOf } from "./store-place.ts";
import { Trust } from "./trust.ts";
import { SUITE_VERSION } from "./version.ts";

/** What stands before a service is started. */
export interface Foundation<Rules> {
  readonly log: Logger;
  readonly folder: StateFolder;
  readonly source: ConnectorSource;
  /** The id at the control plane, or `standalone`. */
  readonly connectorId: string;
  readonly trust: Trust;
  readonly guardrails: Guardrails<Rules>;
  readonly guardrailsFault: ReturnType<typeof inspectGuardrailsFile>;
  /** Configuration and guardrails, which are in force as they were at the start. */
  readonly files: readonly FileAsRead[];
  readonly store: Store<ConnectorOperations>;
  readonly board: HealthBoard;
  readonly metrics: Registry;
  readonly startedAt: number;
}

/**
 * Takes the state folder, finds out who the connector is and what binds it, and opens its store.
 *
 * @throws ConnectorError for whatever a person has to mend first.
 */
export async function layFoundation<Local, Desired, Rules, Ops extends Operations>(
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
): Promise<Foundation<Rules>> {
  const { service } = definition;
  const folder = stateFolderAt(local.stateFolder);
  const guardrailsFault = inspectGuardrailsFile(local.guardrailsFile, local.strict);
  if (guardrailsFault !== undefined) log.warn(guardrailsFault, "guardrails.weak");
  const rules = local.guardrailsFile === undefined ? undefined : rememberFile(local.guardrailsFile);
  const guardrails = readGuardrails(definition, local.guardrailsFile);
  lifetime.resources.use(holdStateFolder(folder));
  const source = connectorSource(service, folder, local);
  const store = await openStore<ConnectorOperations>({
    ...storePlaceOf(definition, local),
    module: definition.storeModule,
  });
  lifetime.resources.use(store);
  void store.failed.then((reason) => lifetime.fail(reason));
  const startedAt = systemClock.now();
  await store.run("recordAudit", {
    at: startedAt,
    event: "connector.started",
    payload: {
      version: SUITE_VERSION,
      mode: source.kind,
      guardrails: guardrails.source,
      guardrailsSha256: rules?.sha256 ?? null,
    },
  });
  lifetime.resources.defer(async () => {
    await store.run("recordAudit", {
      at: systemClock.now(),
      event: "connector.stopped",
      payload: {},
    });
  });
  return {
    log,
    folder,
    source,
    connectorId: source.kind === "cloud" ? source.identity.connectorId : "standalone",
    trust: Trust.load(folder.trustFile, systemClock),
    guardrails,
    guardrailsFault,
    files: [configuration, rules].filter((file) => file !== undefined),
    store,
    board: new HealthBoard(systemClock),
    metrics: processMetrics(service),
    startedAt,
  };
}

/** The guardrails in force: the file's, or the service's built-in ones. @throws ConfigurationError */
export function readGuardrails<Local, Desired, Rules, Ops extends Operations>(
  {
    service,
    guardrails,
    builtInGuardrails: builtIn,
  }: Pick<
    ServiceDefinition<Local, Desired, Rules, Ops>,
    "service" | "guardrails" | "builtInGuardrails"
  >,
  file: string | undefined,
): Guardrails<Rules> {
  return file === undefined
    ? builtInGuardrails(service, guardrails, builtIn)
    : loadGuardrails(service, guardrails, file);
}
