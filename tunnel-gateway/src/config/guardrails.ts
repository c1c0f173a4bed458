import { z } from "zod";
import { accessLogDetail, destinationSchema } from "./desired-configuration.ts";

const atLeastOne = z.number().int().min(1);
const authenticators = z.array(z.string().min(1).max(64)).min(1).max(4);

/**
 * Logins to the VPN. Left out, they are bounded by the defaults where the desired configuration comes from a cloud, and not
 * at all where it is the host's own file.
 */
const vpn = z.strictObject({
  /**
   * A group with `requireDevice: false` needs one of these lists of authenticators, or more, in each of its own; by default no
   * group of a cloud's can do without a device.
   */
  authenticationWithoutDevice: z.array(authenticators).max(32).optional(),
  /** How strict bans have to be at least; `BanBound` says what each is, and its default. */
  bans: z
    .strictObject({
      maximumFailures: atLeastOne.optional(),
      minimumBanSeconds: atLeastOne.optional(),
      minimumHalfLifeSeconds: atLeastOne.optional(),
    })
    .optional(),
});

/** From least to most. */
const rank = (detail: z.infer<typeof accessLogDetail>) => accessLogDetail.options.indexOf(detail);
const accessLog = z
  .strictObject({
    mostDetail: accessLogDetail.optional(),
    /** Left out, a cloud may have less written, down to pseudonyms. */
    leastDetail: accessLogDetail.optional(),
  })
  .refine(
    ({ leastDetail: least, mostDetail: most }) => !least || rank(least) <= rank(most ?? "standard"),
    {
      message: "is more than mostDetail, which is standard unless given",
      path: ["leastDetail"],
    },
  );

/**
 * The gateway's section of the guardrails file: what no desired configuration can exceed. What is left out is not
 * bounded beyond the default-deny list, but for logins to the VPN.
 */
export const guardrails = z.strictObject({
  /** The only destinations that any policy may open. */
  destinations: z.array(destinationSchema).max(10_000).optional(),
  /** Most that maximum age and grace of device states may come to. */
  maximumDeviceAgeMinutes: z.number().int().min(1).optional(),
  /** Most that the hard age of revocation knowledge may come to. */
  maximumRevocationAgeMinutes: z.number().int().min(1).optional(),
  /** The access log; left out, a cloud has it say who, and not where to. */
  accessLog: accessLog.optional(),
  vpn: vpn.optional(),
});
export type Guardrails = z.infer<typeof guardrails>;
