import type { siteCommandPayloads } from "@isthmus/shared/link/site-messages";
import type { z } from "zod";
import { judgeApplication } from "../../core/actions/action-allowance.ts";
import type { DeviceNews } from "../../core/actions/action-state.ts";
import {
  applicationRequest,
  notificationType,
  notifyRequest,
} from "../../protocol/admin-service/action-requests.ts";
import type { Asking } from "../../site/admin-service-client.ts";
import type { ActionParts } from "./action-parts.ts";
import type { ActionKind } from "./action-runner.ts";

export type ApplicationPayload = z.output<(typeof siteCommandPayloads)["site.application"]>;

/** Own limit: devices whose state is asked for at once. */
const DEVICES_AT_ONCE = 4;

/** Applications on devices to which they are deployed. `reevaluate` is the notification that has the client look at all of them. */
export function applicationKind(parts: ActionParts): ActionKind<ApplicationPayload> {
  return {
    window: () => "site-devices-installed",
    judge: ({ applicationId, action }) =>
      judgeApplication(guidIn(applicationId), action, parts.allowance),
    async prepare({ applicationId: id, action }, resourceIds, asking) {
      const applicationId = guidIn(id);
      if (action === "reevaluate") {
        const type = notificationType("appEvaluation");
        return {
          plan: { kind: "notify", notification: "appEvaluation", type },
          resourceIds,
          passedOver: [],
          request: (ids) => notifyRequest(type, ids),
          isOneByOne: false,
        };
      }
      const found = await devicesWith(parts, applicationId, resourceIds, asking);
      const smsIds = new Map(found.map(({ resourceId, smsId }) => [resourceId, smsId]));
      return {
        plan: {
          ...{ kind: "application", applicationId, action },
          before: Object.fromEntries(found.map(({ resourceId, status }) => [resourceId, status])),
        },
        resourceIds: found.map(({ resourceId }) => resourceId),
        passedOver: resourceIds.filter((resourceId) => !smsIds.has(resourceId)).map(notDeployed),
        request: (ids) =>
          applicationRequest(
            action,
            applicationId,
            ids.flatMap((resourceId) => smsIds.get(resourceId) ?? []),
          ),
        isOneByOne: false,
      };
    },
  };
}

/** `ScopeId_.../Application_<GUID>/1` or the GUID itself. */
function guidIn(applicationId: string): string {
  return (/Application_([0-9A-Fa-f-]{36})/.exec(applicationId)?.[1] ?? applicationId).toLowerCase();
}

const notDeployed = (resourceId: number): DeviceNews => ({
  resourceId,
  state: "notApplicable",
  reason: "the application is not deployed to this device, or the site does not show the device",
});

interface DeviceWith {
  readonly resourceId: number;
  readonly smsId: string;
  readonly status: string;
}

async function devicesWith(
  { site }: ActionParts,
  applicationId: string,
  resourceIds: readonly number[],
  asking: Asking,
): Promise<readonly DeviceWith[]> {
  const devices = await site.devices(resourceIds, asking);
  const found: DeviceWith[] = [];
  for (let from = 0; from < resourceIds.length; from += DEVICES_AT_ONCE) {
    const some = resourceIds.slice(from, from + DEVICES_AT_ONCE);
    const looked = await Promise.all(
      some.map(async (resourceId): Promise<DeviceWith | undefined> => {
        const smsId = devices.get(resourceId)?.smsId;
        if (smsId === undefined) return undefined;
        const all = await site.applications(resourceId, asking);
        const application = all.find(({ id }) => id === applicationId);
        return application && { resourceId, smsId, status: application.status ?? "" };
      }),
    );
    found.push(...looked.filter((each) => each !== undefined));
  }
  return found;
}
