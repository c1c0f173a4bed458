import { APPLICATION_STATE_WORDS, type ApplicationStateName } from "../core/application-states.ts";
import { state, text } from "./cells.ts";
import { type Html, html } from "./html.ts";

/** Names of actions and their states as the pages say them; docs/comgmt-bridge/console.md has each beside its name in the API. */

const OPERATIONS: Readonly<Record<string, string>> = {
  queued: "waits for the bridge",
  sent: "the bridge has it",
  waitingForApproval: "waits for approval by a second person",
  running: "running at the site",
  completed: "completed",
  refused: "refused by the bridge's host",
  failed: "failed",
  expired: "expired",
  cancelled: "cancelled",
  unknown: "nobody knows",
};

/** Of an operation, in words. */
export function operationState(word: unknown): Html {
  return state(text(word), OPERATIONS[text(word)]);
}

const DEVICES: Readonly<Record<string, string>> = {
  queued: "queued: not asked yet, or offline",
  sent: "asked, no answer yet",
  running: "running",
  succeeded: "succeeded",
  failed: "failed",
  expired: "did not take it in time",
  cancelled: "cancelled",
  notApplicable: "not applicable",
  unknown: "nobody knows",
};

const ENDED_APPLICATIONS: Readonly<Record<string, string>> = {
  installApplication: "installed",
  uninstallApplication: "uninstalled",
  repairApplication: "repaired",
  reevaluateApplication: "evaluated again",
};

/** Of a device, in words that fit the action. */
export function deviceState(word: unknown, action: unknown): Html {
  const name = text(word);
  const ofApplication = ENDED_APPLICATIONS[text(action)];
  if (ofApplication !== undefined && name === "succeeded") return state(name, ofApplication);
  if (ofApplication !== undefined && name === "notApplicable") {
    return state(name, "not deployed to this device");
  }
  return state(name, DEVICES[name]);
}

/** Of an application on a device, as tenant attach shows it. */
export function applicationState(word: unknown): Html {
  const name = text(word) as ApplicationStateName;
  return state(name, APPLICATION_STATE_WORDS[name]);
}

/** How many devices are in which state: `2 succeeded, 1 queued`. */
export function counts(value: unknown): Html {
  const counted = Object.entries((value ?? {}) as Readonly<Record<string, number>>);
  if (counted.length === 0) return html`<span class="quiet">none yet</span>`;
  return html`${counted.map(([name, count], n) => html`${n === 0 ? "" : ", "}${count} ${state(name, SHORT[name])}`)}`;
}

const SHORT: Readonly<Record<string, string>> = {
  queued: "queued (not asked yet, or offline)",
  sent: "asked",
  expired: "not in time",
  notApplicable: "not applicable",
};

/** A reason; command lines stand in backticks. */
export function reason(value: unknown): Html {
  const parts = text(value).split("`");
  return html`${parts.map((part, n) => (n % 2 === 0 ? html`${part}` : html`<code>${part}</code>`))}`;
}

/** What is shown of an operation that a second person has to approve; undefined of others. */
export function approvalNote(operation: Readonly<Record<string, unknown>>): Html | undefined {
  if (operation["state"] !== "waitingForApproval") return undefined;
  return html`<p class="note warn" role="status"><strong>This waits for approval:</strong>
    ${reason(operation["reason"])}</p>`;
}

/** The reason beside a state: while it waits for approval the note above says it. */
export function reasonBeside(operation: Readonly<Record<string, unknown>>): Html | undefined {
  return operation["state"] === "waitingForApproval" ? undefined : reason(operation["reason"]);
}

/** A code that is one. */
export function errorCode(value: unknown): Html | undefined {
  const code = text(value);
  return code === "" || code === "0" ? undefined : html` <code>${code}</code>`;
}
