import { ConnectorError } from "@isthmus/shared/errors";
import type { Service } from "@isthmus/shared/link/messages";
import type { Transaction } from "@isthmus/shared/store/transaction";

/** The service of a connector, for use inside other operations. Throws `connector-unknown`. */
export function serviceOf(transaction: Transaction, connectorId: string): Service {
  const row = transaction.get("SELECT service FROM connector WHERE id = ?", connectorId);
  if (row !== undefined) return String(row["service"]) as Service;
  throw new ConnectorError("connector-unknown", `There is no connector ${connectorId}`);
}
