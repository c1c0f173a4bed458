import { generateKeyPairSync } from "node:crypto";
import { desiredConfiguration } from "@isthmus/cert-connector/config/desired-configuration";
import type { Intent } from "@isthmus/cert-connector/core/ledger";
import { assembleConnector, openDoors } from "@isthmus/cert-connector/main/service";
import {
  kernelOptions,
  makeConnectorKernel,
} from "@isthmus/cert-connector/testing/connector-under-test";
import {
  type DeviceRequest,
  issued,
  makeChallenge,
  makeRequest,
  ScepDevice,
} from "@isthmus/cert-connector/testing/scep-device";
import { publicKeyOf } from "@isthmus/shared/link/jws";
import type { PostgresqlPlace } from "@isthmus/shared/store/postgresql/place";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { storeElsewhere } from "@isthmus/shared/testing/store-place";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { parseCertificate } from "@isthmus/shared/x509/certificate";
import { parseCertificateList } from "@isthmus/shared/x509/certificate-list";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing } from "../peers.ts";
import { PostgresqlServer } from "../postgresql.ts";
import { findTool } from "../tools.ts";

const postgres = findTool("postgres");
const tenant = generateKeyPairSync("ed25519").privateKey;
const PATIENCE_MS = 30_000;

let server: PostgresqlServer;
let placeOfNext: PostgresqlPlace | undefined;

type Options = Awaited<ReturnType<typeof kernelOptions>>;

/** One replica in this process, with a clock of its own; its doors are open. */
async function startReplica(options: Options, database: PostgresqlPlace) {
  const stack = new AsyncDisposableStack();
  placeOfNext = database;
  const kernel = stack.use(
    await makeConnectorKernel({
      ...options,
      local: { ...options.local, database },
      connectorId: `connector-${database.replica}`,
    }),
  );
  const connector = await assembleConnector(kernel, stack);
  await connector.replica.enter();
  await connector.registration.start();
  await connector.publisher.start();
  await connector.responder.start();
  connector.replica.serve(connector);
  const doors = stack.use(await openDoors(kernel, connector));
  const profiles = [{ id: "device", renewalWindowPercent: 100 }];
  connector.configuration.replace(desiredConfiguration.parse({ profiles }));
  const { url } = doors;
  const device = new ScepDevice(`${url}/scep/device`);
  return { kernel, connector, url, device, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Two replicas of one authority on a new database. */
async function startBoth() {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(temporaryFolder());
  const tenantKeys = [publicKeyOf(tenant)];
  const options = await kernelOptions(path, new FakeClock(), { tenantKeys });
  const place = await server.newPlace("left");
  const left = stack.use(await startReplica(options, place));
  const right = stack.use(await startReplica(options, { ...place, replica: "right" }));
  const challenge = (changes?: Record<string, unknown>) =>
    makeChallenge(tenant, left.kernel.clock.now(), changes);
  const request = async () =>
    makeRequest({ challengePassword: await challenge() }, left.kernel.clock.now());
  return { left, right, challenge, request, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Has a replica intend a certificate and go no further, as one that dies there. */
async function intendedOnly(
  { connector, device }: Awaited<ReturnType<typeof startReplica>>,
  request: DeviceRequest,
): Promise<Intent> {
  const { ledger } = connector;
  let intent: Intent | undefined;
  const recordIssued = ledger.recordIssued;
  const recordIntent = ledger.recordIntent;
  const mutable = ledger as { -readonly [Name in keyof typeof ledger]: (typeof ledger)[Name] };
  mutable.recordIntent = (intended) => {
    intent = intended;
    return recordIntent(intended);
  };
  mutable.recordIssued = () => Promise.reject(new Error("it died here"));
  await device.enrol(request);
  Object.assign(mutable, { recordIssued, recordIntent });
  if (intent === undefined) throw new Error("nothing was intended");
  return intent;
}

if (postgres === undefined)
  test("replicas on PostgreSQL", (context) => {
    missing("postgres (Debian package postgresql)", context);
  });

describe.skipIf(postgres === undefined)("two replicas on PostgreSQL", () => {
  beforeAll(async () => {
    server = await PostgresqlServer.start(postgres ?? "");
    storeElsewhere({
      newPlace: async () => {
        if (placeOfNext === undefined) throw new Error("no place was named");
        return { postgresql: placeOfNext };
      },
      execute: (_, sql) => server.sql(sql),
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("give a request that reaches both at once one certificate", async () => {
    await using it = await startBoth();
    const request = await it.request();
    const answers = await Promise.all(
      [it.left, it.right, it.left, it.right].map(({ device }) => device.enrol(request)),
    );
    const serials = answers.map((answer) => issued(answer).serialNumber);
    expect(new Set(serials).size).toBe(1);
  });

  test("take a one-time challenge once", async () => {
    await using it = await startBoth();
    const challengePassword = await it.challenge();
    const now = it.left.kernel.clock.now();
    const [one, other] = await Promise.all(
      [it.left, it.right].map(async ({ device }) => {
        const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
        return device.enrol(await makeRequest({ challengePassword }, now, key));
      }),
    );
    const states = [one?.status, other?.status].sort();
    expect(states).toEqual(["FAILURE", "SUCCESS"]);
  });

  test("a renewal at one counts at the other, and what one has revoked neither renews", async () => {
    await using it = await startBoth();
    const first = issued(await it.left.device.enrol(await it.request()));
    const request = await it.request();
    const signer = { certificate: first, privateKey: request.key };
    const second = issued(await it.right.device.renew(request, signer));
    expect(second.serialNumber).not.toBe(first.serialNumber);
    const { serialNumber } = second;
    const at = it.left.kernel.clock.now();
    await it.right.connector.ledger.revoke({
      serialNumber,
      reason: "keyCompromise",
      actor: "test",
      at,
    });
    const again = await it.left.device.renew(await it.request(), {
      ...signer,
      certificate: second,
    });
    expect(again).toMatchObject({ status: "FAILURE" });
  });

  test("serve the newest list and the newest status, whoever signed and revoked", async () => {
    await using it = await startBoth();
    const { left, right } = it;
    const { serialNumber } = issued(await left.device.enrol(await it.request()));
    const { keyId: issuerKeyId } = left.connector.authority.issuer();
    const at = left.kernel.clock.now();
    await right.connector.ledger.revoke({ serialNumber, reason: "superseded", actor: "test", at });
    await right.connector.publisher.refresh();
    const listed = async () => {
      const response = await fetch(`${left.url}/crl/${issuerKeyId}.crl`);
      const list = parseCertificateList(Buffer.from(await response.arrayBuffer()));
      return list.revoked.has(serialNumber);
    };
    await until(listed, "the revocation on the other's list", PATIENCE_MS);
    const status = await left.connector.ledger.statusOf({ issuerKeyId, serialNumber });
    expect(status).toMatchObject({ kind: "revoked" });
    const numbers = () => [left, right].map(({ connector }) => connector.publisher.current?.number);
    await left.connector.publisher.refresh();
    await until(() => numbers()[0] === numbers()[1], "one list at both", PATIENCE_MS);
  });

  test("publish a new RA key once both have it, and open envelopes to the old one at either", async () => {
    await using it = await startBoth();
    const { left, right } = it;
    const idOf = (replica: typeof left) =>
      replica.connector.registration.current().responder.certificate.thumbprint;
    const old = idOf(left);
    await left.device.server();
    for (const { kernel } of [left, right]) kernel.clock.advance(1_000);
    await left.connector.registration.renew(true);
    expect(idOf(left)).toBe(old);
    await right.connector.registration.renew();
    expect(idOf(right)).not.toBe(old);
    await left.connector.registration.renew();
    expect(idOf(left)).toBe(idOf(right));
    // This device still has the old one, and asks the other replica.
    const server = await left.device.server();
    const late = new ScepDevice(`${right.url}/scep/device`, server);
    issued(await late.enrol(await it.request()));
    issued(await right.device.enrol(await it.request()));
  });

  test("do not wait with a new RA key for a replica that is dead", async () => {
    await using it = await startBoth();
    const { left } = it;
    const before = left.connector.registration.current().responder.certificate.thumbprint;
    left.kernel.clock.advance(31_000);
    // Its next sign of life is dated by its own clock: half a minute ago.
    await left.connector.registration.renew(true);
    const after = left.connector.registration.current().responder.certificate.thumbprint;
    expect(after).not.toBe(before);
    const check = left.connector.replica.result();
    expect(check).toMatchObject({ status: "unhealthy" });
  });

  test("complete what a dead one intended, and no sooner than nobody works on it", async () => {
    await using it = await startBoth();
    const { left, right } = it;
    const { ledger } = left.connector;
    const intent = await intendedOnly(left, await it.request());
    const key = { ...intent, profileId: "device" };
    await right.connector.replica.resume(right.connector);
    expect(await ledger.standingOf(key)).toMatchObject({ kind: "unfinished" });
    right.kernel.clock.advance(61_000);
    await right.connector.replica.resume(right.connector);
    const standing = await ledger.standingOf(key);
    expect(standing).toMatchObject({ kind: "issued" });
    const { certificate } = standing as { readonly certificate: Uint8Array };
    expect(parseCertificate(certificate).serialNumber).toBe(intent.serialNumber);
  });

  test("lead a work one at a time, and the other once the leader is gone", async () => {
    await using it = await startBoth();
    const [left, right] = [it.left.connector.replica, it.right.connector.replica];
    expect(await left.leads("work")).toBe(true);
    expect(await right.leads("work")).toBe(false);
    expect(await left.leads("work")).toBe(true);
    expect(await right.leads("other work")).toBe(true);
    it.right.kernel.clock.advance(30_001);
    expect(await right.leads("work")).toBe(true);
    expect(await left.leads("work")).toBe(false);
  });

  test("answer devices with come back later while the database is away, and recover by themselves", async () => {
    await using it = await startBoth();
    const { left } = it;
    const request = await it.request();
    await left.device.server();
    await server.stop("immediate");
    try {
      await expect(left.device.enrol(request)).rejects.toThrow(/HTTP 503/);
      const caCertificates = await fetch(`${left.url}/scep/device?operation=GetCACert`);
      expect(caCertificates.status).toBe(200);
    } finally {
      await server.start();
    }
    const answer = () => left.device.enrol(request).catch(() => undefined);
    issued(await until(answer, "an answer", PATIENCE_MS));
  });
});
