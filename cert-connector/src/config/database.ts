import { fileKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { REPLICA_NAME } from "@isthmus/shared/store/postgresql/place";
import { z } from "zod";

/**
 * PostgreSQL in place of the file in the state folder: replicas of the connector share the ledger there. Absent: this
 * connector works alone.
 */
export const database = z
  .strictObject({
    /** Holds `postgresql://role:password@host:5432/database`. */
    urlFile: secretFileKey(),
    /** Authorities that the server's certificate is checked by; the system's where absent. */
    caFile: fileKey().optional(),
    /** This replica's own name, kept over its restarts; what belongs to it alone is in the schema of this name. */
    replica: z.string().regex(REPLICA_NAME, "1 to 32 lower-case letters, digits or '_'"),
  })
  .optional();
