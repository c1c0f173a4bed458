import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { layoutOf } from "@isthmus/suite/layout";
import { freePorts } from "@isthmus/suite/ports";
import { DEMO_SITE } from "@isthmus/suite/process/configuration-manager";
import { requestJson } from "@isthmus/suite/process/https-json";
import { setUp } from "@isthmus/suite/set-up";
import { Suite } from "@isthmus/suite/suite";
import { afterAll, beforeAll, expect, test } from "vitest";

/** A CMPivot query from the API through control plane and bridge, each a process, to a site and back. */

const WAIT_MS = 150_000;
/** When the site gives an operation up, in place of an hour. */
const GIVEN_UP_MS = 5_000;
/** The collection has all devices of the site, four. */
const { firstResourceId: FIRST, siteCode, collectionId } = DEMO_SITE;
const [HERE, ALSO_HERE, COMES, STAYS_AWAY] = [0, 1, 2, 3].map((at) => String(FIRST + at));
const SITE = `/configurationManagerSites/${siteCode}`;

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
let suite: Suite;
let token: string;
const authority = () => suite.read("control-plane", "ca.pem");
const base = () => `https://localhost:${suite.ports.controlPlane}`;
const online = async (resourceId: string | undefined, isOnline: boolean) => {
  const site = await suite.openConfigurationManager();
  await site.ask("change", { kind: "online", resourceId: Number(resourceId), isOnline });
};

beforeAll(async () => {
  const folder = stack.use(temporaryFolder());
  suite = stack.use(
    new Suite({
      layout: layoutOf(join(folder.path, "suite")),
      ports: await freePorts(),
      configurationManager: {
        ...{ devices: 4, onlineShare: 1 },
        behaviour: { answerMinMs: 200, answerMaxMs: 500, operationExpiresMs: GIVEN_UP_MS },
      },
    }),
  );
  await suite.openSite();
  await setUp(suite);
  const { guardrailsFile } = suite.layout.of("comgmt-bridge");
  const guardrails = JSON.parse(readFileSync(guardrailsFile, "utf8"));
  const { "comgmt-bridge": of } = guardrails;
  of.queries.entities.push({ entity: "EventLog", arguments: ["System"] });
  await suite.halt("comgmt-bridge");
  chmodSync(guardrailsFile, 0o600);
  writeFileSync(guardrailsFile, JSON.stringify(guardrails));
  chmodSync(guardrailsFile, 0o444);
  for (const away of [COMES, STAYS_AWAY]) await online(away, false);
  await suite.launch("comgmt-bridge");
  const password = suite.read("control-plane", "initial-admin-password").trim();
  const { body } = await requestJson({
    ...{ method: "POST", url: new URL(`${base()}/api/session`), authority: authority() },
    body: { userName: "admin", password },
  });
  ({ token } = body as { readonly token: string });
  const graph = await suite.graph();
  await until(
    async () => (await graph.list(`/managedDevices`)).length >= 4,
    "the devices of the site",
    WAIT_MS,
  );
}, WAIT_MS);

interface Operation {
  readonly id: string;
  readonly state: string;
  readonly isTruncated: boolean;
  readonly deviceCounts: Readonly<Record<string, number>>;
}
interface StreamEvent {
  readonly event: string;
  readonly resourceId?: string;
  readonly row?: Readonly<Record<string, unknown>>;
  readonly isComplete?: boolean;
  readonly operation?: Operation;
}

/** Once the bridge attends to the site again. */
const ask = async (query: string, target: object, more: object = {}): Promise<Operation> => {
  const graph = await suite.graph();
  return await until(
    () =>
      graph.post<Operation>(`${SITE}/queries`, { query, target, ...more }).catch((error: Error) => {
        if (!error.message.includes("site-unattended")) throw error;
        return undefined;
      }),
    "a bridge at the site",
    WAIT_MS,
  );
};

/** What an API client that follows a query has got so far. */
function follow({ id }: Operation) {
  const events: StreamEvent[] = [];
  const url = new URL(`${base()}/beta/deviceManagement${SITE}/queries/${id}/rows?stream=true`);
  const headers = { authorization: `Bearer ${token}`, accept: "application/x-ndjson" };
  const asked = request(url, { ca: authority(), agent: false, headers }, (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = `${text}${chunk}`.split("\n");
      text = lines.pop() ?? "";
      events.push(...lines.map((line) => JSON.parse(line) as StreamEvent));
    });
    response.on("error", () => {});
  });
  asked.on("error", () => {});
  asked.end();
  stack.defer(() => void asked.destroy());
  const rows = () => events.filter(({ event }) => event === "row");
  return {
    rows,
    keys: () => [...new Set(rows().map(({ resourceId }) => resourceId))].toSorted(),
    end: () => events.find(({ event }) => event === "end"),
  };
}

async function statesOf({ id }: Operation) {
  const path = `${SITE}/clientOperations/${id}/deviceStates`;
  const states = await (await suite.graph()).list<{
    readonly resourceId: string;
    readonly state: string;
  }>(path);
  return Object.fromEntries(states.map(({ resourceId, state }) => [resourceId, state]));
}

/** How often the site was asked to run a query on a device. */
async function timesAsked(resourceId: string | undefined): Promise<number> {
  const requests = await requestsOf("POST");
  return requests.filter(({ path }) => path.includes(`Device(${resourceId})`)).length;
}

async function requestsOf(wanted: string) {
  const site = await suite.openConfigurationManager();
  const all = (await site.ask("requests")) as readonly {
    readonly method: string;
    readonly path: string;
  }[];
  return all.filter(({ method }) => method === wanted);
}

test(
  "rows of a collection's devices reach the client as each answers, those of one that is away once it is back, and one that stays away expires",
  async () => {
    const expirationDateTime = new Date(Date.now() + 120_000).toISOString();
    const operation = await ask(
      "OperatingSystem | project Caption",
      { collectionId },
      { expirationDateTime },
    );
    const followed = follow(operation);
    await until(() => followed.keys().length >= 2, "rows of those that are here", WAIT_MS);
    // While others have yet to answer.
    expect(followed.keys()).toEqual([HERE, ALSO_HERE]);
    expect(followed.end()).toBeUndefined();
    expect(followed.rows()[0]?.row).toMatchObject({ Caption: expect.stringMatching(/Windows/) });
    const askedAt = Date.now();
    await until(() => Date.now() > askedAt + GIVEN_UP_MS, "the site has given it up", WAIT_MS);
    expect(await timesAsked(COMES)).toBe(1);
    await online(COMES, true);
    await until(() => followed.keys().length >= 3, "rows of the one that came back", WAIT_MS);
    expect(followed.keys()).toEqual([HERE, ALSO_HERE, COMES]);
    expect(await timesAsked(COMES)).toBe(2);
    expect(followed.end()).toBeUndefined();
    await until(() => followed.end(), "the end", WAIT_MS);
    expect(followed.end()).toMatchObject({
      isComplete: true,
      operation: { isTruncated: false, deviceCounts: { succeeded: 3, expired: 1 } },
    });
    expect(await statesOf(operation)).toMatchObject({ [STAYS_AWAY ?? ""]: "expired" });
    expect(await timesAsked(STAYS_AWAY)).toBe(1);
    expect(followed.rows()).toHaveLength(3);
  },
  2 * WAIT_MS,
);

test(
  "what a client has cut off is told as truncated",
  async () => {
    const operation = await ask("EventLog('System')", { resourceIds: [Number(HERE)] });
    const followed = follow(operation);
    await until(() => followed.end(), "the end", WAIT_MS);
    expect(followed.rows().length).toBeGreaterThan(100);
    expect(followed.end()?.operation).toMatchObject({ isTruncated: true });
  },
  WAIT_MS,
);

test(
  "an entity that the host's list does not have is refused there, and the site hears nothing of it",
  async () => {
    const before = (await requestsOf("POST")).length;
    const operation = await ask("Registry('hklm:\\\\x')", { resourceIds: [Number(HERE)] });
    const followed = follow(operation);
    const end = await until(() => followed.end(), "the end", WAIT_MS);
    expect(JSON.stringify(end)).toContain("guardrails.comgmt-bridge.queries.entities");
    expect(followed.rows()).toEqual([]);
    expect(await requestsOf("POST")).toHaveLength(before);
  },
  WAIT_MS,
);
