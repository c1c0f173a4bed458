import { type Exception, FORBIDDEN_NETWORKS, isIsatap } from "../egress.ts";
import { type Cidr, containsNetwork, overlap, parseCidr } from "../ip-address.ts";
import type { Reading, StagelessRule } from "./packet-rules.ts";

/** One way in which an IPv6 address carries an IPv4 address (`embeddedAddresses`), as rules about packets can say it. */
export interface EmbeddedForm {
  readonly container: Cidr;
  /** The first bit of the IPv4 address, where it is part of the prefix; else the reading that finds it. */
  readonly at: number | Exclude<Reading, "destination">;
}

const FORMS: readonly EmbeddedForm[] = [
  { container: network("64:ff9b::/96"), at: 96 },
  { container: network("64:ff9b:1::/48"), at: "nat64-local-96" },
  { container: network("64:ff9b:1::/48"), at: "nat64-local-48" },
  { container: network("2002::/16"), at: 16 },
  { container: network("2001::/32"), at: 32 },
  { container: network("2001::/32"), at: "teredo-client" },
  { container: network("::/96"), at: 96 },
  { container: network("::ffff:0:0:0/96"), at: 96 },
  { container: network("::/0"), at: "isatap" },
];

/** The forms that an address in one of the opened networks can have, but for those that are forbidden as a whole. */
export function formsWithin(
  opened: readonly Cidr[],
  exceptions: readonly Exception[],
): readonly EmbeddedForm[] {
  return FORMS.filter(({ container, at }) => {
    const isForbidden = FORBIDDEN_NETWORKS.some((one) => containsNetwork(one.network, container));
    const isExcepted = exceptions.some((exception) => overlap(exception.network, container));
    return (!isForbidden || isExcepted) && opened.some((one) => canHold(one, container, at));
  });
}

/** What rules say of an IPv4 address, said of the IPv6 addresses that carry it. */
export function inForm(form: EmbeddedForm, rules: readonly StagelessRule[]): StagelessRule[] {
  return rules.filter(({ network: { family } }) => family === 4).map((rule) => carried(form, rule));
}

function carried({ container, at }: EmbeddedForm, rule: StagelessRule): StagelessRule {
  if (typeof at === "string") return { ...rule, reading: at };
  const { value, prefix } = rule.network;
  const inside = value << BigInt(96 - at);
  return { ...rule, network: { family: 6, value: container.value | inside, prefix: at + prefix } };
}

function canHold(opened: Cidr, container: Cidr, at: EmbeddedForm["at"]): boolean {
  if (!overlap(opened, container)) return false;
  return at !== "isatap" || opened.prefix < 96 || isIsatap(opened);
}

function network(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed) throw new TypeError(`${text} is no network`);
  return parsed;
}
