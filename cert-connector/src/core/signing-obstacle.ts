import type { SigningObstacle } from "./ports.ts";

/**
 * Certificates are not signed while the measured offset to the control plane exceeds `maxOffsetMs`, either way: their
 * validity would be wrong. Without a control plane there is no measure and no obstacle.
 */
export function clockOffsetObstacle(
  clockOffsetMs: () => number | undefined,
  maxOffsetMs: number,
): SigningObstacle {
  return () => {
    const offsetMs = clockOffsetMs();
    if (offsetMs === undefined || Math.abs(offsetMs) <= maxOffsetMs) return undefined;
    return {
      code: "clock-offset",
      message: `this clock and the control plane's are ${Math.round(offsetMs / 1_000)} s apart, over ${maxOffsetMs / 1_000} s: nothing is signed`,
    };
  };
}
