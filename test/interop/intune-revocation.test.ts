import { issued } from "@isthmus/cert-connector/testing/scep-device";
import { until } from "@isthmus/shared/testing/until";
import { formatName } from "@isthmus/shared/x509/name-text";
import { describe, expect, test } from "vitest";
import { startIntuneConnector } from "./intune/intune-connector.ts";

const EVERY_SECOND = { everySeconds: 1 };
const profileOf = (name: string) => ({ subject: `CN=${name}`, subjectAltNames: [] });

type Connector = Awaited<ReturnType<typeof startIntuneConnector>>;

/** Has a certificate issued and asks for its revocation. */
async function askFor(it: Connector, requestContext: string, changes: Record<string, string> = {}) {
  const certificate = issued(await it.enrol(profileOf(requestContext)));
  const issuerName = formatName(certificate.issuer);
  const serialNumber = certificate.serialNumber.toUpperCase();
  const request = { requestContext, serialNumber, issuerName, caConfiguration: "embedded" };
  it.simulator.revocations.ask({ ...request, ...changes });
  return certificate;
}

async function resultOf({ simulator }: Connector, context: string) {
  return await until(() => simulator.revocations.results.get(context), `the result of ${context}`);
}

describe("Intune's wish to revoke", () => {
  test("is done, listed and reported", async () => {
    await using it = await startIntuneConnector({ revocations: EVERY_SECOND });
    const certificate = await askFor(it, "first");
    expect(await resultOf(it, "first")).toEqual({
      requestContext: "first",
      succeeded: true,
      errorCode: "None",
      errorMessage: null,
    });
    const [row] = await it.kernel.store.query<{ revoked_at: number; revocation_reason: string }>(
      "SELECT revoked_at, revocation_reason FROM enrolment WHERE serial_number = ?",
      [certificate.serialNumber],
      1,
    );
    expect(row?.revocation_reason).toBe("unspecified");
    expect(it.simulator.violations).toEqual([]);
  });

  test.each([
    ["of nothing that we issued", { serialNumber: "00AB" }, "CertificateNotFoundError"],
    ["of another issuer", { issuerName: "CN=Other" }, "CertificateNotFoundError"],
    ["of no serial number", { serialNumber: "not hex" }, "ParameterDataInvalidError"],
  ])("%s gets its code", async (_what, changes, errorCode) => {
    await using it = await startIntuneConnector({ revocations: EVERY_SECOND });
    await askFor(it, "odd", changes);
    expect(await resultOf(it, "odd")).toMatchObject({ succeeded: false, errorCode });
  });

  test("of what is revoked already is a conflict", async () => {
    await using it = await startIntuneConnector({ revocations: EVERY_SECOND });
    const { serialNumber, issuer } = await askFor(it, "first");
    await resultOf(it, "first");
    const issuerName = formatName(issuer);
    it.simulator.revocations.ask({
      requestContext: "again",
      serialNumber,
      issuerName,
      caConfiguration: "",
    });
    expect(await resultOf(it, "again")).toMatchObject({ errorCode: "ConflictError" });
  });

  test("beyond the guardrails' window waits until the window is free, and the health says so", async () => {
    const limits = { "certificate-revocations": { max: 2, perMinutes: 60 } };
    await using it = await startIntuneConnector({ revocations: EVERY_SECOND, limits });
    for (const context of ["a", "b", "c"]) await askFor(it, context);
    const check = it.kernel.checks.find(({ name }) => name === "intune-revocations");
    await until(async () => (await check?.run())?.status === "warning", "a warning");
    const { results } = it.simulator.revocations;
    await until(() => results.size === 2, "two results");
    it.clock.advance(3_700_000);
    await until(() => results.size === 3, "the third result");
    expect([...results.values()].every((result) => result["succeeded"] === true)).toBe(true);
  });

  test("is reported again where the report was lost", async () => {
    await using it = await startIntuneConnector({ revocations: EVERY_SECOND });
    it.simulator.faults.add("/uploadRevocationResults", "drop-after", "drop-after", "drop-after");
    await askFor(it, "first");
    await until(() => it.simulator.revocations.resultsReceived >= 4, "repeated reports");
    expect(await resultOf(it, "first")).toMatchObject({ succeeded: true, errorCode: "None" });
  });
});
