import { z } from "zod";
import { recordIdOfGuid } from "../../core/record-guid.ts";
import type { Permission } from "../../core/roles.ts";
import { given, identifier, note, parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { readEntity } from "../listing.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

const MAX_GROUPS = 100;

const deviceChange = z.strictObject({
  deviceName: z.string().max(256).nullable().optional(),
  operatingSystem: z.string().max(128).nullable().optional(),
  userPrincipalName: z.string().min(1).max(256).nullable().optional(),
  groups: z.array(z.string().min(1).max(128)).max(MAX_GROUPS).optional(),
  complianceState: z.enum(["compliant", "noncompliant", "unknown"]).optional(),
  complianceReason: note.nullable().optional(),
  azureADDeviceId: z.guid().nullable().optional(),
  /** A record's GUID, as `syncedDeviceId` shows it. */
  syncedDeviceId: z.guid().nullable().optional(),
});
type DeviceBody = z.infer<typeof deviceChange>;

/** `export` stands in the place of an id where the whole list is asked for. */
const isNoWord = (id: string) => id !== "export";
const newDevice = deviceChange.extend({
  id: identifier.refine(isNoWord, "not the word export").optional(),
});

const COMPLIANCE_PROPERTIES = ["complianceState", "complianceReason"];

/** What administrators do to devices. Each change is queued for the tunnel gateways in the same transaction. */
export function deviceRoutes(api: ApiDependencies): Route[] {
  return [
    {
      method: "post",
      path: "/managedDevices",
      permission: "devices.write",
      handle: (request) => createDevice(api, request),
    },
    {
      method: "patch",
      path: "/managedDevices/:id",
      permission: permissionToChange,
      handle: (request) => changeDevice(api, request),
    },
    {
      method: "delete",
      path: "/managedDevices/:id",
      permission: "devices.write",
      handle: async (request) => {
        await api.records.run("removeDevice", { ...request.act, id: parameter(request, "id") });
        api.unsigned.nudge();
        return { status: 204 };
      },
    },
  ];
}

/** Whoever changes compliance alone needs the right to do that alone. */
function permissionToChange(body: unknown): Permission {
  const names = typeof body === "object" && body !== null ? Object.keys(body) : [];
  const isComplianceAlone =
    names.length > 0 && names.every((name) => COMPLIANCE_PROPERTIES.includes(name));
  return isComplianceAlone ? "devices.setCompliance" : "devices.write";
}

async function createDevice(api: ApiDependencies, request: ApiRequest) {
  const { id: wantedId, ...body } = parseBody(newDevice, request.body);
  const id = wantedId ?? api.random.bytes(16).toString("hex");
  await api.records.run("createDevice", { ...stored(body), ...request.act, id });
  api.unsigned.nudge();
  return { status: 201, body: await readEntity(api.listing, "managedDevices", id) };
}

async function changeDevice(api: ApiDependencies, request: ApiRequest) {
  const id = parameter(request, "id");
  const body = parseBody(deviceChange, request.body);
  await api.records.run("changeDevice", { ...stored(body), ...request.act, id });
  api.unsigned.nudge();
  return { status: 200, body: await readEntity(api.listing, "managedDevices", id) };
}

function stored({ complianceState, syncedDeviceId, ...rest }: DeviceBody) {
  const isNamed = typeof syncedDeviceId === "string";
  const recordId = isNamed ? (recordIdOfGuid(syncedDeviceId) ?? 0) : syncedDeviceId;
  return given({ ...rest, compliance: complianceState, recordId });
}
