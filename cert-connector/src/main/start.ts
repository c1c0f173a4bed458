import type { RunningService } from "@isthmus/shared/kernel/service-definition";
import { commandHandler } from "@isthmus/shared/kernel/service-definition";
import { commandPayloads } from "@isthmus/shared/link/messages";
import { z } from "zod";
import type { DesiredConfiguration } from "../config/desired-configuration.ts";
import { caControls } from "./ca-controls.ts";
import { DirectoryPublications, publicationsResult } from "./directory-publications.ts";
import { logWithEventIds } from "./event-log.ts";
import { startExpiryWatch } from "./expiry-watch.ts";
import { healthChecks } from "./health-checks.ts";
import { importedPfxService } from "./imported-pfx-service.ts";
import { notificationControls } from "./notification-commands.ts";
import { pendingRequests } from "./pending-requests.ts";
import { pkcsService } from "./pkcs-service.ts";
import { startRemoteUpkeep } from "./remote-upkeep.ts";
import { RevocationLoops } from "./revocation-loops.ts";
import { revoke } from "./revoke.ts";
import {
  assembleConnector,
  type CertificateConnector,
  type CertificateKernel,
  openDoors,
} from "./service.ts";
import { shadowControls, shadowMode } from "./shadow.ts";
import { traceService } from "./trace-commands.ts";

/** Starts the connector: completes what a crash left, has a revocation list in force, then opens its doors. */
export async function startCertConnector(
  given: CertificateKernel,
): Promise<RunningService<DesiredConfiguration>> {
  const kernel = { ...given, log: logWithEventIds(given.log) };
  await using starting = new AsyncDisposableStack();
  const connector = await assembleConnector(kernel, starting);
  await connector.replica.enter();
  const { completed, left } = await connector.enrolments.completeUnfinished("embedded");
  if (completed + left > 0) kernel.log.warn({ completed, left }, "enrolment.resumed");
  await connector.registration.start();
  await connector.publisher.start();
  await connector.responder.start();
  await connector.notifications.start();
  startPublications(kernel, connector, starting);
  starting.use(await startExpiryWatch(kernel, connector));
  starting.use(await startRemoteUpkeep(kernel, connector));
  for (const check of healthChecks(kernel, connector)) kernel.health.register(check);
  kernel.health.register({ name: "replicas", run: () => connector.replica.result() });
  connector.replica.serve(connector);
  const shadow = shadowMode(kernel, connector, starting);
  const doors = starting.use(await openDoors(kernel, connector, shadow));
  kernel.announce({ scepUrl: doors.url });
  kernel.health.figure("scep-requests-in-flight", doors.requestsInFlight);
  const pkcs = pkcsService(kernel, connector);
  const trace = traceService(kernel, connector);
  const imported = importedPfxService(kernel, connector);
  const revocations = starting.use(
    new RevocationLoops(kernel, connector, connector.tenants.values()),
  );
  kernel.health.register({ name: "intune-revocations", run: () => revocations.result() });
  const { notifications } = connector;
  kernel.health.figure("notifications-waiting", () => notifications.waiting.count);
  kernel.health.figure("notification-oldest-seconds", () =>
    Math.round(notifications.waiting.oldestMs / 1_000),
  );
  const resources = starting.move();
  return {
    applyConfiguration: async (configuration) => {
      connector.configuration.replace(configuration);
      connector.publisher.reschedule();
    },
    commands: {
      "certificate.revoke": revokeCommand(kernel, connector),
      "certificate.trace": trace.command,
      "certificate.pkcs": pkcs.command,
      "pfx.deliver": imported.command,
    },
    controls: {
      ...controlsOf(kernel, connector),
      ...caControls(kernel, connector),
      ...notificationControls(kernel),
      ...shadowControls(shadow),
      ...imported.controls,
      "certificate.trace": trace.control,
      "certificate.pkcs": pkcs.control,
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function revokeCommand(kernel: CertificateKernel, connector: CertificateConnector) {
  return commandHandler({
    payload: commandPayloads["certificate.revoke"],
    run: async ({ serialNumber, reason }) => {
      await kernel.limits.consume("certificate-revocations");
      const state = await revoke(kernel, connector, { serialNumber, reason, actor: "cloud" });
      return { serialNumber, state };
    },
  });
}

const revocationRequest = commandPayloads["certificate.revoke"];
const pendingDecision = z.object({ pendingId: z.number().int() });

/** What the command line asks of the running service. */
function controlsOf(kernel: CertificateKernel, connector: CertificateConnector) {
  const { enrolments, configuration, ledger } = connector;
  return {
    "certificate.revoke": async (argument: unknown) => {
      const order = { ...revocationRequest.parse(argument), actor: "local" };
      return { serialNumber: order.serialNumber, state: await revoke(kernel, connector, order) };
    },
    "request.list": () => pendingRequests(kernel.store),
    "request.approve": async (argument: unknown) => {
      const { pendingId } = pendingDecision.parse(argument);
      await enrolments.approve(pendingId, (id) => configuration.profile(id));
      return { pendingId, state: "approved" };
    },
    "request.reject": async (argument: unknown) => {
      const { pendingId } = pendingDecision.parse(argument);
      const at = kernel.clock.now();
      const wasWaiting = await ledger.rejectPending({ pendingId, actor: "local", at });
      return { pendingId, state: wasWaiting ? "rejected" : "not-waiting" };
    },
  };
}

/** Directories get what they lack from now on. */
function startPublications(
  kernel: CertificateKernel,
  { directories, publisher }: CertificateConnector,
  resources: AsyncDisposableStack,
): void {
  if (directories.size === 0) return;
  const parts = { kernel, directories, currentList: () => publisher.current };
  resources.use(new DirectoryPublications(parts)).start();
  kernel.health.register({
    name: "directory-publications",
    run: () => publicationsResult(kernel),
  });
}
