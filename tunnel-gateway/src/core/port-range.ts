/** An inclusive range of TCP ports. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export const ALL_PORTS: readonly PortRange[] = [{ from: 1, to: 65_535 }];

/** Whether one of the ranges holds `port`. */
export function isInRanges(ranges: readonly PortRange[], port: number): boolean {
  return ranges.some((range) => port >= range.from && port <= range.to);
}

/** Whether every port of `inner` lies in one of `outer`; ranges that only together cover a port range do not count. */
export function coverPorts(outer: readonly PortRange[], inner: readonly PortRange[]): boolean {
  return inner.every((range) => outer.some(({ from, to }) => range.from >= from && range.to <= to));
}

/** Reads `443` or `"8000-8100"`; undefined when it is no range within 1 to 65535. */
export function parsePortRange(value: number | string): PortRange | undefined {
  const match = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(String(value));
  if (!match) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from <= to && to <= 65_535 ? { from, to } : undefined;
}
