import { RECORD_KINDS } from "@isthmus/shared/link/inventory-messages";
import { temporaryFolder } from "@isthmus/shared/testing/temporary-folder";
import { until } from "@isthmus/shared/testing/until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ToldSite } from "../testing/told-site.ts";
import { type ApiClient, ControlPlaneFixture } from "./control-plane-fixture.ts";

/** Values that a source that was taken over may tell in the place of any other. */
const VALUES: readonly unknown[] = [
  ...[
    2 ** 53,
    -(2 ** 63),
    1e308,
    -1,
    0.5,
    9e15,
    true,
    false,
    "",
    "x\0y",
    "\ud800",
    "a".repeat(600),
  ],
  ...["9999-99-99", "-000001-01-01T00:00:00Z", "+275760-09-13T00:00:00Z", "NaN"],
  ...[[], {}, [[1]], { a: { b: null } }, [null], { MDMEnrolled: [1] }, ["CM100001", 7, null, {}]],
];
/** What the control plane reads of facets, whatever the kind. */
const NAMES = [
  ...[
    "Comment",
    "LimitToCollectionID",
    "IsBuiltIn",
    "MemberCount",
    "LastMemberChangeTime",
    "UniqueUserName",
  ],
  ...[
    "Mail",
    "AADUserID",
    "SecurityGroupName",
    "Manufacturer",
    "SoftwareVersion",
    "CI_UniqueID",
    "IsDeployed",
  ],
  ...[
    "NumberOfDeployments",
    "CollectionID",
    "TargetName",
    "TargetID",
    "DeploymentIntent",
    "FeatureType",
  ],
  ...[
    "DeploymentTime",
    "ArticleID",
    "BulletinID",
    "Severity",
    "SeverityName",
    "DatePosted",
    "ScriptVersion",
  ],
  ...["Author", "ApprovalState", "Approver", "ScriptHash", "LastUpdateTime", "Description"],
  ...[
    "SMSID",
    "SID",
    "AADDeviceID",
    "SerialNumber",
    "Domain",
    "userPrincipalName",
    "DeviceOS",
    "Build",
    "Model",
  ],
  ...[
    "ClientVersion",
    "CNIsOnline",
    "LastActiveTime",
    "CoManagementFlags",
    "coManagement",
    "IsBlocked",
    "Client",
  ],
  ...[
    "Obsolete",
    "ComgmtPolicyPresent",
    "MDMEnrolled",
    "PrimaryUser",
    "LastLogonUserName",
    "ClientActiveStatus",
    "SiteSystemCount",
  ],
];
const updateOf = (value: unknown) => ({
  CI_ID: value,
  Status: value,
  LastEnforcementMessageID: value,
});
const LISTS = [
  ...[
    "managedDevices",
    "comanagedDevices",
    "comanagementEligibleDevices",
    "configurationManagerSites",
  ],
  ...["configurationManagerCollections", "configurationManagerUsers", "configurationManagerGroups"],
  ...[
    "configurationManagerApplications",
    "configurationManagerDeployments",
    "configurationManagerScripts",
  ],
  ...["configurationManagerSoftwareUpdates", "configurationManagerBoundaryGroups"],
];

const folder = temporaryFolder();
let plane: ControlPlaneFixture;
let admin: ApiClient;
let site: ToldSite;

beforeAll(async () => {
  plane = await ControlPlaneFixture.start(folder.path);
  admin = await plane.client();
  site = await ToldSite.start(plane, admin);
  for (const kind of RECORD_KINDS) {
    for (const [at, value] of VALUES.entries()) {
      const facet = Object.fromEntries(NAMES.map((name) => [name, value]));
      const facets = {
        ...{ identity: facet, stable: { ...facet, Client: 1 }, volatile: facet, health: facet },
        ...{ collections: value, updateCompliance: [value, updateOf(value)] },
        clientBlock: facet,
        boundaryGroups: at % 2 === 0 ? value : { BoundaryGroups: value },
        ...{ applicationStates: [value, { AppName: value, AppStatusType: value }] },
        applicationErrors: value,
        content: { parameters: at % 2 === 0 ? value : [value, facet] },
      };
      // Each by itself: together they are longer than an entry may be.
      await site.tell(kind, { [String(100 + at)]: facets });
    }
  }
  const managed = async () =>
    (await admin.get("/managedDevices?$top=1&$count=true"))["@odata.count"];
  await until(async () => (await managed()) === VALUES.length, "the devices");
});

afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await plane[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test.each(LISTS)("%s is listed and paged, whatever its records say", async (path) => {
  const found: unknown[] = [];
  for (let next: string | undefined = `/${path}?$top=5`; next !== undefined; ) {
    const page = await admin.get(next);
    found.push(...page.value);
    const link = page["@odata.nextLink"];
    next = link?.slice(link.indexOf(`/${path}`));
    expect(found.length).toBeLessThanOrEqual(VALUES.length);
  }
  expect(found.length).toBeGreaterThan(0);
});

test("each device has its pages, whatever its record says", async () => {
  const { value } = await admin.get("/managedDevices?$top=100");
  for (const { id } of value) {
    for (const below of [
      "",
      "/timeline",
      "/resourceExplorer",
      "/softwareUpdateStates",
      "/applicationStates",
      "/configurationManagerCollections",
      "/configurationManagerBoundaryGroups",
    ])
      await admin.get(`/managedDevices/${id}${below}`);
  }
});
