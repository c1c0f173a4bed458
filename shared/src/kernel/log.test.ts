import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { ConnectorError } from "../errors.ts";
import { makeLog } from "./log.ts";

function logged(write: (log: ReturnType<typeof makeLog>) => void) {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  write(makeLog("cert-connector", "info", destination));
  return lines;
}

test("an entry is one line of JSON with service, time and event", () => {
  const [line = ""] = logged((log) => log.info({ transactionId: "t1" }, "enrolment.issued"));
  expect(JSON.parse(line)).toMatchObject({
    service: "cert-connector",
    transactionId: "t1",
    msg: "enrolment.issued",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  });
});

test.each(["password", "passphrase", "challenge", "token", "privateKey", "jws", "csr"])(
  "%s never reaches the log, on its own or inside an object",
  (field) => {
    const [line = ""] = logged((log) =>
      log.info({ [field]: "s3cret", request: { [field]: "s3cret", more: { [field]: "s3cret" } } }),
    );
    expect(line).not.toContain("s3cret");
    expect(JSON.parse(line)[field]).toBe("[redacted]");
  },
);

test("an error is logged with its code", () => {
  const [line = ""] = logged((log) => log.warn({ err: new ConnectorError("gone", "it is gone") }));
  expect(JSON.parse(line).err).toMatchObject({ code: "gone", message: "it is gone" });
});

test("what is below the level is not written", () => {
  expect(logged((log) => log.debug("detail"))).toEqual([]);
});
