/** What happened to a device: inventory, the client's own events, actions, certificates and tunnels in one order. */

export const TIMELINE_KINDS = [
  "device.appeared",
  "device.deleted",
  "device.reappeared",
  "device.online",
  "device.offline",
  /** Detail: `fields` as in `FieldDifference`, `isCut`. */
  "inventory.changed",
  /** An application on the device came to another state; detail: `fields` as in `FieldDifference`, in words. */
  "application.changed",
  /** What the site's timeline of the device says happened on it; detail: `provider`, `eventId`, `level`, `message`, `columns`. */
  "client.event",
  "action.requested",
  /** It waits at the connector for a second person; detail: `reason`, with what to do. */
  "action.waiting",
  "action.ended",
  "certificate.issued",
  "certificate.revoked",
  "tunnel.opened",
  "tunnel.ended",
  "tunnel.cut",
] as const;
export type TimelineKind = (typeof TIMELINE_KINDS)[number];

export interface TimelineEvent {
  /** Its place: a higher one was learnt later, whatever the clocks say. */
  readonly id: number;
  readonly recordId: number;
  /** By the clock of who says so, and by that of the control plane. */
  readonly at: number;
  readonly recordedAt: number;
  readonly kind: TimelineKind;
  readonly actor: string | undefined;
  readonly title: string;
  readonly detail: unknown;
}

export interface TimelinePage {
  /** The newest first. */
  readonly events: readonly TimelineEvent[];
  /** What the next page goes on before; undefined at the end. */
  readonly before: number | undefined;
}
