import { pfxDelivery } from "@isthmus/shared/link/messages";
import type { Transaction } from "@isthmus/shared/store/transaction";

const KINDS: readonly unknown[] = ["certificate.pkcs", "pfx.deliver"];

/**
 * Keeps the envelope of a delivery for the device that it was ordered for, and returns the result as it is kept with the
 * command: without the envelope. A result of another kind, or one that is for another device, is returned as it is.
 */
export function takeDelivery(
  transaction: Transaction,
  of: { readonly commandId: string; readonly connectorId: string; readonly result: unknown },
  now: number,
): unknown {
  const { commandId, connectorId, result } = of;
  const command = transaction.get(
    `SELECT kind, body ->> '$.deviceId' AS device_id FROM command WHERE id = ? AND connector_id = ?`,
    commandId,
    connectorId,
  );
  if (!KINDS.includes(command?.["kind"])) return result;
  const { data: delivery } = pfxDelivery.safeParse(result);
  if (delivery === undefined || delivery.deviceId !== command?.["device_id"]) return result;
  const { envelope, ...kept } = delivery;
  transaction.run(
    `INSERT INTO certificate_delivery (id, request_id, device_id, connector_id, kind, serial_number, thumbprint,
       recipient_thumbprint, not_after, envelope, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO NOTHING`,
    commandId,
    kept.requestId,
    kept.deviceId,
    connectorId,
    command?.["kind"] as string,
    kept.serialNumber,
    kept.thumbprint,
    kept.recipientThumbprint,
    kept.notAfter,
    envelope,
    now,
  );
  return kept;
}
