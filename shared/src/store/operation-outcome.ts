import { ConnectorError } from "../errors.ts";
import { toPortable } from "./store-errors.ts";
import type { Operation, Operations } from "./transaction.ts";
import type { Outcome } from "./worker-messages.ts";

/** The operation of this name, or the error that there is none; a name from the prototype is none. */
export function operationOf(operations: Operations, name: string): Operation | ConnectorError {
  const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
  return operation ?? new ConnectorError("store-operation-unknown", `no store operation ${name}`);
}

export function failed(error: unknown): Outcome {
  return { ok: false, error: toPortable(error) };
}

/** A transaction ends when its operation returns. Throws ConnectorError `store-operation-async`. */
export function refuseAsync(name: string, value: unknown): void {
  if (!(value instanceof Promise)) return;
  value.catch(() => {});
  throw new ConnectorError("store-operation-async", `store operation ${name} returned a promise`);
}
