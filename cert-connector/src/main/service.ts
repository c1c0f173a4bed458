import { createHash } from "node:crypto";
import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import { readSecretFile } from "@isthmus/shared/kernel/secret-file";
import type { Kernel } from "@isthmus/shared/kernel/service-definition";
import { publicKeyOf, verifyJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES, MAX_CLOCK_OFFSET_MS } from "@isthmus/shared/link/messages";
import type { Certificate } from "@isthmus/shared/x509/certificate";
import { keyIdentifierOf } from "@isthmus/shared/x509/public-key";
import { embeddedAuthority } from "../ca/embedded-authority.ts";
import { OcspResponder } from "../ca/ocsp-responder.ts";
import { RevocationPublisher } from "../ca/revocation-publisher.ts";
import { rootLists } from "../ca/root-list.ts";
import { signedChallenge } from "../cloud/signed-challenge.ts";
import type { Guardrails } from "../config/guardrails.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import { Authorities } from "../core/authorities.ts";
import { ConfigurationInForce } from "../core/configuration-in-force.ts";
import { EnrolmentService } from "../core/enrolment-service.ts";
import { failureRecords } from "../core/failure-records.ts";
import { issuanceGuard } from "../core/issuance-guard.ts";
import type { ChallengeVerifier } from "../core/ports.ts";
import { clockOffsetObstacle } from "../core/signing-obstacle.ts";
import { staticChallenge } from "../core/static-challenge.ts";
import { type HttpListener, startHttpListener } from "../device/http-listener.ts";
import { IssuanceGate } from "../device/issuance-gate.ts";
import { PublicationHandler } from "../device/publication-handler.ts";
import { ScepHandler } from "../device/scep-handler.ts";
import { ScepOperations } from "../device/scep-operations.ts";
import type { ShadowMode } from "../device/shadow-mode.ts";
import { intuneChallenge } from "../intune/intune-challenge.ts";
import { intuneNotifier } from "../intune/intune-notifier.ts";
import type { CertificateOperations } from "../store/operations.ts";
import { storeLedger } from "../store/store-ledger.ts";
import { webhookChallenge } from "../webhook/webhook-challenge.ts";
import { webhookNotifier } from "../webhook/webhook-notifier.ts";
import { AuthorityRevocations } from "./authority-revocations.ts";
import { localChallengeKey } from "./challenge-key.ts";
import { accountsIn, openDirectories } from "./directories.ts";
import { openAuthority } from "./hsm.ts";
import { issuanceMetrics } from "./issuance-metrics.ts";
import { Notifications } from "./notifications.ts";
import {
  ownRegistration,
  profileAuthorities,
  registrationAuthority,
  registrationCustodies,
  testRegistration,
} from "./registration.ts";
import { remoteAuthorities } from "./remote-authorities.ts";
import { Replica } from "./replica.ts";
import { revoke } from "./revoke.ts";
import { logReport, tracedMessage } from "./scep-report.ts";
import { openTenants } from "./tenants.ts";
import { TraceRecorder } from "./trace-recorder.ts";
import { wakingLedger } from "./waking-ledger.ts";
import { openWebhooks } from "./webhooks.ts";

const RESPONDER_ISSUED = "ocsp.responder-issued";

export type CertificateKernel = Kernel<LocalConfiguration, Guardrails, CertificateOperations>;

/** Everything of a running connector, put together. */
export type CertificateConnector = Awaited<ReturnType<typeof assembleConnector>>;

/**
 * Builds the connector and completes what a crash left; nothing listens yet. What it opens goes onto `resources`.
 */
export async function assembleConnector(
  kernel: CertificateKernel,
  resources: AsyncDisposableStack,
) {
  const { local, clock, random, log } = kernel;
  const replica = resources.use(new Replica(kernel));
  const { files, hsm } = await openAuthority(local, resources, log);
  await testRegistration(files);
  const registration = resources.use(
    registrationAuthority(kernel, files, registrationCustodies(local, files, hsm), replica.holders),
  );
  const own = ownRegistration(files, local.envelopeThreads);
  if (own !== undefined) resources.use(own);
  const authority = embeddedAuthority(files, () => hsm?.fault?.message);
  const remote = await remoteAuthorities(local.authorities, kernel, resources);
  const authorities = new Authorities([authority, ...remote]);
  const authorityRevocations = resources.use(new AuthorityRevocations(kernel, authorities));
  const ledger = wakingLedger(storeLedger(kernel.store, clock), () => kernel.link.wake("issuance"));
  const secrets = staticSecrets(local);
  const metrics = issuanceMetrics(kernel.metrics);
  const { max, perMinutes } = kernel.limits.windowOf("certificate-issuance");
  const guard = issuanceGuard(kernel.guardrails, { max, windowMs: perMinutes * 60_000 });
  const configuration = new ConfigurationInForce(guard, {
    authorities: authorities.names,
    ownRegistration: new Set(own === undefined ? [] : [authority.name]),
    secrets: new Set(secrets.keys()),
    tenants: new Set(Object.keys(local.tenants)),
    webhooks: new Set(Object.keys(local.webhooks)),
    directories: new Set(Object.keys(local.directories)),
  });
  const recordFailure = failureRecords(ledger, clock, metrics.countSuppressed);
  const signingObstacle = clockOffsetObstacle(
    () => kernel.link.state().clockOffsetMs,
    MAX_CLOCK_OFFSET_MS,
  );
  const tenants = openTenants(kernel, resources);
  const webhooks = openWebhooks(kernel, resources);
  const directories = openDirectories(local.directories, resources);
  const notifications = resources.use(
    new Notifications(kernel, {
      owner: replica.owner,
      notifiers: {
        intune: intuneNotifier((name) => tenants.get(name)?.validation),
        webhook: webhookNotifier((name) => webhooks.get(name)),
      },
      revoke: async ({ certificateSerialNumber, issuingCertificateAuthority: issuer }) => {
        const serialNumber = certificateSerialNumber.toLowerCase();
        const reason = "cessationOfOperation";
        const order = { serialNumber, issuer, reason, actor: "outbox" } as const;
        await revoke(kernel, { ledger, authorityRevocations, publisher }, order);
      },
    }),
  );
  const enrolments = new EnrolmentService({
    ledger,
    authorities,
    challenges: {
      signed: challengesOf(kernel),
      static: staticChallenge((name) => secrets.get(name)),
      intune: intuneChallenge((name) => tenants.get(name)?.validation),
      webhook: webhookChallenge((name) => webhooks.get(name)),
    },
    directories: accountsIn(directories),
    guard,
    signingObstacle,
    recordFailure,
    tellAuthority: (of) => authorityRevocations.tell(of),
    notifications,
    publicUrls: () => configuration.publicUrls,
    clock,
    random,
  });
  const publisher = resources.use(
    new RevocationPublisher({
      authority,
      ledger,
      clock,
      schedule: () => configuration.crl,
      onFailure: (error) => log.error({ err: error }, "revocation-list.failed"),
      onPublished: ({ number, nextUpdate }) =>
        log.info({ number, nextUpdate }, "revocation-list.published"),
    }),
  );
  const responder = new OcspResponder({
    files,
    isRegistration: (serialNumber) => registration.hasIssued(serialNumber),
    issuerKeyId: authority.issuer().keyId,
    ledger,
    listNumber: () => publisher.current?.number,
    clock,
    random,
    onResponder: async ({ serialNumber, notAfter }) => {
      const payload = { serialNumber, notAfter };
      await kernel.store.run("recordAudit", { at: clock.now(), event: RESPONDER_ISSUED, payload });
      log.info(payload, RESPONDER_ISSUED);
    },
  });
  const authorityOf = profileAuthorities({ files, authorities, registration, own, publisher });
  const traces = resources.use(
    new TraceRecorder({
      store: kernel.store,
      clock,
      onError: (error) => log.error({ err: error }, "trace.not-kept"),
      onDropped: metrics.countUntraced,
    }),
  );
  const operations = new ScepOperations({
    enrolments,
    ledger,
    authorityOf,
    gate: new IssuanceGate(clock),
    clock,
    random,
    recordFailure,
    report: (report) => {
      metrics.count(report);
      logReport(log, report);
      traces.keep(tracedMessage(report));
    },
  });
  return {
    files,
    guard,
    hsm,
    replica,
    registration,
    authorityOf,
    authority,
    authorities,
    remote,
    authorityRevocations,
    ledger,
    configuration,
    enrolments,
    notifications,
    tenants,
    directories,
    publisher,
    responder,
    operations,
    traces,
  };
}

/** Starts what devices and relying parties reach. */
export function openDoors(
  kernel: CertificateKernel,
  {
    files,
    authority,
    authorityOf,
    configuration,
    publisher,
    responder,
    operations,
  }: CertificateConnector,
  shadow?: ShadowMode,
): Promise<HttpListener> {
  const { local, clock, log } = kernel;
  const chain = [files.issuing.certificate, files.root];
  const scep = new ScepHandler({
    operations,
    authorityOf,
    clock,
    profileAt: (path) => configuration.profileAt(path),
  });
  const publication = new PublicationHandler({
    issuerKeyId: authority.issuer().keyId,
    chain: chain.map((certificate) => ({ keyId: keyIdOf(certificate), certificate })),
    currentList: () => publisher.current,
    otherLists: rootLists(files),
    ocsp: (request) => responder.answer(request),
    clock,
  });
  return startHttpListener({
    ...local.listen,
    scep,
    publication,
    isConfigured: () => configuration.isKnown,
    shadow,
    onFault: (error) => log.error({ err: error }, "http.fault"),
  });
}

/** Challenges of the control plane by the pinned tenant keys; standalone, by this connector's own key. */
function challengesOf(kernel: CertificateKernel): ChallengeVerifier {
  if (!isStandalone(kernel.local)) {
    const verify = (jws: string) => kernel.verifyJws(jws, JWS_TYPES.challenge);
    return signedChallenge(verify, kernel.connectorId);
  }
  const key = publicKeyOf(localChallengeKey(kernel.stateFolder));
  return signedChallenge((jws) => verifyJws(jws, JWS_TYPES.challenge, [key]), kernel.connectorId);
}

function isStandalone(local: CommonConfiguration): boolean {
  return local.standalone !== undefined;
}

/** Only their digests are kept in memory. */
function staticSecrets({ secrets }: LocalConfiguration): ReadonlyMap<string, Buffer> {
  return new Map(
    Object.entries(secrets).map(([name, { file }]) => [
      name,
      createHash("sha256").update(readSecretFile(file)).digest(),
    ]),
  );
}

function keyIdOf(certificate: Certificate): string {
  return keyIdentifierOf(certificate.publicKeyInfo).toString("hex");
}
