/*
 * policy.h: what the packets of a session may do. Ordered rules in stages, the first match of a stage decides, none is a denial; and the
 * flow table that remembers what was decided, so that a packet of a known flow costs one look-up and return traffic passes.
 *
 * A policy is made by JavaScript, then never changed: workers share it by counting references.
 */
#ifndef ISTHMUS_POLICY_H
#define ISTHMUS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULES_AT_MOST 100000

/* One rule as JavaScript packs it, 32 bytes, big endian:
 *   0 action (enum rule_action) | 1 family of the packet (4, 6) | 2 protocol (0 any, else IANA) | 3 prefix length
 *   4-5 first port | 6-7 last port (0-65535 where the protocol has none) | 8-11 rule number (for counting and the log)
 *   12 reading (enum rule_reading) | 13 zero | 14-15 stage, which never falls from rule to rule
 *   16-31 address (IPv4 in the first four, the rest zero)
 * The first rule of a stage that matches decides: it denies, allows, or passes the packet on to the next stage that has
 * rules. A stage without a match passes it on too. What passes the last stage is denied by rule 0. So lists of only zeros
 * in 12-15 are one list in which the first match decides. */
enum rule_action { RULE_DENY = 0, RULE_ALLOW = 1, RULE_PASS = 2 };

/* Which address a rule is compared with. All but the first are IPv4 addresses inside an IPv6 destination that no prefix can
 * describe: family is 6, the prefix length at most 32, the address IPv4 in bytes 16-19. A destination that has no such
 * address is not matched. (src/core/egress.ts, `embeddedAddresses`) */
enum rule_reading {
  READ_DESTINATION = 0,
  READ_ISATAP = 1,        /* RFC 5214: bits 64-95 are 0000:5efe or 0200:5efe; the last 32 bits */
  READ_NAT64_LOCAL_96 = 2, /* within 64:ff9b:1::/48: the last 32 bits; zero is no address */
  READ_NAT64_LOCAL_48 = 3, /* within 64:ff9b:1::/48: bits 48-63 and 72-87; zero is no address */
  READ_TEREDO_CLIENT = 4  /* within 2001::/32: the last 32 bits, each inverted */
};

#define RULE_BYTES 32

struct policy;

/* Reads packed rules. NULL where `length` is no multiple of RULE_BYTES, a field is out of range, or memory is out. */
struct policy *policy_parse(const uint8_t *rules, size_t length);
struct policy *policy_retain(struct policy *policy);
void policy_release(struct policy *policy);

/* What a rule decides by: of a packet from the client, in the client's direction. */
struct destination {
  uint8_t family;   /* 4 or 6 */
  uint8_t protocol; /* IANA */
  uint8_t address[16];
  uint16_t port; /* host order; ICMP: 0 */
};

struct verdict {
  bool is_allowed;
  uint32_t rule; /* 0: no rule matched */
};

struct verdict policy_judge(const struct policy *policy, const struct destination *destination);

#endif
