import { type Answer, json } from "./answer.ts";
import { notFound, Refusal } from "./odata-refusal.ts";
import type { Operation, Task } from "./operations.ts";
import { members, requireRight } from "./request-body.ts";
import type { Principal } from "./site-options.ts";
import type { SiteState } from "./site-state.ts";

/** Client notifications (community, two sources; 1 to 3 of Endpoint Protection by one); 135 needs InitiateClientOperationEx. */
const NOTIFICATIONS = [...[1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 125, 150]];
const RUN_SCRIPT = 135;

const OPERATION = {
  Type: "number",
  TargetCollectionID: "string",
  RandomizationWindow: "number?",
  TargetResourceIDs: "list?",
} as const;

/** `POST wmi/<Class>.<Method>`. */
export function postStatic(
  state: SiteState,
  principal: Principal,
  name: string,
  body: unknown,
): Answer {
  switch (name) {
    case "SMS_ClientOperation.InitiateClientOperation":
      return initiate(state, principal, members(body, OPERATION));
    case "SMS_ClientOperation.InitiateClientOperationEx":
      return initiate(state, principal, members(body, { ...OPERATION, Param: "string?" }));
    case "SMS_ClientOperation.CancelClientOperation":
      return cancel(state, principal, body);
    case "SMS_Scripts.CreateScripts":
      return createScript(state, principal, body);
    default:
      throw notFound(`No HTTP resource was found that matches '${name}'.`);
  }
}

/** `POST wmi/SMS_Scripts/<guid>/AdminService.UpdateApprovalState`. */
export function updateApprovalState(
  state: SiteState,
  principal: Principal,
  guid: string,
  body: unknown,
): Answer {
  requireRight(principal, "approve");
  const shape = { Approver: "string?", ApprovalState: "string", Comment: "string?" } as const;
  const { ApprovalState, Comment } = members(body, shape);
  const script = state.scripts.find(guid);
  if (script === undefined) throw notFound("Script not found.");
  if (!["0", "1", "3"].includes(ApprovalState)) throw new Refusal(400, "Invalid ApprovalState.");
  // The hierarchy's setting, by who is signed in and not by what the body says.
  const isOwn = script.author.toLowerCase() === principal.name.toLowerCase();
  if (isOwn && state.options.isTwoKeyApproval !== false)
    throw new Refusal(500, "The author of a script cannot approve it.");
  script.approvalState = Number(ApprovalState) as 0 | 1 | 3;
  script.approver = principal.name;
  script.comment = Comment ?? "";
  script.updatedAt = state.now();
  return json(201, { ReturnValue: 0 });
}

/** `POST v1.0/Application(<guid>)/AdminService.InstallApplication`. */
export function postApplication(
  state: SiteState,
  principal: Principal,
  guid: string,
  action: string,
  body: unknown,
): Answer {
  requireRight(principal, "modify");
  const application = state.software.applicationBy(guid);
  const verb = /^(Install|Uninstall|Repair)Application$/.exec(action)?.[1];
  if (application === undefined || verb === undefined) throw notFound("No such application.");
  const shape =
    verb === "Install"
      ? ({ Devices: "list", InstallationType: "number?" } as const)
      : ({ Devices: "list" } as const);
  const wanted = new Set(members<{ Devices: "list" }>(body, shape).Devices);
  const targets: number[] = [];
  for (const device of state.fleet.between(-Infinity, Infinity)) {
    if (wanted.has(device.smsId) && state.isVisible(principal, device)) targets.push(device.id);
    if (targets.length === wanted.size) break;
  }
  if (targets.length < wanted.size) throw notFound("A device was not found.");
  for (const id of targets) state.askForApplication(`${id}/${application}`);
  const task: Task = { kind: "application", type: 0, action: verb, application };
  state.operations.start({ task, collectionId: "", createdBy: principal.name, targets });
  // Not documented: nothing in it is to be relied on.
  return json(200, { value: true });
}

function initiate(
  state: SiteState,
  principal: Principal,
  of: {
    readonly Type: number;
    readonly TargetCollectionID: string;
    readonly TargetResourceIDs?: readonly unknown[] | undefined;
    readonly Param?: string | undefined;
  },
): Answer {
  const task = taskOf(state, principal, of);
  const { id } = state.operations.start({
    task,
    collectionId: of.TargetCollectionID,
    createdBy: principal.name,
    targets: targetsOf(state, principal, of),
  });
  return json(201, { ReturnValue: 0, OperationID: id });
}

function taskOf(
  state: SiteState,
  principal: Principal,
  { Type, Param }: { readonly Type: number; readonly Param?: string | undefined },
): Task {
  if (Type === RUN_SCRIPT) {
    requireRight(principal, "runScripts");
    return { kind: "script", type: RUN_SCRIPT, ...state.scripts.readParam(Param) };
  }
  requireRight(principal, "notify");
  if (!NOTIFICATIONS.includes(Type)) throw new Refusal(500, `Unknown operation type ${Type}.`);
  return { kind: "notification", type: Type };
}

/** The named devices, or all of the collection where none is named. */
function targetsOf(
  state: SiteState,
  principal: Principal,
  {
    TargetCollectionID,
    TargetResourceIDs = [],
  }: {
    readonly TargetCollectionID: string;
    readonly TargetResourceIDs?: readonly unknown[] | undefined;
  },
): number[] {
  if (TargetResourceIDs.length > 0) {
    const ids = TargetResourceIDs.map(Number);
    if (ids.some((id) => !Number.isInteger(id))) throw new Refusal(400, "Invalid resource id.");
    return ids;
  }
  if (state.collections.find(TargetCollectionID) === undefined)
    throw new Refusal(500, "The collection does not exist.");
  return [...state.collections.members(TargetCollectionID)]
    .filter((device) => state.isVisible(principal, device))
    .map(({ id }) => id);
}

function cancel(state: SiteState, principal: Principal, body: unknown): Answer {
  requireRight(principal, "notify");
  const { OperationID } = members(body, { OperationID: "number" });
  const operation: Operation | undefined = state.operations.find(OperationID);
  if (operation === undefined) throw new Refusal(500, "The operation does not exist.");
  operation.isCancelled = true;
  return json(201, { ReturnValue: 0 });
}

function createScript(state: SiteState, principal: Principal, body: unknown): Answer {
  requireRight(principal, "modify");
  const of = members(body, {
    ParamsDefinition: "string?",
    ScriptName: "string",
    Author: "string?",
    Script: "string",
    ScriptVersion: "string",
    ScriptType: "number?",
    ParameterlistXML: "string?",
    ScriptGuid: "string",
  });
  if (!/^[0-9A-Fa-f-]{36}$/.test(of.ScriptGuid)) throw new Refusal(400, "Invalid ScriptGuid.");
  const paramsDefinition = of.ParamsDefinition ?? "";
  const parameters = parametersIn(paramsDefinition);
  state.scripts.create({
    guid: of.ScriptGuid,
    name: of.ScriptName,
    // Who is signed in, whatever the body says.
    author: principal.name,
    version: of.ScriptVersion,
    type: of.ScriptType ?? 0,
    stored: of.Script,
    paramsDefinition,
    parameterListXml: of.ParameterlistXML ?? "",
    ...(parameters.length > 0 && { parameters }),
  });
  return json(201, { ReturnValue: 0 });
}

/** Of `ScriptParameter` elements in base64 of UTF-16LE or UTF-8. */
function parametersIn(definition: string) {
  const bytes = Buffer.from(definition, "base64");
  const xml = bytes.includes(0) ? bytes.toString("utf16le") : bytes.toString("utf8");
  return [...xml.matchAll(/<ScriptParameter\b([^>]*)>/g)].flatMap(([, attributes = ""]) => {
    const name = /\bName=["']([^"']+)["']/.exec(attributes)?.[1];
    const isRequired = /\bIsRequired=["']true["']/i.test(attributes);
    return name === undefined ? [] : [{ name, isRequired }];
  });
}
