/*
 * policy.h: what the packets of a session may do. An ordered list of rules, first match decides, none is a denial; and the
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
 *   0 action (0 deny, 1 allow) | 1 family (4, 6) | 2 protocol (0 any, else IANA) | 3 prefix length
 *   4-5 first port | 6-7 last port (0-65535 where the protocol has none) | 8-11 rule number (for counting and the log)
 *   12-15 zero | 16-31 address (IPv4 in the first four) */
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
