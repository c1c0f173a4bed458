import { describe, expect, test } from "vitest";
import {
  CO_MANAGEMENT_BITS,
  clientState,
  coManagementOf,
  type DeviceFacts,
  eligibilityOf,
  enabledFeatures,
  operatingSystemFamily,
  SILENT_CLIENT_MS,
  unknownFlags,
} from "./co-management.ts";

const DEVICE: DeviceFacts = {
  hasClient: true,
  isObsolete: false,
  isDecommissioned: false,
  isEnrolled: false,
  hasPolicy: false,
  system: "microsoft windows nt workstation 10.0",
  version: "10.0.22631.3007",
  entraDeviceId: "7f1c6b0e-6a3d-4a0f-9a55-1f2d2f7c9b11",
};

describe("the bits of CoManagementFlags", () => {
  const { configured: _configured, ...workloads } = CO_MANAGEMENT_BITS;

  test.each(Object.entries(workloads))("%s is %i alone", (name, bit) => {
    const moved = Object.entries(enabledFeatures(1 | bit)).filter(([, isMoved]) => isMoved);
    expect(moved).toEqual([[name, true]]);
  });

  test.each([
    [0, 0],
    [1, 0],
    [255, 0],
    [8193, 8192],
    [0xffff_ffff, 0xffff_ff00],
  ])("of %i the unknown ones are %i", (flags, unknown) => {
    expect(unknownFlags(flags)).toBe(unknown);
  });

  test("inventory stays with Configuration Manager whatever is set", () => {
    expect(enabledFeatures(0xffff_ffff).inventory).toBe(false);
  });
});

describe("whether a device may be co-managed", () => {
  test.each<[string, Partial<DeviceFacts>, string]>([
    ["as it is", {}, "eligible"],
    ["without an Entra device", { entraDeviceId: "" }, "eligibleButNotAzureAdJoined"],
    [
      "with the empty GUID for one",
      { entraDeviceId: "00000000-0000-0000-0000-000000000000" },
      "eligibleButNotAzureAdJoined",
    ],
    ["with the policy and not enrolled", { hasPolicy: true }, "scheduledForEnrollment"],
    ["with the policy and enrolled", { hasPolicy: true, isEnrolled: true }, "comanaged"],
    ["enrolled without the policy", { isEnrolled: true }, "eligible"],
    ["without a client", { hasClient: false }, "ineligible"],
    ["that is obsolete", { isObsolete: true, hasPolicy: true, isEnrolled: true }, "ineligible"],
    ["that is decommissioned", { isDecommissioned: true }, "ineligible"],
    ["that is a server", { system: "microsoft windows nt server 10.0" }, "ineligible"],
    ["that is a Mac", { system: "apple mac os x 14", version: "14.2" }, "ineligible"],
    ["with Windows 10 1709", { version: "10.0.16299" }, "eligible"],
    ["with the Windows 10 before it", { version: "10.0.16298.1" }, "needsOsUpdate"],
    [
      "with Windows 7",
      { system: "microsoft windows nt workstation 6.1", version: "6.1.7601" },
      "needsOsUpdate",
    ],
    ["whose build nobody knows", { version: "" }, "eligible"],
    [
      "of Windows 8.1 whose build nobody knows",
      { system: "microsoft windows nt workstation 6.3", version: "" },
      "needsOsUpdate",
    ],
  ])("%s", (_what, change, expected) => {
    expect(eligibilityOf({ ...DEVICE, ...change })).toBe(expected);
  });
});

describe("what the facets of a device come to", () => {
  const identity = { Name: "A", SMSID: "GUID:A", AADDeviceID: DEVICE.entraDeviceId };
  const stable = {
    Client: 1,
    OperatingSystemNameandVersion: "Microsoft Windows NT Workstation 10.0",
    BuildExt: "10.0.22631.3007",
    MDMEnrolled: 1,
    ComgmtPolicyPresent: 1,
    CoManagementFlags: 8193,
  };

  test("a co-managed client", () => {
    expect(coManagementOf(identity, stable)).toEqual({
      managementAgent: "configurationManagerClientMdm",
      managementState: "managed",
      flags: 8193,
      status: "comanaged",
    });
  });

  test.each<[string, object, object]>([
    ["no client", { Client: 0 }, { managementAgent: "unknown", managementState: "discovered" }],
    ["an obsolete one", { Obsolete: 1 }, { managementState: "unhealthy", status: "ineligible" }],
    ["not enrolled", { MDMEnrolled: 0 }, { managementAgent: "configurationManagerClient" }],
    ["flags nobody read", { CoManagementFlags: null }, { flags: null }],
    ["flags with the sign bit", { CoManagementFlags: -1 }, { flags: 0xffff_ffff }],
    ["flags that are text", { CoManagementFlags: "1" }, { flags: null }],
  ])("%s", (_what, change, expected) => {
    expect(coManagementOf(identity, { ...stable, ...change })).toMatchObject(expected);
  });

  test("co-management may stand in a member of its own", () => {
    const { MDMEnrolled, ComgmtPolicyPresent, CoManagementFlags, ...rest } = stable;
    const coManagement = { MDMEnrolled, ComgmtPolicyPresent, CoManagementFlags };
    const found = coManagementOf(identity, { ...rest, coManagement });
    expect(found?.status).toBe("comanaged");
  });

  test.each([[undefined], [null], [[]], ["text"], [7], [{ Name: "A", SID: "S-1-5-21-1" }]])(
    "%j is of no Configuration Manager",
    (facet) => {
      expect(coManagementOf(facet, facet)).toBeUndefined();
    },
  );
});

test.each([
  ["Microsoft Windows NT Workstation 10.0", "Windows"],
  ["Apple Mac OS X 14.2", "macOS"],
  ["macOS 14", "macOS"],
  ["Debian GNU/Linux 12", "Linux"],
  ["Solaris", "Solaris"],
  [null, null],
])("the family of %s is %s", (description, family) => {
  expect(operatingSystemFamily(description)).toBe(family);
});

describe("the state of a client", () => {
  const now = 1_800_000_000_000;
  test.each<[string, boolean, boolean | null, number | null, string]>([
    ["that is not there", false, true, now, "unknown"],
    ["never heard of", true, null, null, "installed"],
    ["heard of now", true, null, now, "healthy"],
    ["heard of a week ago", true, null, now - SILENT_CLIENT_MS, "healthy"],
    ["heard of before that", true, null, now - SILENT_CLIENT_MS - 1, "communicationError"],
    ["that its site calls inactive", true, false, now, "communicationError"],
    ["that its site calls active", true, true, 0, "healthy"],
  ])("%s", (_what, hasClient, isActive, lastSeenAt, expected) => {
    expect(clientState({ hasClient, isActive, lastSeenAt }, now)).toBe(expected);
  });
});
