import { createPrivateKey } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { signJws } from "@isthmus/shared/link/jws";
import { JWS_TYPES, type SignedCommand } from "@isthmus/shared/link/messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts } from "@isthmus/suite/ports";
import { DEMO_SCRIPT_SHA256, DEMO_SITE } from "@isthmus/suite/process/configuration-manager";
import { setUp } from "@isthmus/suite/set-up";
import { Suite } from "@isthmus/suite/suite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/**
 * The control plane in the hands of an attacker who signs what he likes with the real tenant key, against a real bridge at a
 * simulated site: nothing is done there that the guardrails on the bridge's host do not allow, however it is cut up or written.
 */

const FIRST = DEMO_SITE.firstResourceId;
const NEVER = "CM10002A";
const OPEN = "CM10002B";
const WINDOW = { max: 5, perMinutes: 60 };

let folder: ReturnType<typeof temporaryFolder>;
let suite: Suite;
let bridgeId: string;
let count = 0;

beforeAll(async () => {
  folder = temporaryFolder();
  suite = new Suite({ layout: layoutOf(join(folder.path, "suite")), ports: await freePorts() });
  await suite.openSite();
  const record = await setUp(suite);
  bridgeId = record.connectors["comgmt-bridge"] ?? "";
  const collection = (id: string, ...numbers: readonly number[]) =>
    ask("change", {
      ...{ kind: "collection", id, name: id },
      members: numbers.map((number) => FIRST + number),
    });
  await collection(NEVER, 50);
  await collection(OPEN, 10, 11);
  await tighten((guardrails) => {
    guardrails.commands.limits = {
      "site-devices-notified": WINDOW,
      "site-devices-queried": { max: 2, perMinutes: 60 },
    };
    const { actions } = guardrails["comgmt-bridge"];
    actions.targets = { CM1: { collections: ["SMS00001", OPEN], never: [NEVER] } };
    actions.notifications = ["refreshMachinePolicy", "refreshUserPolicy"];
    actions.scripts[0].parameters = { Name: "[A-Za-z]{1,10}" };
    guardrails["comgmt-bridge"].queries = { entities: ["OperatingSystem"] };
  });
});

afterAll(async () => {
  await suite[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const devices = (...numbers: readonly number[]) => ({
  ...{ kind: "devices", resourceIds: numbers.map((number) => FIRST + number) },
});
const notify = (target: object, notification = "refreshMachinePolicy") =>
  ["site.notify", { source: "CM1", target, notification }] as const;
const query = (text: string, target: object = devices(1)) =>
  ["site.query", { source: "CM1", target, query: text }] as const;
const script = (more: object) =>
  [
    "site.script",
    {
      ...{ source: "CM1", target: devices(1), scriptGuid: DEMO_SITE.script.guid, version: "1" },
      ...{ sha256: DEMO_SCRIPT_SHA256, ...more },
    },
  ] as const;
const named = (value: string) => script({ parameters: [{ name: "Name", value }] });

type Asked = readonly [kind: string, payload: object];

describe("commands that are signed, and not allowed", () => {
  const refused: readonly (readonly [string, Asked])[] = [
    [
      "a collection with a device that is never touched",
      notify({ kind: "collection", collectionId: "SMS00001" }),
    ],
    ["that device by its number", notify(devices(50))],
    ["the collection that is never touched", notify({ kind: "collection", collectionId: NEVER })],
    ["a collection that is not listed", notify({ kind: "collection", collectionId: "SMSDM003" })],
    ["a device that the site does not have", notify(devices(9_999_999))],
    ["a notification that is not listed", notify(devices(1), "hardwareInventory")],
    ["a restart", notify(devices(1), "restart")],
    ["a notification by the name of a property of all objects", notify(devices(1), "constructor")],
    ["another site", ["site.notify", { ...notify(devices(1))[1], source: "CM9" }]],
    ["a script of another version", script({ version: "2" })],
    ["a script of another text", script({ sha256: "0".repeat(64) })],
    ["another script", script({ scriptGuid: "00000000-0000-4000-8000-000000000000" })],
    ["a parameter out of its attribute", named("a\"/><ScriptParameter ParameterName='b")],
    ["a parameter out of its quotes", named("a'; Remove-Item C:")],
    ["a parameter out of its quotes, in Unicode", named("a\u2019; b")],
    ["a parameter on two lines", named("a\nb")],
    ["half a character as a parameter", named("a\ud800")],
    ["a parameter that nobody listed", script({ parameters: [{ name: "__proto__", value: "a" }] })],
    [
      "an application",
      [
        "site.application",
        { source: "CM1", target: devices(1), applicationId: "a", action: "install" },
      ],
    ],
    ["recovery keys", ["site.recovery-key", { source: "CM1", resourceId: FIRST }]],
    [
      "custom properties",
      ["site.custom-properties", { source: "CM1", resourceId: FIRST, set: { a: "b" } }],
    ],
    [
      "the end of something that this bridge did not begin",
      ["site.cancel", { source: "CM1", commandId: "of-somebody-else" }],
    ],
    ["an entity in other letters", query("ADMINISTRATORS")],
    ["an entity behind a comment", query("OperatingSystem // |\nAdministrators")],
    ["a joined entity", query("OperatingSystem | join (Administrators)")],
    [
      "an entity joined to a joined one",
      query(
        "OperatingSystem | join kind=inner (OperatingSystem | join (Registry('hklm:\\\\sam')))",
      ),
    ],
    ["a path behind an entity without one", query("OperatingSystem('c:\\\\*')")],
    ["two queries in one", query("OperatingSystem; Administrators")],
    ["an entity by another name", query("let OperatingSystem = Administrators; OperatingSystem")],
    ["an entity in letters that look alike", query("\u041eperatingSystem")],
  ];

  test("none of them reaches the site", async () => {
    const before = await posts();
    const ended = await send(refused.map(([, asked]) => asked));
    const states = refused.map(([what], index) => [what, ended[index]?.state]);
    // What is no payload at all fails or is refused; neither is done.
    expect(states.filter(([, state]) => state !== "refused" && state !== "failed")).toEqual([]);
    expect(await posts()).toBe(before);
    expect(await executions()).toEqual([]);
  });
});

describe("what is allowed, cut into many small pieces", () => {
  test("comes to the window of the host and no further, over kinds of notifications and targets", async () => {
    const pieces = [
      notify(devices(1, 2)),
      notify(devices(3), "refreshUserPolicy"),
      notify({ kind: "collection", collectionId: OPEN }),
      notify(devices(4), "refreshUserPolicy"),
      notify(devices(5)),
      notify(devices(6, 6, 6)),
    ];
    const ended = await send(pieces);
    const states = ended.map(({ state }) => state);
    expect(states.slice(0, 3)).toEqual(["succeeded", "succeeded", "succeeded"]);
    expect(states.slice(3)).toEqual(["refused", "refused", "refused"]);
    expect(ended[3]?.error).toMatch(/guardrails\.commands\.limits\.site-devices-notified/);
    await until(async () => (await executions()).length === WINDOW.max, "all that was allowed");
  });

  test("and after the bridge was killed the window is as full as it was", async () => {
    await suite.halt("comgmt-bridge", "kill");
    await suite.launch("comgmt-bridge");
    const ended = await send([notify(devices(20)), notify(devices(21), "refreshUserPolicy")]);
    expect(ended.map(({ state }) => state)).toEqual(["refused", "refused"]);
    expect(await executions()).toHaveLength(WINDOW.max);
  });

  test("queries too, of which each device counts", async () => {
    const ended = await send([
      query("OperatingSystem", devices(1)),
      query("OperatingSystem | where Caption != 'x'", devices(2, 3)),
      query("operatingsystem // the same", devices(2)),
      query("OperatingSystem", devices(3)),
    ]);
    expect(ended.map(({ state }) => state)).toEqual([
      ...["succeeded", "refused", "succeeded", "refused"],
    ]);
  });
});

describe("configurations", () => {
  test.each([
    ["a site that the host does not have", { sites: [{ source: "CM9" }] }],
    ["an address of a site", { sites: [{ source: "CM1", url: "https://attacker.example" }] }],
    ["credentials of a site", { sites: [{ source: "CM1", tokenFile: "/etc/passwd" }] }],
    ["a domain", { sites: [], directories: [{ url: "ldaps://attacker.example" }] }],
    [
      "a class beyond the guardrails",
      { sites: [{ source: "CM1", inventoryClasses: ["SMS_G_System_LOCAL_ADMINS"] }] },
    ],
    [
      "a class that is a path",
      { sites: [{ source: "CM1", inventoryClasses: ["SMS_G_System_X?$expand=*"] }] },
    ],
    ["a pace that no site could bear", { sites: [{ source: "CM1", hotSeconds: 0 }] }],
  ])("with %s is refused, and the last good one stays", async (_, configuration) => {
    const version = await desire(configuration);
    await until(
      async () => {
        const state = await connector();
        if (state.configurationVersionApplied >= version) throw new Error("it was applied");
        return JSON.parse(state.configurationError ?? "{}").version === version;
      },
      "the refusal reported",
      60_000,
    );
  });
});

interface Connector {
  readonly configurationVersion: number;
  readonly configurationVersionApplied: number;
  readonly configurationError: string | null;
}

async function connector(): Promise<Connector> {
  return (await suite.graph()).get(`/connectors/${bridgeId}`);
}

async function ask<Result>(name: string, ...given: readonly unknown[]): Promise<Result> {
  const site = await suite.openConfigurationManager();
  return (await site.ask(name, ...given)) as Result;
}

const executions = () =>
  ask<readonly { readonly kind: string }[]>("executions").then((all) =>
    all.filter(({ kind }) => kind === "notification"),
  );

async function posts(): Promise<number> {
  const requests = await ask<readonly { readonly method: string }[]>("requests");
  return requests.filter(({ method }) => method === "POST").length;
}

// biome-ignore lint/suspicious/noExplicitAny: a file of many shapes, edited in place
async function tighten(edit: (guardrails: any) => void): Promise<void> {
  const { guardrailsFile } = suite.layout.of("comgmt-bridge");
  const guardrails = JSON.parse(readFileSync(guardrailsFile, "utf8"));
  edit(guardrails);
  await suite.halt("comgmt-bridge");
  chmodSync(guardrailsFile, 0o600);
  writeFileSync(guardrailsFile, JSON.stringify(guardrails));
  chmodSync(guardrailsFile, 0o444);
  await suite.launch("comgmt-bridge");
}

interface Ended {
  readonly state: string;
  readonly error: string;
}

/** Signs commands with the tenant's own key, puts them into the queue behind the control plane's back, and waits for their ends. */
async function send(asked: readonly Asked[]): Promise<readonly Ended[]> {
  await suite.halt("control-plane");
  const ids: string[] = [];
  for (const [kind, payload] of asked) ids.push(await plant(kind, payload));
  await suite.launch("control-plane");
  return await until(() => endsOf(ids), "the ends of the commands", 60_000);
}

/** Signs a configuration that the control plane's own API would refuse, and has it delivered. */
async function desire(configuration: object): Promise<number> {
  await suite.halt("control-plane");
  const last = database((of) =>
    of
      .prepare("SELECT max(version) AS version FROM desired_configuration WHERE connector_id = ?")
      .get(bridgeId),
  );
  const version = Number(last?.["version"]) + 1;
  const service = "comgmt-bridge";
  const signed = { aud: bridgeId, version, service, issuedAt: Date.now(), configuration };
  const key = createPrivateKey(suite.read("control-plane", "signer/tenant-key.pem"));
  const jws = await signJws(signed, JWS_TYPES.configuration, key);
  database((of) =>
    of
      .prepare(
        "INSERT INTO desired_configuration (connector_id, version, body, jws, created_at) VALUES (?, ?, ?, ?, ?)",
      )
      .run(bridgeId, version, JSON.stringify(configuration), jws, Date.now()),
  );
  await suite.launch("control-plane");
  return version;
}

function database<Result>(act: (database: DatabaseSync) => Result): Result {
  const file = join(suite.layout.of("control-plane").stateFolder, "store.db");
  const opened = new DatabaseSync(file, { timeout: 10_000 });
  try {
    return act(opened);
  } finally {
    opened.close();
  }
}

async function plant(kind: string, payload: object): Promise<string> {
  count += 1;
  const id = `hostile-${count}`;
  const at = Date.now();
  const expiresAt = at + 3_600_000;
  const seq = database((of) => {
    const row = of.prepare("SELECT command_seq AS seq FROM connector WHERE id = ?").get(bridgeId);
    return Number(row?.["seq"]) + 1;
  });
  const command: SignedCommand = {
    ...{ id, kind, seq, aud: bridgeId, actor: "admin", payload },
    ...{ issuedAt: at, notBefore: at - 1_000, expiresAt, supersedes: [], approvals: [] },
  };
  const key = createPrivateKey(suite.read("control-plane", "signer/tenant-key.pem"));
  const jws = await signJws(command, JWS_TYPES.command, key);
  database((of) => {
    of.prepare(
      `INSERT INTO command (id, connector_id, seq, kind, body, jws, state, actor, created_at, not_before, expires_at, state_at)
       VALUES (?, ?, ?, ?, ?, ?, 'queued', 'admin', ?, ?, ?, ?)`,
    ).run(id, bridgeId, seq, kind, JSON.stringify(payload), jws, at, at - 1_000, expiresAt, at);
    of.prepare("UPDATE connector SET command_seq = ? WHERE id = ?").run(seq, bridgeId);
  });
  return id;
}

const ENDS = "('succeeded', 'failed', 'refused', 'expired', 'unknown')";

/** Undefined until all of them have ended. */
function endsOf(ids: readonly string[]): Ended[] | undefined {
  const rows = database((of) =>
    of
      .prepare(
        `SELECT c.state, c.error FROM json_each(?) i JOIN command c ON c.id = i.value AND c.state IN ${ENDS} ORDER BY i.key`,
      )
      .all(JSON.stringify(ids)),
  );
  if (rows.length < ids.length) return undefined;
  return rows.map(({ state, error }) => ({ state: String(state), error: String(error) }));
}
