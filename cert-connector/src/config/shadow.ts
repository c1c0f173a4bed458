import { fileKey, secretFileKey } from "@isthmus/shared/kernel/configuration-keys";
import { z } from "zod";

/**
 * Beside an NDES server, for the weeks before a change: what comes under NDES's own path goes on to it unchanged and so does
 * its answer, while the profile with `ndesPath` judges the same request without issuing anything.
 */
export const shadow = z
  .strictObject({
    /** Up to and with `mscep.dll`, e.g. `http://ndes.corp.example/certsrv/mscep/mscep.dll`. */
    ndesUrl: z.url({ protocol: /^https?$/ }).max(512),
    /** PEM of the CAs that its TLS certificate chains to, instead of the public ones. */
    caFile: fileKey().optional(),
    /** The RA's certificate that NDES encrypts with, and its private key in PEM, exported: what is inside is judged, too. */
    raCertificateFile: fileKey().optional(),
    raKeyFile: secretFileKey().optional(),
    timeoutMs: z.number().int().min(100).max(120_000).default(30_000),
  })
  .refine(
    ({ raCertificateFile, raKeyFile }) =>
      (raCertificateFile === undefined) === (raKeyFile === undefined),
    "raCertificateFile and raKeyFile go together",
  )
  .optional();
