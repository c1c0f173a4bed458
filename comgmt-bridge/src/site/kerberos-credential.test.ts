import type { KerberosReply } from "@isthmus/shared/directory/kerberos-reply";
import { ConnectorError } from "@isthmus/shared/errors";
import { FakeClock } from "@isthmus/shared/testing/fake-clock";
import { expect, test } from "vitest";
import { kerberosCredential } from "./kerberos-credential.ts";

const NOW = Date.UTC(2026, 5, 1);
const HOST = "sms1.corp.test";

/** A credential whose server's tokens say what the test says. */
async function credentialThatReads(reply: KerberosReply | "wrong") {
  const seen = { hosts: [] as string[], forgotten: 0 };
  const tickets = {
    async ticketFor(host: string) {
      seen.hosts.push(host);
      return {
        request: () => ({
          authorization: "Negotiate AAAA",
          read() {
            if (reply === "wrong") throw new ConnectorError("kerberos-reply", "wrong");
            return reply;
          },
        }),
        forget: () => {
          seen.forgotten += 1;
        },
      };
    },
  };
  const clock = new FakeClock(NOW);
  const credential = kerberosCredential({ tickets, clock, isChannelBound: false });
  const presented = await credential.present(HOST);
  expect(presented.authorization(undefined)).toBe("Negotiate AAAA");
  const judge = (status: number, header?: string, date = NOW) => {
    const headers = {
      ...(header !== undefined && { "www-authenticate": header }),
      date: new Date(date).toUTCString(),
    };
    return presented.judge?.({ status, headers });
  };
  return { seen, judge };
}

const SILENT = { kind: "silent" } as const;
const errorReply = (errorCode: number) =>
  ({ kind: "error", errorCode, serverTime: NOW + (errorCode === 37 ? 900_000 : 0) }) as const;

test("a ticket is for the host that is asked, and one that was let in is kept", async () => {
  const { seen, judge } = await credentialThatReads(SILENT);
  judge(200);
  judge(200, "Negotiate AAAA");
  expect(seen).toEqual({ hosts: [HOST], forgotten: 0 });
});

test("a success with a wrong proof is none", async () => {
  const { judge } = await credentialThatReads("wrong");
  expect(() => judge(200, "Basic, Negotiate AAAA")).toThrow(/does not prove it/);
});

test("other statuses are for whoever asked", async () => {
  const { judge } = await credentialThatReads(SILENT);
  for (const status of [403, 404, 500]) expect(judge(status)).toBeUndefined();
});

test.each([
  [41, "site-ticket-refused", /its key does not open the ticket.*setspn -X/],
  [99, "site-ticket-refused", /Kerberos error 99/],
  [37, "site-clock-skew", /900 s ahead of ours/],
])("Kerberos error %i is %s, in words", async (errorCode, code, words) => {
  const { seen, judge } = await credentialThatReads(errorReply(errorCode));
  expect(() => judge(401, "Negotiate AAAA")).toThrow(words);
  expect(() => judge(401, "Negotiate AAAA")).toThrow(expect.objectContaining({ code }));
  expect(seen.forgotten).toBe(2);
});

test("a refusal without a word is told by the answer's date", async () => {
  const { judge } = await credentialThatReads("wrong");
  expect(() => judge(401, "Negotiate", NOW - 299_000)).toThrow(/does not accept our ticket/);
  expect(() => judge(401, "Negotiate", NOW - 301_000)).toThrow(/301 s behind ours/);
});
