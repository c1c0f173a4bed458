import type { AuditEntry, IssuanceEvent } from "@isthmus/shared/link/messages";
import type { Transaction } from "@isthmus/shared/store/transaction";
import { z } from "zod";
import type { TimelineKind } from "../core/timeline.ts";
import { codeWords } from "../core/timeline-words.ts";
import type { IngestContext } from "./ingest-context.ts";
import { recordsEndingAs } from "./inventory-identifiers.ts";
import { recordTimeline } from "./timeline-operations.ts";

/** Lines in the timelines of devices about what other connectors tell: certificates and tunnels. */

/** Own limit: a machine that was set up anew is several records for a while. */
const MAX_RECORDS = 10;

/** The devices that an id stands for: Entra's, Intune's, the client's own, or that of an administrators' entry that is joined with one. A name stands for none. */
export function recordsOfDevice(transaction: Transaction, deviceId: string): number[] {
  const entry = transaction.get(
    "SELECT record_id, entra_device_id FROM managed_device WHERE id = ? AND removed_at IS NULL",
    deviceId,
  );
  const joined = entry?.["record_id"] ?? null;
  const entraId = joined === null ? entry?.["entra_device_id"] : undefined;
  const rows = transaction.all(
    `SELECT id FROM inventory_record WHERE kind = 'device' AND deleted_at IS NULL AND id IN (${recordsEndingAs("?1", "?2", "?3")}
       UNION ALL SELECT id FROM inventory_record WHERE managed_device_id IS NOT NULL AND managed_device_id = ?1
       UNION ALL SELECT ?4)
       AND (entra_device_id IN (?1, ?3) OR managed_device_id = ?1 OR smsid IN (?1, ?2) OR id = ?4)
     ORDER BY id LIMIT ${MAX_RECORDS}`,
    deviceId,
    // The client's id as the site writes it, for those who leave its prefix out.
    `GUID:${deviceId}`,
    String(entraId ?? deviceId),
    joined,
  );
  return rows.map((row) => Number(row["id"]));
}

type Line = Pick<IngestContext, "transaction" | "now" | "connectorId"> & {
  readonly deviceId: string | undefined;
  readonly at: number;
  readonly kind: TimelineKind;
  readonly title: string;
  readonly detail: unknown;
};

function tell({ transaction, deviceId, connectorId, ...line }: Line): void {
  if (deviceId === undefined) return;
  for (const recordId of recordsOfDevice(transaction, deviceId)) {
    recordTimeline(transaction, { ...line, recordId, actor: `connector ${connectorId}` });
  }
}

/** A certificate was issued to a device, or one of its certificates was revoked. */
export function tellCertificate(
  { transaction, now, connectorId }: IngestContext,
  event: IssuanceEvent,
  deviceId: string | undefined,
): void {
  const { at, serialNumber, issuer, subject, profileId, notAfter, revocationReason } = event;
  const isIssued = event.event === "issued";
  tell({
    ...{ transaction, now, connectorId, deviceId, at },
    kind: isIssued ? "certificate.issued" : "certificate.revoked",
    title: `Certificate ${serialNumber} ${isIssued ? "issued" : "revoked"}`,
    detail: { serialNumber, issuer, subject, profileId, notAfter, revocationReason },
  });
}

const deviceId = z.string().min(1).max(128).optional();
const word = z.string().max(256).optional();
const session = z.object({ sessionId: word, deviceId, group: word, remoteAddress: word });
const ending = z.object({ sessionId: word, deviceId, end: word, code: word, rule: word });
const count = z.number().int().nonnegative().optional();
const relayed = z.object({
  ...{ deviceId, userPrincipalName: word, end: word },
  ...{ beganAt: count, endedAt: count, connections: count, bytesUp: count, bytesDown: count },
});
const cut = z.object({ connectionId: z.unknown().optional(), deviceId, code: word, rule: word });
const cuts = z.object({ cuts: z.array(cut).max(1_000) });

type Told = Pick<Line, "deviceId" | "kind" | "title" | "detail"> & { readonly at?: number };

/** The lines of each event of a gateway's audit that speaks of devices. A payload of another shape tells nothing. */
const TUNNEL_EVENTS: Readonly<Record<string, (payload: unknown, at: number) => readonly Told[]>> = {
  "vpn.session-opened": told(session, ({ deviceId, ...detail }) => {
    const title = `VPN session began from ${detail.remoteAddress ?? "somewhere"}`;
    return { deviceId, kind: "tunnel.opened", title, detail };
  }),
  "vpn.session-ended": told(ending, ({ deviceId, ...detail }) => {
    const kind = detail.code === undefined ? "tunnel.ended" : "tunnel.cut";
    const title = `VPN session ended: ${why(detail.code ?? detail.end)}`;
    return { deviceId, kind, title, detail };
  }),
  "relay.session-opened": told(relayed, ({ deviceId, ...detail }) => {
    const title = "Connections through the relay began";
    return { deviceId, kind: "tunnel.opened", title, detail };
  }),
  "relay.session-ended": told(relayed, ({ deviceId, ...detail }, at) => {
    const { connections, end, endedAt } = detail;
    const how = connections === undefined ? `: ${why(end)}` : `, after ${connections}`;
    const title = `Connections through the relay ended${how}`;
    // It is known to have ended only when there was no further connection for a while.
    return { deviceId, kind: "tunnel.ended", title, detail, at: Math.min(at, endedAt ?? at) };
  }),
  "relay.cut": (payload) =>
    (cuts.safeParse(payload).data?.cuts ?? []).map(({ deviceId, ...detail }) => {
      const title = `Connection through the tunnel cut: ${why(detail.code)}`;
      return { deviceId, kind: "tunnel.cut", title, detail };
    }),
};

function told<Payload>(
  shape: z.ZodType<Payload>,
  line: (payload: Payload, at: number) => Told,
): (payload: unknown, at: number) => readonly Told[] {
  return (payload, at) => {
    const { success, data } = shape.safeParse(payload);
    return success ? [line(data, at)] : [];
  };
}

function why(code: string | undefined): string {
  return codeWords(code ?? "no reason given");
}

/** What a tunnel gateway's audit says of devices: when they used it, and connections that were cut. */
export function tellTunnel({ transaction, now, connectorId }: IngestContext, link: AuditEntry) {
  if (!Object.hasOwn(TUNNEL_EVENTS, link.event)) return;
  for (const line of TUNNEL_EVENTS[link.event]?.(link.payload, link.at) ?? []) {
    tell({ transaction, now, connectorId, at: link.at, ...line });
  }
}
