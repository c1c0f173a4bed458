import type { Device } from "./device.ts";
import type { Fleet } from "./fleet.ts";
import { guidOf, mix, share } from "./random-values.ts";
import type { DeviceBehaviour, SeedScript } from "./site-options.ts";

/** What a client operation asks of devices. */
export type Task =
  | { readonly kind: "notification"; readonly type: number }
  | {
      readonly kind: "script";
      readonly type: 135;
      readonly script: Script;
      readonly parameters: Readonly<Record<string, string>>;
    }
  | { readonly kind: "cmpivot"; readonly type: 145; readonly query: string }
  | {
      readonly kind: "application";
      readonly type: number;
      readonly action: string;
      readonly application: number;
    };

export interface Script extends Omit<SeedScript, "isApproved" | "text"> {
  readonly author: string;
  readonly version: string;
  readonly type: number;
  /** The base64 text as it was sent. */
  readonly stored: string;
  readonly hash: string;
  readonly parameterListXml: string;
  readonly paramsDefinition: string;
  approvalState: 0 | 1 | 3;
  approver: string;
  comment: string;
  updatedAt: number;
}

/** What one device made of it. */
export interface Outcome {
  readonly resourceId: number;
  readonly at: number;
  readonly isFailed: boolean;
}

export interface Operation {
  readonly id: number;
  readonly taskId: string;
  readonly task: Task;
  readonly collectionId: string;
  readonly createdBy: string;
  readonly requestedAt: number;
  readonly targets: readonly number[];
  readonly outcomes: Map<number, Outcome>;
  isCancelled: boolean;
}

/** That a device really did something: what a test counts. */
export interface Execution {
  readonly operationId: number;
  readonly resourceId: number;
  readonly kind: Task["kind"];
  /** The notification's type, the script's guid, the query, or the application's action and number. */
  readonly what: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly at: number;
}

interface Due {
  readonly at: number;
  readonly resourceId: number;
}
interface Open {
  readonly operation: Operation;
  /** In order of time; `next` is the first that has not answered. */
  readonly due: Due[];
  next: number;
  readonly offline: Set<number>;
}

const FIRST_OPERATION = 16_780_000;
const HOUR_MS = 3_600_000;

/** Client operations and the devices that carry them out, each at its own time. */
export class Operations {
  readonly #fleet: Fleet;
  readonly #now: () => number;
  readonly #behaviour: Required<Omit<DeviceBehaviour, "offlineAnswersAfterMs">> &
    Pick<DeviceBehaviour, "offlineAnswersAfterMs">;
  readonly #executions: Execution[] = [];
  readonly #onDone: (operation: Operation, outcome: Outcome) => void;
  #operations = new Map<number, Operation>();
  #open: Open[] = [];
  #lastId = FIRST_OPERATION;

  constructor(
    fleet: Fleet,
    now: () => number,
    behaviour: DeviceBehaviour,
    onDone: (operation: Operation, outcome: Outcome) => void,
  ) {
    this.#fleet = fleet;
    this.#now = now;
    this.#behaviour = {
      ...{ answerMinMs: 2_000, answerMaxMs: 15_000, failingShare: 0, operationExpiresMs: HOUR_MS },
      ...behaviour,
    };
    this.#onDone = onDone;
  }

  all(): Iterable<Operation> {
    return this.#operations.values();
  }

  find(id: number): Operation | undefined {
    return this.#operations.get(id);
  }

  /** In the order they happened. They are the devices' and outlive a restored backup. */
  executions(): readonly Execution[] {
    this.catchUp();
    return this.#executions;
  }

  isExpired({ requestedAt }: Operation): boolean {
    return this.#now() > requestedAt + this.#behaviour.operationExpiresMs;
  }

  /** Targets that have not answered, by whether they are connected. */
  waiting(operation: Operation): { readonly offline: number; readonly unknown: number } {
    const open = this.#open.find((each) => each.operation === operation);
    const offline = open?.offline.size ?? 0;
    const left = operation.targets.length - operation.outcomes.size;
    return { offline: Math.min(offline, left), unknown: Math.max(0, left - offline) };
  }

  start(of: Pick<Operation, "task" | "collectionId" | "createdBy" | "targets">): Operation {
    this.#lastId += 1;
    const operation: Operation = {
      ...of,
      id: this.#lastId,
      taskId: `{${guidOf(this.#fleet.options.seed + 300, this.#lastId)}}`,
      requestedAt: this.#now(),
      outcomes: new Map(),
      isCancelled: false,
    };
    this.#operations.set(operation.id, operation);
    this.#open.push(this.#plan(operation));
    return operation;
  }

  #plan(operation: Operation): Open {
    const { offlineAnswersAfterMs } = this.#behaviour;
    const due: Due[] = [];
    const offline = new Set<number>();
    for (const resourceId of operation.targets) {
      const device = this.#fleet.device(resourceId);
      if (device === undefined) continue;
      const delay = this.#delay(operation.id, resourceId);
      if (device.isOnline) due.push({ at: operation.requestedAt + delay, resourceId });
      else {
        offline.add(resourceId);
        if (offlineAnswersAfterMs !== undefined)
          due.push({ at: operation.requestedAt + offlineAnswersAfterMs + delay, resourceId });
      }
    }
    due.sort((a, b) => a.at - b.at);
    return { operation, due, next: 0, offline };
  }

  #delay(operationId: number, resourceId: number): number {
    const { answerMinMs, answerMaxMs } = this.#behaviour;
    const spread = share(mix(operationId, resourceId));
    return Math.round(answerMinMs + spread * (answerMaxMs - answerMinMs));
  }

  /** A device has come back: what waits for it runs soon. */
  comesOnline(resourceId: number): void {
    for (const open of this.#open) {
      if (!open.offline.delete(resourceId)) continue;
      const at = this.#now() + this.#delay(open.operation.id, resourceId);
      const index = open.due.findIndex((each, place) => place >= open.next && each.at > at);
      open.due.splice(index < 0 ? open.due.length : index, 0, { at, resourceId });
    }
  }

  /** Everything that devices did until now. */
  catchUp(): void {
    const now = this.#now();
    for (const open of this.#open) this.#advance(open, now);
    this.#open = this.#open.filter(({ operation }) => !this.#isOver(operation));
  }

  #advance(open: Open, now: number): void {
    const { operation, due } = open;
    const end = operation.requestedAt + this.#behaviour.operationExpiresMs;
    while (open.next < due.length) {
      const next = due[open.next];
      if (next === undefined || next.at > now || next.at > end || operation.isCancelled) return;
      open.next += 1;
      open.offline.delete(next.resourceId);
      const device = this.#fleet.device(next.resourceId);
      if (device !== undefined && !operation.outcomes.has(device.id))
        this.#carryOut(operation, device, next.at);
    }
  }

  #carryOut(operation: Operation, device: Device, at: number): void {
    const roll = share(mix(operation.id + 7, device.id));
    const outcome = { resourceId: device.id, at, isFailed: roll < this.#behaviour.failingShare };
    operation.outcomes.set(device.id, outcome);
    const { id: operationId, task } = operation;
    const parameters = task.kind === "script" ? task.parameters : {};
    this.#executions.push({
      ...{
        operationId,
        resourceId: device.id,
        kind: task.kind,
        what: whatOf(task),
        parameters,
        at,
      },
    });
    this.#onDone(operation, outcome);
  }

  #isOver(operation: Operation): boolean {
    const isDone = operation.outcomes.size >= operation.targets.length;
    return isDone || operation.isCancelled || this.isExpired(operation);
  }

  /** What the site's database knows; the devices go on with what they have been told. */
  state() {
    return { operations: new Map(this.#operations), lastId: this.#lastId };
  }

  restore({ operations, lastId }: ReturnType<Operations["state"]>): void {
    this.#operations = new Map(operations);
    this.#lastId = lastId;
  }
}

function whatOf(task: Task): string {
  switch (task.kind) {
    case "notification":
      return String(task.type);
    case "script":
      return task.script.guid;
    case "cmpivot":
      return task.query;
    case "application":
      return `${task.action} ${task.application}`;
  }
}
