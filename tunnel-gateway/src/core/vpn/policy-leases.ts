import type { AccessControl, AccessRules } from "../access.ts";
import { parseAddress } from "../ip-address.ts";
import type { VpnEngine } from "../vpn-engine.ts";
import { packRules, RULES_AT_MOST } from "./packed-rules.ts";
import { compilePacketRules, type PacketPolicy } from "./packet-rules.ts";
import type { VpnGroup } from "./vpn-rules.ts";

/** A numbered policy of the engine's, held by one session. */
export interface PolicyLease {
  readonly number: number;
  /** What it was compiled for; the same key is the same number. */
  readonly key: string;
}

interface Numbered {
  readonly number: number;
  readonly policy: PacketPolicy;
  packed: Uint8Array;
  held: number;
}

const NOTHING = new Uint8Array();
const DEFAULT_DENY = "default-deny";
/** Own limit: names that old policies used are forgotten once there are so many. */
const MAX_NAMES = 200_000;

/**
 * The packet policies in force: one number for each set of groups (and name servers) that some session has, changed in place
 * when rules, bound or surroundings change, so that no session has to be touched for it.
 */
export class PolicyLeases {
  readonly #engine: Pick<VpnEngine, "setPolicy">;
  readonly #access: AccessControl;
  readonly #onFailure: (error: unknown) => void;
  readonly #byKey = new Map<string, Numbered>();
  readonly #free: number[] = [];
  #names: string[] = [DEFAULT_DENY];
  #numbers = new Map<string, number>([[DEFAULT_DENY, 0]]);
  #next = 1;

  constructor(options: {
    readonly engine: Pick<VpnEngine, "setPolicy">;
    readonly access: AccessControl;
    /** A policy that could not be put in force; until it can, it denies everything. */
    readonly onFailure: (error: unknown) => void;
  }) {
    this.#engine = options.engine;
    this.#access = options.access;
    this.#onFailure = options.onFailure;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The policy of a session in `group` whose policies are chosen by `policyGroups`. To be given back. */
  take(group: VpnGroup, policyGroups: readonly string[]): PolicyLease {
    const policy = this.#policyOf(group, policyGroups);
    const key = keyOf(policy);
    const known = this.#byKey.get(key);
    if (known) {
      known.held += 1;
      return { number: known.number, key };
    }
    const number = this.#free.pop() ?? this.#next++;
    const numbered = { number, policy, packed: NOTHING, held: 1 };
    this.#byKey.set(key, numbered);
    this.#push(numbered, true);
    return { number, key };
  }

  give({ key }: PolicyLease): void {
    const numbered = this.#byKey.get(key);
    if (!numbered) return;
    numbered.held -= 1;
    if (numbered.held > 0) return;
    this.#byKey.delete(key);
    this.#free.push(numbered.number);
    this.#engine.setPolicy(numbered.number, NOTHING);
  }

  /** Whether some set of groups would come to more rules than the engine takes, told as a fault with its key. */
  faultOf({ policies, vpn }: AccessRules): string | undefined {
    const { bound, egress } = this.#access.local;
    const surroundings = { policies, bound, egress: egress.surroundings };
    const groups = [...new Set(policies.flatMap((policy) => policy.groups))];
    // Fewer groups are fewer rules, so that no session has more than one with all groups and name servers.
    const servers = vpn.groups.flatMap((group) => dnsOf(group)?.servers ?? []);
    const policy = { groups, dns: { name: "all", servers } };
    const { length } = compilePacketRules(policy, surroundings);
    return length > RULES_AT_MOST ? `policies: ${tooManyRules(groups, length)}` : undefined;
  }

  /** After rules, the bound or the host's surroundings changed. */
  refresh(): void {
    if (this.#names.length > MAX_NAMES) {
      this.#names = [DEFAULT_DENY];
      this.#numbers = new Map([[DEFAULT_DENY, 0]]);
    }
    for (const numbered of this.#byKey.values()) this.#push(numbered, false);
  }

  /** The name of a rule by the number that the engine speaks of. */
  nameOf(rule: number): string {
    return this.#names[rule] ?? DEFAULT_DENY;
  }

  #push(numbered: Numbered, isNew: boolean): void {
    const packed = this.#compile(numbered.policy);
    if (!isNew && Buffer.from(packed).equals(numbered.packed)) return;
    numbered.packed = packed;
    this.#engine.setPolicy(numbered.number, packed);
  }

  #compile(policy: PacketPolicy): Uint8Array {
    const { rules, local } = this.#access;
    const { policies } = rules;
    const { bound, egress } = local;
    const surroundings = { policies, bound, egress: egress.surroundings };
    const compiled = compilePacketRules(policy, surroundings);
    if (compiled.length > RULES_AT_MOST) {
      this.#onFailure(new Error(tooManyRules(policy.groups, compiled.length)));
      return NOTHING;
    }
    return packRules(compiled, (name) => this.#numberOf(name));
  }

  #numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#names.push(name) - 1;
    this.#numbers.set(name, number);
    return number;
  }

  /** Groups that no policy names decide nothing. */
  #policyOf(group: VpnGroup, policyGroups: readonly string[]): PacketPolicy {
    const named = new Set(this.#access.rules.policies.flatMap(({ groups }) => groups));
    const groups = policyGroups.filter((one) => named.has(one)).toSorted();
    return { groups, dns: dnsOf(group) };
  }
}

function dnsOf({ name, dnsServers }: VpnGroup): PacketPolicy["dns"] {
  const servers = dnsServers.flatMap((text) => parseAddress(text) ?? []);
  return servers.length > 0 ? { name, servers } : undefined;
}

function keyOf({ groups, dns }: PacketPolicy): string {
  const servers = dns?.servers.map(({ family, value }) => `${family}:${value}`) ?? [];
  return JSON.stringify([groups, dns?.name, servers]);
}

function tooManyRules(groups: readonly string[], count: number): string {
  const [first = "", second, ...others] = groups;
  const named = second === undefined ? first : `${first}, ${second} and ${others.length} more`;
  return `those of groups ${named} come to ${count} rules for packets; the most is ${RULES_AT_MOST}`;
}
