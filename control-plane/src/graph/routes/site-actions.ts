import { columnsOf } from "@isthmus/shared/cmpivot/columns";
import { parseQuery } from "@isthmus/shared/cmpivot/parser";
import { ConnectorError } from "@isthmus/shared/errors";
import { APPLICATION_ACTIONS, GUID, notification } from "@isthmus/shared/link/site-messages";
import { z } from "zod";
import { bodyFault } from "../../core/body-faults.ts";
import type { Permission } from "../../core/roles.ts";
import {
  acceptSiteAction,
  askSiteAction,
  expiration,
  targetBody,
  targetOf,
  type WantedAction,
} from "../ask-site-action.ts";
import { parseBody } from "../body.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { type ApiRequest, parameter, type Route } from "../route.ts";

/** What can be asked of a site about a device, and of devices and collections of a site. */

/** configurationManagerAction of Microsoft Graph (beta). */
const graphAction = z.strictObject({
  configurationManagerAction: z.strictObject({
    // OData 4.01 allows it without the sign, and some clients leave it out.
    "@odata.type": z
      .string()
      .regex(/^#?microsoft\.graph\.configurationManagerAction$/)
      .optional(),
    action: z.enum([
      "refreshMachinePolicy",
      "refreshUserPolicy",
      "wakeUpClient",
      "appEvaluation",
      "quickScan",
      "fullScan",
      "windowsDefenderUpdateSignatures",
    ]),
  }),
});

interface Asked {
  readonly path: string;
  readonly permission: Permission | ((body: unknown) => Permission);
  /** Of the body without `target` and `expirationDateTime`. */
  readonly shape: z.ZodRawShape;
  /** Not for collections: what it does is done to devices that were named. */
  readonly isForOne?: true;
  wanted(body: Readonly<Record<string, unknown>>, request: ApiRequest): WantedAction;
}

const customNames = z.string().min(1).max(128);

const ASKED: readonly Asked[] = [
  {
    path: "clientOperations",
    // A restart interrupts whoever sits there.
    permission: (body) =>
      (body as { notification?: unknown } | undefined)?.notification === "restart"
        ? "actions.run"
        : "actions.notify",
    shape: { notification },
    wanted: (body) => ({
      kind: "site.notify",
      action: String(body["notification"]),
      payload: { notification: body["notification"] },
    }),
  },
  {
    path: "scripts/:scriptGuid/run",
    permission: "actions.run",
    shape: {
      version: z.string().min(1).max(64),
      sha256: z
        .string()
        .regex(/^[0-9A-Fa-f]{64}$/, "SHA-256 of the stored script in hex")
        .transform((text) => text.toLowerCase()),
      parameters: z
        .array(z.strictObject({ name: z.string().min(1).max(128), value: z.string().max(4_096) }))
        .max(50)
        .default([]),
    },
    wanted: wantedScript,
  },
  {
    path: "queries",
    permission: "actions.query",
    shape: { query: z.string().min(1).max(4_000) },
    wanted: ({ query }) => {
      // A slip of the pen is heard of at once; what may be read the bridge judges.
      columnsOf(parseQuery(String(query)));
      return {
        kind: "site.query",
        action: "runQuery",
        subject: String(query),
        payload: { query },
      };
    },
  },
  ...APPLICATION_ACTIONS.map(
    (action): Asked => ({
      path: `applications/:applicationId/${action}`,
      permission: "actions.run",
      shape: {},
      wanted: (_body, request) => {
        const applicationId = parameter(request, "applicationId");
        const payload = { applicationId, action };
        const name = `${action}Application`;
        return { kind: "site.application", action: name, subject: applicationId, payload };
      },
    }),
  ),
  {
    path: "refreshConfigurationManagerInventory",
    permission: "actions.notify",
    shape: {},
    isForOne: true,
    wanted: () => ({ kind: "site.refresh", action: "refreshInventory", payload: {} }),
  },
  {
    path: "setConfigurationManagerProperties",
    permission: "actions.run",
    shape: {
      set: z
        .record(customNames, z.string().max(1_024))
        .refine((set) => Object.keys(set).length <= 100, "at most 100 properties")
        .default({}),
      remove: z.array(customNames).max(100).default([]),
    },
    isForOne: true,
    wanted: wantedProperties,
  },
];

/** Each below a device, and most below a site. */
export function siteActionRoutes(api: ApiDependencies): Route[] {
  return [
    ...["managedDevices", "comanagedDevices"].map((devices) => graphRoute(api, devices)),
    ...ASKED.map((asked) => deviceRoute(api, asked)),
    ...ASKED.filter(({ isForOne }) => isForOne !== true).map((asked) => siteRoute(api, asked)),
  ];
}

/** As Graph has it: 204, and `deviceActionResults` of the device says how it goes. */
function graphRoute(api: ApiDependencies, devices: string): Route {
  return {
    method: "post",
    path: `/${devices}/:id/triggerConfigurationManagerAction`,
    permission: "actions.notify",
    handle: async (request) => {
      const { action } = parseBody(graphAction, request.body).configurationManagerAction;
      const payload = { notification: action };
      const wanted = { kind: "site.notify", action, payload } as const;
      await askSiteAction(api, request, targetOf(request, undefined), wanted);
      return { status: 204 };
    },
  };
}

function deviceRoute(api: ApiDependencies, asked: Asked): Route {
  const schema = z.strictObject({ ...asked.shape, expirationDateTime: expiration });
  return {
    method: "post",
    path: `/managedDevices/:id/${asked.path}`,
    permission: asked.permission,
    handle: async (request) => {
      const body: Readonly<Record<string, unknown>> = parseBody(schema, request.body ?? {});
      const target = targetOf(request, undefined);
      return await acceptSiteAction(api, request, target, timed(asked, body, request));
    },
  };
}

function siteRoute(api: ApiDependencies, asked: Asked): Route {
  const schema = z.strictObject({
    ...asked.shape,
    target: targetBody,
    expirationDateTime: expiration,
  });
  return {
    method: "post",
    path: `/configurationManagerSites/:source/${asked.path}`,
    permission: asked.permission,
    handle: async (request) => {
      const body = parseBody(schema, request.body ?? {});
      const target = targetOf(request, body.target as z.infer<typeof targetBody>);
      return await acceptSiteAction(api, request, target, timed(asked, body, request));
    },
  };
}

function timed(
  asked: Asked,
  body: Readonly<Record<string, unknown>>,
  request: ApiRequest,
): WantedAction {
  const expiresAt = body["expirationDateTime"] as number | undefined;
  return { ...asked.wanted(body, request), expiresAt };
}

/** What was looked at is named: a script that has changed since is refused. Values of parameters are not shown again. */
function wantedScript(body: Readonly<Record<string, unknown>>, request: ApiRequest): WantedAction {
  const scriptGuid = parameter(request, "scriptGuid");
  if (!GUID.test(scriptGuid)) {
    throw new ConnectorError("script-unknown", `There is no script ${scriptGuid.slice(0, 64)}`);
  }
  const { version, sha256 } = body;
  const parameters = body["parameters"] as readonly { readonly name: string }[];
  return {
    kind: "site.script",
    action: "runScript",
    subject: scriptGuid,
    details: { version, sha256, parameters: parameters.map(({ name }) => name) },
    payload: { scriptGuid, version, sha256, parameters },
  };
}

function wantedProperties(body: Readonly<Record<string, unknown>>): WantedAction {
  const set = body["set"] as Readonly<Record<string, string>>;
  const remove = body["remove"] as readonly string[];
  if (Object.keys(set).length + remove.length === 0) {
    throw bodyFault(
      "set",
      'is empty, and so is remove: name a property, such as {"set":{"Owner":"Anna"}}',
    );
  }
  return {
    kind: "site.custom-properties",
    action: "setProperties",
    details: { set: Object.keys(set), remove },
    payload: { set, remove },
  };
}
