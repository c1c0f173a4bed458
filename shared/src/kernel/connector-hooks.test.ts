import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { z } from "zod";
import { RefusalError } from "../errors.ts";
import { publicKeyOf, signJws } from "../link/jws.ts";
import { JWS_TYPES, type SignedCommand } from "../link/messages.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { makeStore } from "../testing/kernel-store-fixture.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { AuditKeeper } from "./audit-keeper.ts";
import { CommandGuard } from "./command-guard.ts";
import { connectorHooks } from "./connector-hooks.ts";
import { DesiredConfiguration } from "./desired-configuration.ts";
import { storedLimits } from "./limits.ts";
import { type CommandContext, type CommandHandler, commandHandler } from "./service-definition.ts";
import { Trust } from "./trust.ts";

const clock = new FakeClock();
const tenant = generateKeyPairSync("ed25519").privateKey;
const nextTenant = generateKeyPairSync("ed25519").privateKey;
const schema = z.strictObject({ colour: z.enum(["blue", "green"]) });

const command: SignedCommand = {
  id: "c1",
  kind: "paint.wall",
  seq: 1,
  aud: "connector-1",
  actor: "ada",
  issuedAt: clock.now(),
  notBefore: clock.now(),
  expiresAt: clock.now() + 60_000,
  payload: { colour: "blue" },
  supersedes: [],
  approvals: [],
};

/** A connector whose service paints walls: everything the link would call, on a real store. */
async function connector(handler: Partial<CommandHandler<{ colour: string }>> = {}) {
  const folder = temporaryFolder();
  const made = await makeStore();
  const { store } = made;
  const painted: string[] = [];
  const applied: string[] = [];
  const handlers = {
    "paint.wall": commandHandler({
      payload: schema,
      run: async ({ colour }) => {
        painted.push(colour);
        return { colour };
      },
      ...handler,
    }),
  };
  const guardrails = {
    commands: {
      allow: ["paint.wall"],
      limits: { "paint.wall": { max: 2, perMinutes: 60 } },
      approval: {},
    },
    approvers: [],
  };
  const limits = storedLimits(store, guardrails, clock);
  const trust = Trust.load(join(folder.path, "trust.json"), clock);
  trust.pin(publicKeyOf(tenant), "enrolment");
  const desired = new DesiredConfiguration({
    source: "connector-1",
    schema,
    service: { applyConfiguration: async ({ colour }) => void applied.push(colour) },
    store,
    clock,
  });
  const hooks = connectorHooks({
    store,
    clock,
    log: pino({ level: "silent" }),
    service: "comgmt-bridge",
    guard: new CommandGuard({ guardrails, handlers, limits, clock }),
    handlers,
    desired,
    trust,
    audit: new AuditKeeper(store, clock),
    snapshot: async () => ({
      service: "cert-connector",
      version: "1",
      startedAt: 1,
      checks: [],
      figures: {},
    }),
    wakeAudit: () => {},
  });
  const journal = async () =>
    (await store.run("auditPage", 0)).map(({ event, payloadText }) => ({
      event,
      ...JSON.parse(payloadText ?? "{}"),
    }));
  return {
    hooks,
    painted,
    applied,
    trust,
    journal,
    async [Symbol.asyncDispose]() {
      await made[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

const signal = AbortSignal.timeout(60_000);

test("an allowed command runs, and the journal tells its start and its end, without its payload", async () => {
  await using made = await connector();
  expect(await made.hooks.judge(command, undefined)).toBe("run");
  expect(await made.hooks.run(command, signal)).toEqual({ colour: "blue" });
  const journal = await made.journal();
  expect(journal.map(({ event }) => event)).toEqual(["command.started", "command.succeeded"]);
  expect(journal[0]).toMatchObject({ id: "c1", kind: "paint.wall", actor: "ada", seq: 1 });
  expect(JSON.stringify(journal)).not.toContain("blue");
});

test("a command that waits for a person says which words let it run, and by what rule it waits", async () => {
  await using made = await connector({ approval: () => ({ signatures: 1, local: true }) });
  expect(made.hooks.waitOf?.(command)).toBeUndefined();
  expect(await made.hooks.judge(command, undefined)).toBe("await-approval");
  expect(made.hooks.waitOf?.(command)).toEqual({
    code: "awaiting-approval",
    message: expect.stringContaining("`comgmt-bridge approve c1 --config ...`"),
    rule: "guardrails.commands.approval.paint.wall",
  });
});

test("who runs a command is told who asked, until when, and who consented", async () => {
  const contexts: unknown[] = [];
  const seen = async (
    _payload: unknown,
    { signal: _signal, ...context }: Partial<CommandContext>,
  ) => {
    contexts.push(context);
    return "not-run" as const;
  };
  await using made = await connector({ run: seen, reconcile: seen });
  await made.hooks.run(command, signal);
  await made.hooks.run(command, signal, 5);
  await made.hooks.reconcile(command, 5);
  const { id, actor, expiresAt } = command;
  expect(contexts).toEqual(
    [false, true, true].map((isLocal) => ({
      ...{ id, actor, expiresAt, consent: { isLocal, signatures: 0 } },
    })),
  );
});

test("a control plane that signs what the guardrails forbid gets nothing done, and the journal names the rule", async () => {
  await using made = await connector();
  const forbidden = { ...command, kind: "paint.floor" };
  await expect(made.hooks.judge(forbidden, undefined)).rejects.toBeInstanceOf(RefusalError);
  const odd = { ...command, payload: { colour: "red" } };
  await expect(made.hooks.judge(odd, undefined)).rejects.toBeInstanceOf(RefusalError);
  for (let n = 0; n < 2; n++) await made.hooks.judge({ ...command, id: `c${n}` }, undefined);
  await expect(made.hooks.judge(command, undefined)).rejects.toBeInstanceOf(RefusalError);
  expect(made.painted).toEqual([]);
  expect((await made.journal()).map(({ event, rule }) => [event, rule])).toEqual([
    ["command.refused", "guardrails.commands.allow"],
    ["command.refused", "payload.paint.wall"],
    ["command.refused", "guardrails.commands.limits.paint.wall"],
  ]);
});

test("a command that fails is recorded with its code, an unknown error as internal", async () => {
  await using made = await connector({
    run: async () => {
      throw new Error("with detail");
    },
  });
  await expect(made.hooks.run(command, signal)).rejects.toThrow();
  const journal = await made.journal();
  expect(journal.at(-1)).toMatchObject({ event: "command.failed", code: "internal" });
  expect(JSON.stringify(journal)).not.toContain("with detail");
});

test.each([
  ["without a way to ask it is run again", {}, "not-run"],
  [
    "what the service finds out counts",
    { reconcile: async () => "succeeded" as const },
    "succeeded",
  ],
])("after a crash in the middle of a command, %s", async (_what, handler, found) => {
  await using made = await connector(handler);
  expect(await made.hooks.reconcile(command)).toBe(found);
  expect((await made.journal()).at(-1)).toMatchObject({ event: "command.reconciled", found });
});

test("after a crash, a command that this version does not have ends as unknown", async () => {
  await using made = await connector();
  expect(await made.hooks.reconcile({ ...command, kind: "paint.roof" })).toBe("unknown");
});

test("a signed configuration is applied, a bad or older one is refused with its code", async () => {
  await using made = await connector();
  const offer = (version: number, configuration: unknown) =>
    made.hooks.onConfiguration(
      { aud: "connector-1", service: "cert-connector", issuedAt: 1, version, configuration },
      `jws-${version}`,
    );
  await offer(2, { colour: "blue" });
  expect(made.hooks.configurationVersion()).toBe(2);
  await expect(offer(3, { colour: "red" })).rejects.toMatchObject({
    code: "configuration-invalid",
  });
  await expect(offer(1, { colour: "green" })).rejects.toMatchObject({
    code: "configuration-older",
  });
  expect(made.applied).toEqual(["blue"]);
});

test("a swapped tenant key is refused and recorded; the next one by the present key is pinned", async () => {
  await using made = await connector();
  const statement = { tenantKey: publicKeyOf(nextTenant), notBefore: 0 };
  const swapped = await signJws(statement, JWS_TYPES.trust, nextTenant);
  await expect(made.hooks.onTrust(statement, swapped)).rejects.toMatchObject({
    code: "signature-refused",
  });
  await made.hooks.onTrust(statement, await signJws(statement, JWS_TYPES.trust, tenant));
  expect(made.trust.accepted()).toContainEqual(publicKeyOf(nextTenant));
  const events = (await made.journal()).map(({ event }) => event);
  expect(events).toEqual(["trust.refused", "trust.rotated"]);
});

test("statements that do not verify are recorded, at most 100 an hour", async () => {
  await using made = await connector();
  const rejected = { event: "link.statement-rejected", kind: "command", code: "jws-key" } as const;
  for (let n = 0; n < 150; n++) made.hooks.onEvent(rejected);
  expect(await made.journal()).toHaveLength(100);
  clock.advance(3_600_000);
  made.hooks.onEvent(rejected);
  const journal = await made.journal();
  expect(journal).toHaveLength(101);
  expect(journal.at(-1)).toMatchObject(rejected);
});

test("coming and going of the link fills no journal", async () => {
  await using made = await connector();
  made.hooks.onEvent({ event: "link.lost", code: "closed" });
  expect(await made.journal()).toEqual([]);
});
