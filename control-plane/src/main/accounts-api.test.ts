import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clientFacets, ToldSite } from "../testing/told-site.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

const USERS = "configurationManagerUsers";
const GROUPS = "configurationManagerGroups";
const SID = "S-1-5-21-1-2-3-";
const ANNA = "11111111-1111-4111-8111-111111111111";
const BEN = "22222222-2222-4222-8222-222222222222";
const PC = "33333333-3333-4333-8333-333333333333";
const STAFF = "44444444-4444-4444-8444-444444444444";
const ALL = "55555555-5555-4555-8555-555555555555";

const CLAIMED = "77777777-7777-4777-8777-777777777777";

const folder = temporaryFolder();
const stack = new AsyncDisposableStack();
let admin: ApiClient;
let site: ToldSite;
let domain: ToldSite;

/** As a bridge tells a domain's account (comgmt-bridge/src/directory/domain-records.ts). */
const account = (name: string, rid: number, stable: object = {}) => ({
  identity: {
    objectSid: `${SID}${rid}`,
    ...{ cn: name, sAMAccountName: name.toLowerCase(), domain: "corp.example" },
    userPrincipalName: `${name.toLowerCase()}@corp.example`,
    mail: `${name}@mail.example`,
  },
  stable: { isEnabled: true, ...stable },
});

beforeAll(async () => {
  const plane = stack.use(await ControlPlaneFixture.start(folder.path));
  admin = await plane.client();
  site = stack.use(await ToldSite.start(plane, admin));
  domain = stack.use(await ToldSite.start(plane, admin, "corp.example", "active-directory"));
  await site.tell("user", {
    "2063597568": {
      identity: {
        ...{ Name: "CORP\\anna (Anna)", UniqueUserName: "CORP\\anna", SID: `${SID}1001` },
        ...{ UserPrincipalName: "old@corp.test", Mail: "old@corp.test", AADUserID: "e" },
      },
      stable: { SecurityGroupName: ["CORP\\Staff"] },
    },
    "2063597569": {
      identity: { Name: "CORP\\carl (Carl)", UserPrincipalName: "carl@corp.test", SID: `${SID}9` },
    },
    // The name is Ben's, the SID is not.
    "2063597570": { identity: { Name: "Ben", UserPrincipalName: "ben@corp.example", SID: "S-9" } },
  });
  await site.tell("device", { "7": clientFacets("PC", { identity: { SID: `${SID}2001` } }) });
  await domain.tell("user", {
    [ANNA]: account("Anna", 1001, { department: "Sales", title: "Lead", company: "Contoso" }),
    [BEN]: account("Ben", 1002, { isEnabled: false }),
  });
  await domain.tell("device", { [PC]: { identity: { cn: "PC", objectSid: `${SID}2001` } } });
  await domain.tell("group", {
    [STAFF]: {
      identity: { cn: "Staff", objectSid: `${SID}3001`, mail: "staff@mail.example" },
      members: { count: 4, members: [ANNA, BEN, PC, "66666666-6666-4666-8666-666666666666"] },
    },
    [ALL]: {
      identity: { cn: "All", objectSid: `${SID}3002` },
      members: { count: 1, members: [STAFF] },
    },
  });
  await until(async () => (await list(GROUPS)).length === 2, "the groups");
});
afterAll(async () => {
  await stack.disposeAsync();
  folder[Symbol.dispose]();
});

interface Listed {
  readonly id: string;
  readonly [property: string]: unknown;
}
const list = async (path: string): Promise<Listed[]> => (await admin.get(`/${path}`)).value;
const idOf = (entities: readonly Listed[], name: string) =>
  entities.find(({ displayName }) => displayName === name)?.id;

test("an account that a site and a domain tell of is one user, with the domain's names and the site's facts", async () => {
  const users = await list(`${USERS}?$orderby=displayName`);
  expect(users.map(({ displayName }) => displayName)).toEqual([
    ...["Ben", "Ben", "CORP\\anna (Anna)", "CORP\\carl (Carl)"],
  ]);
  expect(users[2]).toMatchObject({
    ...{ configurationManagerSite: "CM1", key: "2063597568", securityIdentifier: `${SID}1001` },
    ...{
      userPrincipalName: "anna@corp.example",
      mail: "Anna@mail.example",
      userName: "CORP\\anna",
    },
    ...{ groups: ["CORP\\Staff"], azureADUserId: "e" },
    ...{ accountEnabled: true, department: "Sales", jobTitle: "Lead", companyName: "Contoso" },
    directory: "corp.example",
  });
  expect(users[2]?.["directoryRecordId"]).not.toBe(users[2]?.id);
  expect((await admin.get(`/${USERS}?$count=true`))["@odata.count"]).toBe(4);
});

test("what one of the two alone tells of is a user by itself, and a name joins nothing", async () => {
  const users = await list(`${USERS}?$filter=userPrincipalName%20eq%20'ben@corp.example'`);
  expect(users).toHaveLength(2);
  expect(users.find(({ directory }) => directory !== null)).toMatchObject({
    ...{ accountEnabled: false, userName: "ben", mail: "Ben@mail.example" },
    ...{ configurationManagerSite: "corp.example", securityIdentifier: `${SID}1002` },
  });
  expect(users.find(({ directory }) => directory === null)).toMatchObject({
    ...{ configurationManagerSite: "CM1", directoryRecordId: null, accountEnabled: null },
  });
  expect(await list(`${USERS}?$filter=userPrincipalName%20eq%20'old@corp.test'`)).toEqual([]);
});

test("a joined user is read by each of its ids: of the site's record, of the domain's, and by the keys there", async () => {
  const users = await list(`${USERS}?$filter=department%20eq%20'Sales'`);
  const [anna] = users;
  for (const id of [
    anna?.id,
    anna?.["directoryRecordId"],
    "2063597568",
    ANNA,
    ANNA.toUpperCase(),
  ]) {
    const { "@odata.context": _, ...user } = await admin.get(`/${USERS}/${id}`);
    expect([id, user]).toEqual([id, anna]);
  }
});

test("a group has its members, each as it is listed, and says how many its domain counts", async () => {
  const groups = await list(GROUPS);
  expect(groups.find(({ key }) => key === STAFF)).toMatchObject({
    ...{ displayName: "Staff", memberCount: 4, mail: "staff@mail.example" },
  });
  const members = await list(`${GROUPS}/${STAFF}/members?$orderby=displayName`);
  const users = await list(USERS);
  expect(members.map(({ displayName, memberType }) => [displayName, memberType])).toEqual([
    ["Anna", "user"],
    ["Ben", "user"],
    ["PC", "device"],
  ]);
  expect(members[0]).toMatchObject({
    ...{ id: idOf(users, "CORP\\anna (Anna)"), configurationManagerSite: "CM1" },
    ...{ userPrincipalName: "anna@corp.example", directory: "corp.example", directoryKey: ANNA },
  });
  expect(members[1]).toMatchObject({ configurationManagerSite: null, directoryKey: BEN });
  const [device] = await list("managedDevices");
  expect(members[2]).toMatchObject({ id: device?.id, securityIdentifier: `${SID}2001` });
  expect(await list(`${GROUPS}/${ALL}/members`)).toMatchObject([
    { memberType: "group", id: idOf(groups, "Staff") },
  ]);
  await admin.get(`/${GROUPS}/66666666-6666-4666-8666-666666666666/members`, 404);
});

test("what two pages of a list have is the whole of it, once", async () => {
  const first = await admin.get(`/${USERS}?$top=3`);
  const next = String(first["@odata.nextLink"]);
  const second = await admin.get(next.slice(next.indexOf(`/${USERS}`)));
  const all = [...first.value, ...second.value].map(({ id }: Listed) => id);
  expect([all.length, new Set(all).size]).toEqual([4, 4]);
});

test("a domain's account that its site has no more is a user by itself again", async () => {
  const before = await list(`${USERS}?$filter=department%20eq%20'Sales'`);
  await site.remove("user", "2063597568");
  await until(
    async () => (await list(`${USERS}?$filter=department%20eq%20'Sales'`))[0]?.id !== before[0]?.id,
    "the deletion",
  );
  expect(await list(`${USERS}?$filter=department%20eq%20'Sales'`)).toMatchObject([
    { displayName: "Anna", configurationManagerSite: "corp.example", groups: null },
  ]);
});

test("a site that claims one SID for very many users hides nobody whom a domain tells of", async () => {
  const claims = Array.from({ length: 150 }, (_, at) => [
    String(3_000_000_000 + at),
    { identity: { Name: `CORP\\claim ${at}`, SID: `${SID}7777` } },
  ]);
  await site.tell("user", Object.fromEntries(claims));
  const found = async (name: string) =>
    (await admin.get(`/${USERS}?$filter=${encodeURIComponent(`displayName eq '${name}'`)}`)).value;
  await until(async () => (await found("CORP\\claim 149")).length === 1, "the claims");
  await domain.tell("user", { [CLAIMED]: account("Claimed", 7777) });
  await until(async () => (await found("Claimed")).length === 1, "the domain's user");
  expect((await found("CORP\\claim 0"))[0]).toMatchObject({ directory: null });
});
