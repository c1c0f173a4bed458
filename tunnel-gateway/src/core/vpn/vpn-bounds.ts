import { RefusalError } from "@isthmus/shared/errors";
import type { VpnDocument } from "./compile-vpn-rules.ts";

/** How strict bans have to be at least. */
export interface BanBound {
  /** Most that an address or an account may fail until it is banned. */
  readonly maximumFailures: number;
  /** Least for which it is then banned, and in which half of its points run out. */
  readonly minimumBanSeconds: number;
  readonly minimumHalfLifeSeconds: number;
}

/** What the guardrails say of logins to the VPN; what is undefined is not bounded. */
export interface VpnBounds {
  /** Lists of authenticators, one of which has to be within each list of a group that asks for no device. */
  readonly authenticationWithoutDevice?: readonly (readonly string[])[] | undefined;
  readonly bans?: BanBound | undefined;
}

/** Own choice: some 170 guesses an hour at one account at most; the default of a configuration allows 70. */
const DEFAULT_BAN_BOUND: BanBound = {
  maximumFailures: 20,
  minimumBanSeconds: 300,
  minimumHalfLifeSeconds: 300,
};

/** The guardrails' section on logins, as it is written. */
interface WrittenVpnBounds {
  readonly authenticationWithoutDevice?: readonly (readonly string[])[] | undefined;
  readonly bans?: { readonly [key in keyof BanBound]?: BanBound[key] | undefined } | undefined;
}

/** What holds: a configuration from a cloud is bounded where nothing is written, too; then a device stands behind each session. */
export function vpnBounds(written: WrittenVpnBounds | undefined, isOfCloud: boolean): VpnBounds {
  const { authenticationWithoutDevice = isOfCloud ? [] : undefined, bans } = written ?? {};
  if (bans === undefined && !isOfCloud) return { authenticationWithoutDevice };
  const { maximumFailures, minimumBanSeconds, minimumHalfLifeSeconds } = bans ?? {};
  const otherwise = DEFAULT_BAN_BOUND;
  return {
    authenticationWithoutDevice,
    bans: {
      maximumFailures: maximumFailures ?? otherwise.maximumFailures,
      minimumBanSeconds: minimumBanSeconds ?? otherwise.minimumBanSeconds,
      minimumHalfLifeSeconds: minimumHalfLifeSeconds ?? otherwise.minimumHalfLifeSeconds,
    },
  };
}

/** Throws `RefusalError` `guardrail-exceeded` where a configuration lets in more than the host allows. */
export function refuseVpnExcess({ groups, bans }: VpnDocument, bounds: VpnBounds): void {
  const enough = bounds.authenticationWithoutDevice;
  const loose = groups.find(
    ({ requireDevice, authentication }) =>
      !requireDevice && enough && !authentication.every((list) => isEnough(list, enough)),
  );
  if (loose) {
    const message = `group ${loose.name} asks for no device, and logs in by less than the guardrails want for that: set requireDevice, or name its authenticators in the guardrails on the host`;
    throw refusal("authenticationWithoutDevice", message);
  }
  if (groups.length === 0 || bounds.bans === undefined) return;
  const { maximumFailures, minimumBanSeconds, minimumHalfLifeSeconds } = bounds.bans;
  const failures = Math.ceil(bans.banAtPoints / bans.failurePoints);
  if (failures > maximumFailures) {
    const message = `vpn.bans allows ${failures} failures until a ban, the guardrails ${maximumFailures}: raise failurePoints or lower banAtPoints`;
    throw refusal("bans.maximumFailures", message);
  }
  const least = (key: "banSeconds" | "halfLifeSeconds", seconds: number, bound: keyof BanBound) => {
    if (bans[key] >= seconds) return;
    const message = `vpn.bans.${key} is ${bans[key]}, the guardrails want at least ${seconds}`;
    throw refusal(`bans.${bound}`, message);
  };
  least("banSeconds", minimumBanSeconds, "minimumBanSeconds");
  least("halfLifeSeconds", minimumHalfLifeSeconds, "minimumHalfLifeSeconds");
}

function isEnough(list: readonly string[], enough: readonly (readonly string[])[]): boolean {
  return enough.some((wanted) => wanted.every((name) => list.includes(name)));
}

function refusal(key: string, message: string): RefusalError {
  return new RefusalError("guardrail-exceeded", `guardrails.tunnel-gateway.vpn.${key}`, message);
}
