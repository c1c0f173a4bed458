import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { systemRandom } from "@isthmus/shared/random";
import {
  TEST_NOW,
  type TestIdentity,
  testRsaKey,
} from "@isthmus/shared/testing/certificate-authority";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { encodeCertificationRequest } from "@isthmus/shared/x509/certification-request";
import { publicKeyInfoOf } from "@isthmus/shared/x509/issue";
import { parseNameText } from "@isthmus/shared/x509/name-text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RemoteAuthority } from "../ca/remote-authority.ts";
import type { AuthorityConfiguration } from "../config/authorities.ts";
import { planCertificate } from "../core/certificate-plan.ts";
import { goodGrant, goodProfile } from "../core/fixture.ts";
import type { IssuanceAnswer, IssuanceOrder } from "../core/ports.ts";
import { remoteAuthorities } from "../main/remote-authorities.ts";

/** What every certification authority elsewhere has to hold to, whatever its API and however it misbehaves. */

const TIMEOUT_MS = 500;
const HUGE_BYTES = 2 * 1_048_576;

export interface ContractParts {
  readonly kind: AuthorityConfiguration["kind"];
  /** For a server at this address. */
  readonly configuration: (url: string) => AuthorityConfiguration;
  /** The issuing CA of `issuerFile`. */
  readonly issuing: () => TestIdentity;
  readonly canRevoke: boolean;
}

export function describeAuthority(parts: ContractParts): void {
  describe(`${parts.kind} at an authority`, () => {
    const stack = new AsyncDisposableStack();
    let key: ReturnType<typeof testRsaKey>;
    beforeAll(() => {
      key = testRsaKey();
    });
    afterAll(() => stack.disposeAsync());

    async function authorityAt(url: string): Promise<RemoteAuthority> {
      const of = { ...parts.configuration(url), timeoutMs: TIMEOUT_MS };
      const means = { clock: new FakeClock(TEST_NOW), random: systemRandom, stateFolder: tmpdir() };
      const [authority] = await remoteAuthorities({ elsewhere: of }, means, stack);
      if (authority === undefined) throw new Error("it was not made");
      return authority;
    }

    async function served(handler: RequestListener): Promise<RemoteAuthority> {
      const server = createServer(handler);
      stack.defer(() => void server.close());
      stack.defer(() => server.closeAllConnections());
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return await authorityAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    }

    const answering = (status: number, body: string | Buffer) =>
      served((request, response) => {
        request.resume().once("end", () => response.writeHead(status).end(body));
      });

    async function issue(authority: RemoteAuthority): Promise<IssuanceAnswer> {
      return await authority.issue(await orderFor(authority, key));
    }

    function revoke(authority: RemoteAuthority): Promise<void> {
      const { der: certificate, serialNumber } = parts.issuing().certificate;
      return authority.revoke({ serialNumber, reason: "superseded", certificate });
    }

    test("that nobody reaches: the order waits, and no further ones are sent there", async () => {
      const authority = await authorityAt("http://127.0.0.1:1");
      expect(authority.obstacle()).toBeUndefined();
      await expect(issue(authority)).rejects.toMatchObject({ isRetryable: true });
      expect(authority.obstacle()).toContain("127.0.0.1:1 cannot be reached");
    });

    test("that never answers: the order waits", async () => {
      const authority = await served(() => undefined);
      await expect(issue(authority)).rejects.toMatchObject({ isRetryable: true });
      expect(authority.obstacle()).toContain("did not answer in time");
    });

    test("that cuts the line: the order waits", async () => {
      const authority = await served((request) => request.socket.destroy());
      await expect(issue(authority)).rejects.toMatchObject({ isRetryable: true });
    });

    test.each([429, 500, 503])("that answers %i: the order waits", async (status) => {
      const authority = await answering(status, "{}");
      await expect(issue(authority)).rejects.toMatchObject({ isRetryable: true });
      expect(authority.obstacle()).toContain(String(status));
    });

    test("that does not know us: the order waits for a person", async () => {
      const authority = await answering(401, "{}");
      await expect(issue(authority)).rejects.toMatchObject({ isRetryable: true });
      expect(authority.obstacle()).toContain("401");
    });

    test.each<[string, string | Buffer]>([
      ["no sense", "<html>Welcome</html>"],
      ["nothing", ""],
      ["another JSON", '{"success":true,"data":{},"auth":{}}'],
      ["far too much", Buffer.alloc(HUGE_BYTES, 0x20)],
    ])("that answers with %s: the order is refused, once and for all", async (_, body) => {
      const answer = await issue(await answering(200, body));
      expect(answer).toMatchObject({ kind: "refused", code: "ca-answer" });
    });

    test("that is away does not revoke, and that is no success", async () => {
      const code = parts.canRevoke ? "ca-unavailable" : "ca-cannot-revoke";
      await expect(revoke(await answering(503, "{}"))).rejects.toMatchObject({ code });
    });

    test("whose health is asked for tells what is wrong, and that it is over", async () => {
      const authority = await answering(503, "{}");
      await authority.probe();
      expect(authority.obstacle()).toBeDefined();
      const closed = await authorityAt("http://127.0.0.1:1");
      await closed.probe();
      expect(closed.obstacle()).toContain("cannot be reached");
    });
  });
}

async function orderFor(
  authority: RemoteAuthority,
  key: ReturnType<typeof testRsaKey>,
): Promise<IssuanceOrder> {
  const issuer = authority.issuer();
  const serialNumber = "1a2b3c4d5e6f70819203a4b5c6d7e8f901020304";
  const plan = planCertificate({
    profile: goodProfile,
    // Names that every kind of authority can be told.
    grant: { ...goodGrant, deviceId: undefined, userPrincipalName: undefined },
    publicKeyInfo: publicKeyInfoOf(key),
    issuer,
    publicUrls: {},
    serialNumber,
    now: TEST_NOW,
  });
  return {
    transactionId: "transaction-1",
    serialNumber,
    issuerKeyId: issuer.keyId,
    tbs: plan.tbs,
    certificationRequest: await encodeCertificationRequest(
      { subject: parseNameText(goodGrant.subject ?? "") },
      key,
    ),
    isRepeated: false,
    reference: undefined,
  };
}
