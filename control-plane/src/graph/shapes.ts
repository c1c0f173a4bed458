import { clientState, enabledFeatures } from "../core/co-management.ts";
import type { Shape } from "../core/resources.ts";

/** Values that the store keeps in its own words, in those of Microsoft Graph (beta). Each takes what was parsed from the store's JSON. */
export const SHAPES: Readonly<Record<Shape, (value: unknown) => unknown>> = {
  enabledFeatures: (flags) => enabledFeatures(Number(flags)),
  clientHealth,
  clientInformation: (value) => {
    const { isBlocked, ...rest } = value as { readonly isBlocked: unknown };
    const isKnown = isBlocked === 0 || isBlocked === 1;
    return { ...rest, isBlocked: isKnown ? isBlocked === 1 : null };
  },
  inventoryQuota: (value) => {
    const { overSince, ...figures } = value as { readonly overSince: number | null };
    return { ...figures, overQuotaSinceDateTime: isoTime(overSince) };
  },
  deviceActionResults: (value) => (value as readonly StoredResult[]).map(actionResult),
};

interface StoredHealth {
  readonly hasClient: number;
  readonly isActive: number | null;
  readonly lastSeenAt: number | null;
  readonly now: number;
}

/** configurationManagerClientHealthState. No table that is read has the code of a failed installation. */
function clientHealth(value: unknown): unknown {
  const { hasClient, isActive, lastSeenAt, now } = value as StoredHealth;
  const facts = {
    hasClient: hasClient === 1,
    isActive: isActive === null ? null : isActive === 1,
    lastSeenAt,
  };
  return { state: clientState(facts, now), errorCode: 0, lastSyncDateTime: isoTime(lastSeenAt) };
}

interface StoredResult {
  readonly actionName: string;
  readonly actionState: string;
  readonly actionDeliveryStatus: string;
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly errorCode: number | null;
}

/** configurationManagerActionResult, a kind of deviceActionResult. */
function actionResult(result: StoredResult): unknown {
  return {
    "@odata.type": "#microsoft.graph.configurationManagerActionResult",
    actionName: result.actionName,
    actionState: result.actionState,
    startDateTime: isoTime(result.startedAt),
    lastUpdatedDateTime: isoTime(result.updatedAt),
    actionDeliveryStatus: result.actionDeliveryStatus,
    errorCode: result.errorCode ?? 0,
  };
}

/** ISO 8601; null for what is no time. */
export function isoTime(ms: number | null): string | null {
  const date = new Date(ms ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
