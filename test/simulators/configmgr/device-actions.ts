import { type Answer, json } from "./answer.ts";
import { parsePivot } from "./cmpivot-query.ts";
import { combine, requireEntity, runOnDevice } from "./cmpivot-run.ts";
import type { Device } from "./device.ts";
import { notFound, Refusal } from "./odata-refusal.ts";
import type { Operation } from "./operations.ts";
import { guidOf } from "./random-values.ts";
import { members, requireRight } from "./request-body.ts";
import type { Principal } from "./site-options.ts";
import type { SiteState } from "./site-state.ts";

/** A device or a collection that an action of the v1.0 route is bound to. */
export type Bound =
  | { readonly kind: "device"; readonly device: Device }
  | { readonly kind: "collection"; readonly id: string };

/** `POST Device(n)/AdminService.X` and the same on a collection. */
export function postBound(
  state: SiteState,
  principal: Principal,
  bound: Bound,
  action: string,
  body: unknown,
): Answer {
  switch (action) {
    case "RunCMPivot":
      return runCmPivot(state, principal, bound, body);
    case "RunScript":
      return runScript(state, principal, bound, body);
    case "SetExtensionData":
      return setExtensionData(state, principal, bound, body);
    case "DeleteExtensionData":
      return deleteExtensionData(state, principal, bound);
    case "GetRecoveryKeyValue":
      return recoveryKeyValue(principal, bound, body);
    default:
      throw notFound(`No HTTP resource was found for the action '${action}'.`);
  }
}

/** `GET Device(n)/AdminService.X(OperationId=n)`. */
export function getBound(
  state: SiteState,
  principal: Principal,
  bound: Bound,
  name: string,
  operationId: number | undefined,
): Answer {
  if (name === "GetExtensionData" && bound.kind === "device") {
    requireRight(principal, "read");
    return json(200, { value: extensionRows(bound.device) });
  }
  const operation = operationId === undefined ? undefined : state.operations.find(operationId);
  switch (name) {
    case "CMPivotResult":
      return pivotResult(state, bound, operation);
    case "ScriptResult":
      return scriptResult(bound, operation);
    default:
      throw notFound(`No HTTP resource was found for the function '${name}'.`);
  }
}

export function extensionRows(device: Device) {
  const all = Object.entries(device.change?.extensionData ?? {});
  return all.map(([PropertyName, PropertyValue]) => ({
    ...{ ResourceID: device.id, PropertyName, PropertyValue },
  }));
}

/** Keys that the site keeps of a device's volumes: one of the system's, and one of another where the seed says so. */
export function recoveryKeysOf(device: Device) {
  const volumes = 1 + (device.bits(400) % 2);
  return Array.from({ length: volumes }, (_, index) => ({
    ...{ ItemKey: device.id, VolumeTypeId: index + 1 },
    RecoveryKeyId: guidOf(device.options.seed + 400 + index, device.id),
  }));
}

function recoveryKeyValue(principal: Principal, bound: Bound, body: unknown): Answer {
  requireRight(principal, "recoveryKeys");
  const { RecoveryKeyId } = members(body, { RecoveryKeyId: "string" });
  if (bound.kind !== "device") throw notFound("Recovery keys are a device's.");
  const { device } = bound;
  const index = recoveryKeysOf(device).findIndex((each) => each.RecoveryKeyId === RecoveryKeyId);
  if (index < 0) throw notFound("No such recovery key.");
  const blocks = Array.from(
    { length: 8 },
    (_, block) => device.bits(410 + index * 8 + block) % 999_999,
  );
  return json(200, { value: blocks.map((block) => String(block).padStart(6, "0")).join("-") });
}

function targetsOf(state: SiteState, principal: Principal, bound: Bound): number[] {
  if (bound.kind === "device") return [bound.device.id];
  return [...state.collections.members(bound.id)]
    .filter((device) => state.isVisible(principal, device))
    .map(({ id }) => id);
}

function runCmPivot(state: SiteState, principal: Principal, bound: Bound, body: unknown): Answer {
  requireRight(principal, "cmpivot");
  const { InputQuery } = members(body, { InputQuery: "string" });
  requireEntity(parsePivot(InputQuery));
  const { id } = state.operations.start({
    task: { kind: "cmpivot", type: 145, query: InputQuery },
    collectionId: bound.kind === "collection" ? bound.id : "",
    createdBy: principal.name,
    targets: targetsOf(state, principal, bound),
  });
  // In public samples a collection's answer has OperationId at the top and a device's has it in `value`.
  return json(
    200,
    bound.kind === "collection" ? { OperationId: id } : { value: { OperationId: id } },
  );
}

function pivotResult(state: SiteState, bound: Bound, operation: Operation | undefined): Answer {
  if (operation?.task.kind !== "cmpivot" || operation.outcomes.size === 0)
    throw notFound("No result yet.");
  const query = parsePivot(operation.task.query);
  const rows = [...operation.outcomes.values()].flatMap(({ resourceId, isFailed }) => {
    const device = state.fleet.device(resourceId);
    return device === undefined || isFailed ? [] : runOnDevice(query, device);
  });
  const { offline, unknown } = state.operations.waiting(operation);
  const result = {
    Status: unknown + offline > 0 ? 1 : 2,
    MoreResult: unknown > 0,
    Result: combine(query, rows),
  };
  return json(200, bound.kind === "collection" ? result : { value: result });
}

function runScript(state: SiteState, principal: Principal, bound: Bound, body: unknown): Answer {
  requireRight(principal, "runScripts");
  const { ScriptGuid } = members(body, { ScriptGuid: "string" });
  const script = state.scripts.find(ScriptGuid);
  if (script === undefined) throw notFound("Script not found.");
  // Seen at a real site: 403 and nothing that says why.
  if (script.approvalState !== 3) throw new Refusal(403, "Script is not approved.", null);
  if (script.parameters?.some(({ isRequired }) => isRequired) === true)
    throw new Refusal(500, "The script has required parameters.");
  const { id } = state.operations.start({
    task: { kind: "script", type: 135, script, parameters: {} },
    collectionId: bound.kind === "collection" ? bound.id : "",
    createdBy: principal.name,
    targets: targetsOf(state, principal, bound),
  });
  return json(200, { value: id });
}

/** A bound function of type Edm.Boolean; an unknown operation is 400, not 404. */
function scriptResult(bound: Bound, operation: Operation | undefined): Answer {
  if (operation?.task.kind !== "script") throw new Refusal(400, "Unknown OperationId.");
  const isDone = bound.kind === "device" && operation.outcomes.has(bound.device.id);
  if (!isDone) throw notFound("No result yet.");
  return json(200, { value: true });
}

function setExtensionData(
  state: SiteState,
  principal: Principal,
  bound: Bound,
  body: unknown,
): Answer {
  requireRight(principal, "modify");
  if (bound.kind !== "device") throw notFound("Custom properties are a device's.");
  const { ExtensionData, ...others } = (body ?? {}) as Record<string, unknown>;
  const isObject = typeof ExtensionData === "object" && ExtensionData !== null;
  if (!isObject || Array.isArray(ExtensionData) || Object.keys(others).length > 0)
    throw new Refusal(400, "The request is invalid.");
  const values = Object.entries(ExtensionData).map(([name, value]) => [name, String(value)]);
  const before = state.fleet.overlayOf(bound.device.id).extensionData;
  state.fleet.change(bound.device.id, {
    extensionData: { ...before, ...Object.fromEntries(values) },
  });
  return json(200, { value: true });
}

function deleteExtensionData(state: SiteState, principal: Principal, bound: Bound): Answer {
  requireRight(principal, "delete");
  if (bound.kind !== "device") throw notFound("Custom properties are a device's.");
  state.fleet.change(bound.device.id, { extensionData: {} });
  return json(200, { value: true });
}
