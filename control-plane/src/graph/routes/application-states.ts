import {
  type ApplicationState,
  applicationStates,
  ERRORS_FACET,
  STATES_FACET,
} from "../../core/application-states.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { isoTime } from "../shapes.ts";

/** Applications of a device, each with its state. Graph has no such list. */

export const APPLICATION_STATE_COLUMNS: readonly string[] = [
  ...["sinceDateTime", "id", "displayName", "state", "deploymentIntent", "deploymentTypeName"],
  ...["collectionId", "userName", "enforcementState", "enforcementStateDescription"],
  ...["errorCode", "errorDescription", "remedy", "deploymentStartDateTime"],
];

export async function applicationStatesAt(
  { inventory }: ApiDependencies,
  recordId: number,
  at: number | undefined,
) {
  const facets = await inventory.facetsAt(recordId, at);
  const of = (name: string) => facets.find(({ facet }) => facet === name);
  const states = of(STATES_FACET);
  if (states === undefined) return [];
  const all = applicationStates(states.value, of(ERRORS_FACET)?.value);
  return all.map((state) => applicationStateBody(state, states.at));
}

/** `since` is when any of the device's applications last came to another state. */
export function applicationStateBody(of: ApplicationState, since: number) {
  return {
    id: of.id,
    displayName: of.name,
    state: of.state,
    deploymentIntent: of.intent ?? null,
    deploymentTypeName: of.deploymentTypeName ?? null,
    collectionId: of.collectionId ?? null,
    userName: of.userName ?? null,
    enforcementState: of.enforcementState ?? null,
    enforcementStateDescription: of.enforcementWords ?? null,
    errorCode: of.error?.code ?? null,
    errorDescription: of.error?.message ?? null,
    remedy: of.error?.remedy ?? null,
    deploymentStartDateTime: of.startTime ?? null,
    sinceDateTime: isoTime(since),
  };
}
