import type { CommonConfiguration } from "@isthmus/shared/kernel/common-configuration";
import type { Guardrails } from "../config/guardrails.ts";
import type { LocalConfiguration } from "../config/local-configuration.ts";
import type { DetailBounds } from "../core/access-log.ts";
import type { RuleBounds } from "../core/compile-rules.ts";
import type { DestinationBound } from "../core/destination.ts";
import { vpnBounds } from "../core/vpn/vpn-bounds.ts";
import { vpnFacilities } from "./vpn-core.ts";

type Local = LocalConfiguration & Pick<CommonConfiguration, "standalone">;

/** What the host allows of a desired configuration, and has for it: for a gateway that runs and for a check before its start. */
export function ruleBounds(
  local: Local,
  guardrails: Guardrails,
  destinations: DestinationBound,
): RuleBounds {
  const { maximumDeviceAgeMinutes, maximumRevocationAgeMinutes } = guardrails;
  return {
    destinations,
    maximumDeviceAgeMinutes,
    maximumRevocationAgeMinutes,
    accessLogDetail: detailBounds(local, guardrails),
    vpn: local.vpn && vpnFacilities(local.vpn),
    vpnLogins: vpnBounds(guardrails.vpn, local.standalone === undefined),
  };
}

/** A cloud learns nothing by it, but has no say in what the host writes down of its people. */
export function detailBounds(local: Local, { accessLog }: Guardrails): DetailBounds {
  const { leastDetail: least, mostDetail } = accessLog ?? {};
  return { least, most: mostDetail ?? (local.standalone ? undefined : "standard") };
}
