import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { ControlPlaneFixture } from "@isthmus/control-plane/main/control-plane-fixture";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { describe, expect, test } from "vitest";
import { BridgeHost } from "./connector/bridge-process.ts";

const standalone = { standalone: { desiredConfigurationFile: "desired.json" } };

function standaloneHost(configuration: Readonly<Record<string, unknown>> = {}): BridgeHost {
  const host = new BridgeHost({ ...standalone, ...configuration });
  host.write("desired.json", { version: 1, configuration: {} });
  return host;
}

describe("without a control plane", () => {
  test("a connector runs, says how it is, and stops cleanly", async () => {
    await using host = standaloneHost();
    const child = await host.run();
    const status = await host.json("status");
    expect(status).toMatchObject({
      mode: "standalone",
      connectorId: "standalone",
      configurationVersion: 1,
      guardrails: "built-in",
    });
    const ready = await fetch(`${host.runFile()?.healthUrl}/ready`);
    expect(ready.status).toBe(200);
    expect(await host.end(child, "SIGTERM")).toBe(0);
    expect(host.runFile()).toBeUndefined();
    expect(await host.command("status")).toMatchObject({
      exitCode: 1,
      stdout: "comgmt-bridge is not running (standalone).\n",
    });
  });

  test("a file that changed since the start is named by status and check, and what was read stays in force", async () => {
    await using host = standaloneHost({ guardrailsFile: "guardrails.json" });
    host.write("guardrails.json", { commands: { allow: ["health.report"] } });
    await host.run();
    const said = async () => [
      (await host.command("status")).stdout,
      (await host.command("check")).stdout,
    ];
    for (const text of await said()) expect(text).not.toMatch(/changed since/);
    host.write("guardrails.json", { commands: { allow: [] } });
    for (const text of await said()) {
      expect(text).toMatch(
        /guardrails\.json changed since .* read it: what it had then is in force/,
      );
      expect(text).toMatch(/-> see that you know of the change, run `check`, and restart/);
    }
    host.write("guardrails.json", { commands: { allow: ["health.report"] } });
    for (const text of await said()) expect(text).not.toMatch(/changed since/);
  });

  test("a running service is asked although its configuration has a fault by now", async () => {
    await using host = standaloneHost();
    const child = await host.run();
    const { pid } = await host.json("status");
    host.write("config.json", { stateFolder: "state", ...standalone, wrong: true });
    expect(await host.json("status")).toMatchObject({ pid });
    expect((await host.command("deletions", "list")).exitCode).toBe(0);
    expect(await host.json("audit", "verify")).toMatchObject({ isIntact: true });
    const before = ["--before", "2020-01-01"];
    expect(await host.json("audit", "erase", ...before)).toEqual({ erased: 0 });
    expect((await host.command("approve", "another")).stderr).not.toContain("unknown key");
    await host.end(child, "SIGTERM");
    expect((await host.command("status")).stderr).toMatch(/wrong: unknown key/);
    expect(await host.json("audit", "verify")).toMatchObject({ isIntact: true });
  });

  test("a second process on the same state folder is refused, the first one goes on", async () => {
    await using host = standaloneHost();
    await host.run();
    const second = await host.command("run");
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toMatch(/state folder .* is in use by another process/);
    expect((await host.command("status")).exitCode).toBe(0);
  });

  test("what a killed process leaves behind is taken over, its journal whole", async () => {
    await using host = standaloneHost();
    for (let round = 0; round < 3; round++) {
      const child = await host.run();
      await host.end(child, "SIGKILL");
      expect((await host.command("status")).stdout).toMatch(/was killed or crashed/);
      expect((await host.command("audit", "verify")).exitCode).toBe(0);
    }
    await host.run();
    const report = await host.json("audit", "verify");
    expect(report).toMatchObject({ isIntact: true, entries: 8 });
  });

  test("a changed journal is found offline, at its first broken entry", async () => {
    await using host = standaloneHost();
    await host.end(await host.run(), "SIGTERM");
    const database = new DatabaseSync(host.path("state/store.db"));
    database.exec("UPDATE audit_journal SET event = 'nothing.happened' WHERE idx = 2");
    database.close();
    const verified = await host.command("audit", "verify");
    expect(verified.exitCode).toBe(1);
    expect(verified.stdout).toMatch(/broken at entry 2/);
  });

  test("payloads of old entries are erased on demand, running or not, and the chain stays whole", async () => {
    await using host = standaloneHost();
    const child = await host.run();
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
    expect(await host.json("audit", "erase", "--before", tomorrow)).toEqual({ erased: 2 });
    await host.end(child, "SIGTERM");
    const { erased } = await host.json("audit", "erase", "--before", tomorrow);
    expect(erased).toBe(2);
    expect(await host.json("audit", "verify")).toMatchObject({ isIntact: true, erasedPayloads: 4 });
    expect((await host.command("audit", "erase", "--before", "soon")).exitCode).toBe(2);
  });

  test("a broken file leaves the last good configuration in force, across a restart", async () => {
    await using host = standaloneHost();
    await host.end(await host.run(), "SIGTERM");
    const before = await host.command("check");
    expect(before.stdout).toMatch(/ok {4}desired-configuration: .* holds version 1/);
    host.write("desired.json", '{"version": 2');
    const checked = await host.command("check");
    expect(checked.exitCode).toBe(1);
    expect(checked.stdout).toMatch(/FAIL {2}desired-configuration: .* is not JSON/s);
    await host.run();
    const { configurationVersion, health } = await host.json("status");
    expect(configurationVersion).toBe(1);
    const check = health.checks.find(({ name }: { name: string }) => name.startsWith("desired"));
    expect(check).toMatchObject({
      status: "warning",
      reason: expect.stringMatching(/is not JSON/),
    });
  });

  test("status tells how it is now, not how it was a moment ago", async () => {
    await using host = standaloneHost();
    await host.run();
    await host.json("status");
    host.write("desired.json", { version: 2, configuration: {} });
    const { health } = await until(async () => {
      const status = await host.json("status");
      return status.configurationVersion === 2 ? status : undefined;
    }, "version 2");
    const check = health.checks.find(({ name }: { name: string }) => name.startsWith("desired"));
    expect(check.reason).toBe("desired configuration 2 is in force");
  });

  test("every fault of a broken local file is in one message, exit code 1", async () => {
    await using host = standaloneHost({ colour: "red", log: { level: "loud" }, strict: "yes" });
    const { exitCode, stderr } = await host.command("run");
    expect(exitCode).toBe(1);
    for (const key of ["colour: unknown key", "log.level: ", "strict: "]) {
      expect(stderr).toContain(key);
    }
    const { error } = await host.json("run");
    expect(error.faults).toHaveLength(3);
  });

  test("under strict it does not start without guardrails, nor with ones it could write", async () => {
    await using host = standaloneHost({ strict: true });
    expect((await host.command("run")).stderr).toMatch(/no guardrails file is configured/);
    await using second = standaloneHost({ strict: true, guardrailsFile: "guardrails.json" });
    second.write("guardrails.json", { commands: { allow: [] } });
    expect((await second.command("run")).stderr).toMatch(/may be written by this process/);
    expect(existsSync(second.path("state/store.db"))).toBe(false);
  });

  test("neither enrolled nor standalone, it says what to do", async () => {
    await using host = new BridgeHost();
    expect((await host.command("run")).stderr).toMatch(/run `comgmt-bridge enrol` with a token/);
  });
});

describe("with a control plane", () => {
  test("it enrols, applies, reports, refuses by guardrails, and waits for approval", async () => {
    using folder = temporaryFolder();
    await using cloud = await ControlPlaneFixture.start(folder.path);
    const admin = await cloud.client();
    await using host = new BridgeHost({ guardrailsFile: "guardrails.json" });
    host.write("guardrails.json", {
      commands: { allow: ["health.report"], approval: { "health.report": {} } },
    });
    host.write("token", await tokenFor(admin));
    expect((await host.command("enrol", "--token-file", host.path("token"))).exitCode).toBe(0);
    const again = await host.command("enrol", "--token-file", host.path("token"));
    expect(again.stderr).toMatch(/give --replace/);
    const running = await host.run();
    const { connectorId } = await host.json("status");
    await until(async () => (await host.json("status")).link.connected, "the link");

    const path = `/connectors/${connectorId}`;
    await admin.call("PUT", `${path}/desiredConfiguration`, { configuration: {} }, 200);
    await until(
      async () => (await admin.get(path)).configurationVersionApplied === 1,
      "the applied configuration reported",
    );

    const refused = await admin.post("/commands", { connectorId, kind: "revocation.refresh" }, 201);
    expect(await endOf(admin, refused.id)).toMatchObject({
      state: "refused",
      error: { rule: "guardrails.commands.allow" },
    });

    const waiting = await admin.post("/commands", { connectorId, kind: "health.report" }, 201);
    await until(
      async () => (await host.json("status")).awaitingApproval.length === 1,
      "the command that waits",
    );
    expect((await host.command("approve")).stdout).toContain(waiting.id);
    expect((await host.command("approve", "another")).exitCode).toBe(1);
    expect((await host.command("approve", waiting.id)).exitCode).toBe(0);
    expect(await endOf(admin, waiting.id)).toMatchObject({ state: "succeeded" });

    const denied = await admin.post("/commands", { connectorId, kind: "health.report" }, 201);
    await until(
      async () => (await host.json("status")).awaitingApproval.length === 1,
      "the next command that waits",
    );
    expect((await host.command("deny", "another")).exitCode).toBe(1);
    expect((await host.command("deny", denied.id, "--reason", "not now")).exitCode).toBe(0);
    expect(await endOf(admin, denied.id)).toMatchObject({
      state: "refused",
      error: { code: "approval-denied", message: "not now" },
    });

    const later = await admin.post("/commands", { connectorId, kind: "health.report" }, 201);
    await until(
      async () => (await host.json("status")).awaitingApproval.length === 1,
      "one more that waits",
    );
    expect(await host.end(running, "SIGTERM")).toBe(0);
    expect((await host.command("deny", later.id)).exitCode).toBe(0);
    expect((await host.command("deny", later.id)).exitCode).toBe(1);
    await host.run();
    expect(await endOf(admin, later.id)).toMatchObject({ state: "refused" });

    expect(await eventsOf(host)).toEqual(
      expect.arrayContaining([
        "configuration.applied",
        "command.refused",
        "command.awaiting-approval",
        "command.approved-locally",
        "command.denied-locally",
        "command.succeeded",
      ]),
    );
    expect((await host.json("audit", "verify")).countersignedHeads).toBeGreaterThan(0);
  });

  test("with another tenant key pinned on the host, nothing the control plane signs has an effect", async () => {
    using folder = temporaryFolder();
    await using cloud = await ControlPlaneFixture.start(folder.path);
    const admin = await cloud.client();
    await using host = new BridgeHost();
    host.write("token", await tokenFor(admin));
    await host.command("enrol", "--token-file", host.path("token"));
    const { publicKey } = generateKeyPairSync("ed25519");
    host.write("key.json", publicKey.export({ format: "jwk" }));
    expect((await host.command("trust", "pin", host.path("key.json"))).exitCode).toBe(0);
    const { keys } = await host.json("trust", "list");
    expect(keys.map(({ origin }: { origin: string }) => origin)).toEqual(["enrolment", "local"]);

    await host.run();
    const { connectorId } = await host.json("status");
    const configuration = `/connectors/${connectorId}/desiredConfiguration`;
    await admin.call("PUT", configuration, { configuration: {} }, 200);
    await admin.post("/commands", { connectorId, kind: "health.report" }, 201);
    await until(
      async () =>
        (await eventsOf(host)).filter((event) => event === "link.statement-rejected").length >= 2,
      "both rejections in the journal",
    );
    expect((await host.json("status")).configurationVersion).toBe(0);
    expect(await eventsOf(host)).not.toContain("command.started");
  });

  test("without its control plane it starts with the last good configuration and stays ready", async () => {
    using folder = temporaryFolder();
    await using host = new BridgeHost();
    {
      await using cloud = await ControlPlaneFixture.start(folder.path);
      const admin = await cloud.client();
      host.write("token", await tokenFor(admin));
      await host.command("enrol", "--token-file", host.path("token"));
      const child = await host.run();
      const { connectorId } = await host.json("status");
      const path = `/connectors/${connectorId}/desiredConfiguration`;
      await admin.call("PUT", path, { configuration: {} }, 200);
      await until(
        async () => (await host.json("status")).configurationVersion === 1,
        "configuration 1 in force",
      );
      await host.end(child, "SIGKILL");
    }
    await host.run();
    const status = await host.json("status");
    expect(status).toMatchObject({ configurationVersion: 1, link: { connected: false } });
    expect((await fetch(`${host.runFile()?.healthUrl}/ready`)).status).toBe(200);
    const check = await host.command("check");
    expect(check.exitCode).toBe(1);
    expect(check.stdout).toMatch(/FAIL {2}control-plane: .* cannot be reached/);
  });
});

type Admin = Awaited<ReturnType<ControlPlaneFixture["client"]>>;

async function tokenFor(admin: Admin): Promise<string> {
  return (await admin.post("/enrolmentTokens", { service: "comgmt-bridge" }, 201)).token;
}

async function endOf(admin: Admin, id: string) {
  const final = ["succeeded", "failed", "refused", "expired", "cancelled", "unknown"];
  return await until(async () => {
    const command = await admin.get(`/commands/${id}`);
    return final.includes(command.state) ? command : undefined;
  }, `the end of command ${id}`);
}

async function eventsOf(host: BridgeHost): Promise<string[]> {
  const database = new DatabaseSync(host.path("state/store.db"), { readOnly: true });
  try {
    const rows = database.prepare("SELECT event FROM audit_journal").all();
    return rows.map(({ event }) => String(event));
  } finally {
    database.close();
  }
}
