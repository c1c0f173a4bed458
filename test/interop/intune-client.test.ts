import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { rejectedCode } from "@isthmus/shared/testing/thrown-code";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Fault } from "../simulators/intune/faults.ts";
import { clientOf, federatedToken, requestFor, startTenant } from "./intune/tenant-fixture.ts";

const PROFILE = { subject: "CN=device-1,O=Contoso", subjectAltNames: [] };
const folder = temporaryFolder();
let tenant: Awaited<ReturnType<typeof startTenant>>;

beforeAll(async () => {
  tenant = await startTenant(folder.path);
});
afterAll(async () => {
  await tenant.simulator[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});
beforeEach(() => {
  tenant.simulator.violations.length = 0;
  tenant.simulator.asked.clear();
  tenant.simulator.faults.clear();
});

/** A request as it goes to Intune. */
async function goodRequest(
  profile = PROFILE,
  challenge = tenant.simulator.requests.assign(profile),
) {
  const { certificationRequest } = await requestFor(profile, challenge);
  const certificateRequest = certificationRequest.toString("base64");
  return { transactionId: `t-${Math.random()}`, certificateRequest };
}

describe("a token comes for", () => {
  test.each(["secret", "certificate", "federated"] as const)("a %s", async (kind) => {
    const { client, validation } = clientOf(tenant, tenant.credentials[kind]);
    using _ = client;
    expect(await validation.validate(await goodRequest())).toBe("Success");
    expect(tenant.simulator.violations).toEqual([]);
  });

  test("a certificate with RS256, whose assertion serves once", async () => {
    const credential = { ...tenant.credentials.certificate, algorithm: "RS256" } as const;
    const { client, validation } = clientOf(tenant, credential);
    using _ = client;
    expect(await validation.validate(await goodRequest())).toBe("Success");
    tenant.simulator.revokeTokens();
    expect(await validation.validate(await goodRequest())).toBe("Success");
    expect(tenant.simulator.violations).toEqual([]);
  });

  test("a federated token that was renewed in its file", async () => {
    const tokenFile = tenant.write("renewed-token", federatedToken({ exp: 1 }));
    const { client } = clientOf(tenant, { kind: "federated", tokenFile });
    using _ = client;
    await expect(client.probe("ScepRequestValidationFEService")).rejects.toThrow(/NTP/);
    tenant.write("renewed-token", federatedToken({}));
    await client.probe("ScepRequestValidationFEService");
  });
});

describe("no token, and a sentence about what to do, for", () => {
  test.each([
    ["a wrong secret", () => secretOf("wrong"), /put the secret's value, not its id/],
    ["another subject", () => tokenOf({ sub: "other" }), /no federated credential/],
  ])("%s", async (_what, credential, sentence) => {
    const { client } = clientOf(tenant, credential());
    using _ = client;
    const probing = client.probe("ScepRequestValidationFEService");
    await expect(probing).rejects.toMatchObject({ code: "intune-token", isRetryable: false });
    await expect(probing).rejects.toThrow(sentence);
  });

  test("another application", async () => {
    const clientId = "00000000-0000-4000-8000-000000000000";
    const { client } = clientOf(tenant, tenant.credentials.secret, { clientId });
    using _ = client;
    await expect(client.probe("x")).rejects.toThrow(/correct clientId/);
  });

  test("a key that is not the certificate's, before anything is sent", async () => {
    const { keyFile } = tenant.credentials.certificate;
    const other = tenant.write("other.crt", tenant.simulator.ca);
    const credential = { ...tenant.credentials.certificate, certificateFile: other, keyFile };
    const { client } = clientOf(tenant, credential);
    using _ = client;
    expect(await rejectedCode(() => client.probe("x"))).toBe("intune-credential");
    expect(tenant.simulator.timesAsked("/token")).toBe(0);
  });
});

function secretOf(secret: string) {
  return { kind: "secret", file: tenant.write("some.secret", secret) } as const;
}

function tokenOf(changes: Readonly<Record<string, unknown>>) {
  const tokenFile = tenant.write("some-token", federatedToken(changes));
  return { kind: "federated", tokenFile } as const;
}

describe("tokens and addresses", () => {
  test("are asked for once, however many requests come together", async () => {
    const { client, validation } = clientOf(tenant, tenant.credentials.secret);
    using _ = client;
    const requests = await Promise.all(Array.from({ length: 12 }, () => goodRequest()));
    const codes = await Promise.all(requests.map((request) => validation.validate(request)));
    expect(new Set(codes)).toEqual(new Set(["Success"]));
    expect(tenant.simulator.timesAsked("/token")).toBe(2);
    expect(tenant.simulator.timesAsked("/endpoints")).toBe(1);
  });

  test("are renewed before the token ends, and a failing renewal harms nobody yet", async () => {
    const clock = new FakeClock(Date.now());
    const { client, validation } = clientOf(tenant, tenant.credentials.secret, {}, clock);
    using _ = client;
    await validation.validate(await goodRequest());
    clock.advance(2_600_000);
    expect(await validation.validate(await goodRequest())).toBe("Success");
    expect(tenant.simulator.timesAsked("/token")).toBe(2);
    clock.advance(100_000);
    tenant.simulator.faults.add("/token", { status: 500 });
    expect(await validation.validate(await goodRequest())).toBe("Success");
    expect(await validation.validate(await goodRequest())).toBe("Success");
    expect(tenant.simulator.timesAsked("/token")).toBe(4);
  });

  test("are renewed when a token is no longer taken", async () => {
    const { client, validation } = clientOf(tenant, tenant.credentials.secret);
    using _ = client;
    await validation.validate(await goodRequest());
    tenant.simulator.revokeTokens();
    expect(await validation.validate(await goodRequest())).toBe("Success");
  });

  test("are asked for again after a service has failed", async () => {
    const { client, validation } = clientOf(tenant, tenant.credentials.secret);
    using _ = client;
    await validation.validate(await goodRequest());
    tenant.simulator.faults.add("/validateRequest", { status: 500 });
    expect(await validation.validate(await goodRequest())).toBe("Success");
    expect(tenant.simulator.timesAsked("/endpoints")).toBe(2);
  });

  test.each([
    ["plain http", (origin: string) => origin.replace("https", "http")],
    ["another host", () => "https://127.0.0.1.evil.example/x"],
    ["a host in credentials", (origin: string) => origin.replace("//", "//manage@")],
  ])("%s from discovery is refused", async (_what, uriOf) => {
    tenant.simulator.discovery = (origin) => ({
      value: [{ providerName: "SCEPREQUESTVALIDATIONFESERVICE", uri: uriOf(origin) }],
    });
    const { client } = clientOf(tenant, tenant.credentials.secret);
    using _ = client;
    const code = await rejectedCode(() => client.probe("ScepRequestValidationFEService"));
    tenant.simulator.discovery = undefined;
    expect(code).toBe("intune-host");
  });
});

describe("a service that fails", () => {
  const passing: readonly (readonly [string, Fault])[] = [
    ["500", { status: 500 }],
    ["429 with Retry-After", { status: 429, headers: { "retry-after": "1" } }],
    ["an HTML page", "html-200"],
    ["a cut connection", "drop-before"],
    ["a connection cut after the work", "drop-after"],
    ["another content type", "wrong-content-type"],
  ];
  test.each(passing)("%s: is asked again", async (_what, fault) => {
    const { client, validation } = clientOf(tenant, tenant.credentials.secret);
    using _ = client;
    tenant.simulator.faults.add("/validateRequest", fault);
    expect(await validation.validate(await goodRequest())).toBe("Success");
  });

  const lasting: readonly (readonly [string, Fault, string])[] = [
    ["503", { status: 503 }, "intune-busy"],
    ["HTML", "html-200", "intune-answer"],
    ["403", { status: 403 }, "intune-unauthorised"],
    ["400", { status: 400 }, "intune-http"],
  ];
  test.each(lasting)("%s for good: is said as it is", async (_what, fault, code) => {
    const { client, validation } = clientOf(tenant, tenant.credentials.secret);
    using _ = client;
    tenant.simulator.faults.add("/validateRequest", fault, fault, fault);
    expect(await rejectedCode(async () => validation.validate(await goodRequest()))).toBe(code);
  });

  test("with no answer is given up in time", async () => {
    const { client, validation } = clientOf(tenant, tenant.credentials.secret, { timeoutMs: 300 });
    using _ = client;
    tenant.simulator.faults.add("/validateRequest", "hang", "hang", "hang");
    const code = await rejectedCode(async () => validation.validate(await goodRequest()));
    expect(code).toBe("intune-unreachable");
  });

  test("with a certificate of another CA is not spoken to", async () => {
    const { client } = clientOf(tenant, tenant.credentials.secret, { ca: undefined });
    using _ = client;
    expect(await rejectedCode(() => client.probe("x"))).toBe("intune-certificate");
  });
});

test("refusals are codes in an answer of 200", async () => {
  const { client, validation } = clientOf(tenant, tenant.credentials.secret);
  using _ = client;
  const { requests } = tenant.simulator;
  const other = { ...PROFILE, subject: "CN=another" };
  expect(await validation.validate(await goodRequest(other, requests.assign(PROFILE)))).toBe(
    "SubjectNameMismatch",
  );
  const withdrawn = requests.assign(PROFILE);
  requests.withdraw(withdrawn);
  expect(await validation.validate(await goodRequest(PROFILE, withdrawn))).toBe(
    "ScepProfileNoLongerTargetedToTheClient",
  );
  expect(await validation.validate(await goodRequest(PROFILE, "c2VjcmV0LnNlYWw="))).toBe(
    "ChallengeDecryptionError",
  );
  const old = requests.assign(PROFILE);
  requests.now = () => Date.now() + 3_601_000;
  expect(await validation.validate(await goodRequest(PROFILE, old))).toBe("ChallengeExpired");
  requests.now = () => Date.now();
});

test("all of it goes through an HTTP proxy with credentials", async () => {
  const asked: string[] = [];
  const proxy = createServer();
  const sockets: Socket[] = [];
  proxy.on("connect", (request, socket: Socket) => {
    asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
    const [host = "", port = ""] = String(request.url).split(":");
    const far = connect({ host, port: Number(port) });
    sockets.push(socket, far);
    for (const each of [socket, far]) each.on("error", () => undefined);
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    socket.pipe(far).pipe(socket);
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, "127.0.0.1", resolve);
  });
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const credentials = { user: "me", password: "secret" };
  {
    const { client, validation } = clientOf(tenant, tenant.credentials.secret, {
      proxy: { url, credentials },
    });
    using _ = client;
    expect(await validation.validate(await goodRequest())).toBe("Success");
  }
  for (const socket of sockets) socket.destroy();
  proxy.close();
  const authority = tenant.simulator.origin.replace("https://", "");
  expect(new Set(asked)).toEqual(new Set([`${authority} Basic ${btoa("me:secret")}`]));
});
