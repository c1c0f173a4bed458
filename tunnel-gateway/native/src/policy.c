#include "policy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "bytes.h"

/*
 * Rules of a family lie sorted by (stage, reading, prefix length, prefix, order). All that differ in the last two alone are a run; a
 * judgement looks up the masked address in each run of a stage by halving, and of all that match takes the one that came first. Its
 * cost grows with the number of runs, hardly with the number of rules.
 */
struct prefix {
  uint64_t high, low; /* IPv4: in the upper half of `high` */
};

struct rule {
  struct prefix prefix;
  uint32_t order, number;
  uint16_t first_port, last_port, stage;
  uint8_t protocol, length, reading, action;
};

struct run {
  uint32_t begin, end, first_order;
  uint16_t stage;
  uint8_t length, reading;
};

struct family {
  struct rule *rules;
  struct run *runs;
  uint32_t count, run_count;
};

struct policy {
  atomic_uint references;
  struct family families[2]; /* IPv4, IPv6 */
  struct rule rules[];
};

#define READINGS (READ_TEREDO_CLIENT + 1)

/* The destination by each enum rule_reading, where it has such an address. */
struct readings {
  struct prefix addresses[READINGS];
  bool is_there[READINGS];
};

static struct prefix ipv4_prefix(uint32_t address) { return (struct prefix){.high = (uint64_t)address << 32}; }

static struct prefix prefix_of(const uint8_t *address, bool is_ipv4) {
  if (is_ipv4) return ipv4_prefix(get32(address));
  return (struct prefix){
      .high = (uint64_t)get32(address) << 32 | get32(address + 4),
      .low = (uint64_t)get32(address + 8) << 32 | get32(address + 12),
  };
}

static struct prefix masked(struct prefix prefix, unsigned length) {
  uint64_t high = length == 0 ? 0 : length >= 64 ? UINT64_MAX : UINT64_MAX << (64 - length);
  uint64_t low = length <= 64 ? 0 : UINT64_MAX << (128 - length);
  return (struct prefix){.high = prefix.high & high, .low = prefix.low & low};
}

static int compare_numbers(uint64_t one, uint64_t other) { return one == other ? 0 : one < other ? -1 : 1; }

static int compare_prefixes(struct prefix one, struct prefix other) {
  return one.high != other.high ? compare_numbers(one.high, other.high) : compare_numbers(one.low, other.low);
}

static uint32_t run_key(const struct rule *rule) {
  return (uint32_t)rule->stage << 16 | (uint32_t)rule->reading << 8 | rule->length;
}

static int compare_rules(const void *left, const void *right) {
  const struct rule *one = left, *other = right;
  int difference = compare_numbers(run_key(one), run_key(other));
  if (difference == 0) difference = compare_prefixes(one->prefix, other->prefix);
  return difference != 0 ? difference : compare_numbers(one->order, other->order);
}

/* Bits behind the prefix length say nothing; all other bytes without a meaning must be zero. */
static bool read_rule(const uint8_t *packed, uint32_t order, struct rule *rule) {
  static const uint8_t zero[12];
  uint8_t family = packed[1], length = packed[3], reading = packed[12];
  if (packed[0] > RULE_PASS || (family != 4 && family != 6) || reading >= READINGS || packed[13] != 0) return false;
  if (reading != READ_DESTINATION && family != 6) return false;
  bool is_ipv4 = family == 4 || reading != READ_DESTINATION;
  if (length > (is_ipv4 ? 32 : 128) || (is_ipv4 && memcmp(packed + 20, zero, 12) != 0)) return false;
  *rule = (struct rule){
      .prefix = masked(prefix_of(packed + 16, is_ipv4), length),
      .order = order,
      .number = get32(packed + 8),
      .first_port = get16(packed + 4),
      .last_port = get16(packed + 6),
      .stage = get16(packed + 14),
      .protocol = packed[2],
      .length = length,
      .reading = reading,
      .action = packed[0],
  };
  return rule->first_port <= rule->last_port;
}

/* Reads all rules, those of IPv4 to the front. */
static bool read_rules(struct policy *policy, const uint8_t *packed, size_t count) {
  struct family *ipv4 = &policy->families[0], *ipv6 = &policy->families[1];
  size_t of_ipv4 = 0;
  for (size_t at = 0; at < count; at++) of_ipv4 += packed[at * RULE_BYTES + 1] == 4;
  ipv4->rules = policy->rules;
  ipv6->rules = policy->rules + of_ipv4;
  uint16_t stage = 0;
  for (size_t at = 0; at < count; at++) {
    const uint8_t *bytes = packed + at * RULE_BYTES;
    struct family *family = bytes[1] == 4 ? ipv4 : ipv6;
    struct rule *rule = &family->rules[family->count++];
    if (!read_rule(bytes, (uint32_t)at, rule) || rule->stage < stage) return false;
    stage = rule->stage;
  }
  return true;
}

static bool starts_run(const struct family *family, uint32_t at) {
  return at == 0 || run_key(&family->rules[at - 1]) != run_key(&family->rules[at]);
}

static bool sort_into_runs(struct family *family) {
  if (family->count == 0) return true;
  qsort(family->rules, family->count, sizeof *family->rules, compare_rules);
  uint32_t runs = 0;
  for (uint32_t at = 0; at < family->count; at++) runs += starts_run(family, at);
  family->runs = calloc(runs, sizeof *family->runs);
  if (family->runs == NULL) return false;
  for (uint32_t at = 0; at < family->count; at++) {
    const struct rule *rule = &family->rules[at];
    if (starts_run(family, at))
      family->runs[family->run_count++] = (struct run){
          .begin = at, .first_order = rule->order, .stage = rule->stage, .length = rule->length, .reading = rule->reading};
    struct run *run = &family->runs[family->run_count - 1];
    run->end = at + 1;
    if (rule->order < run->first_order) run->first_order = rule->order;
  }
  return true;
}

static void free_policy(struct policy *policy) {
  free(policy->families[0].runs);
  free(policy->families[1].runs);
  free(policy);
}

struct policy *policy_parse(const uint8_t *rules, size_t length) {
  size_t count = length / RULE_BYTES;
  if (length % RULE_BYTES != 0 || count > RULES_AT_MOST) return NULL;
  struct policy *policy = calloc(1, sizeof *policy + count * sizeof(struct rule));
  if (policy == NULL) return NULL;
  atomic_init(&policy->references, 1);
  if (read_rules(policy, rules, count) && sort_into_runs(&policy->families[0]) && sort_into_runs(&policy->families[1])) return policy;
  free_policy(policy);
  return NULL;
}

struct policy *policy_retain(struct policy *policy) {
  atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
  return policy;
}

void policy_release(struct policy *policy) {
  if (policy != NULL && atomic_fetch_sub_explicit(&policy->references, 1, memory_order_acq_rel) == 1) free_policy(policy);
}

static struct readings read_address(const struct destination *destination) {
  struct readings readings = {.is_there = {true}};
  const uint8_t *address = destination->address;
  readings.addresses[READ_DESTINATION] = prefix_of(address, destination->family == 4);
  if (destination->family == 4) return readings;
  uint32_t last = get32(address + 12), after48 = (uint32_t)get16(address + 6) << 16 | get16(address + 9);
  bool is_local_nat64 = memcmp(address, "\0\x64\xff\x9b\0\x01", 6) == 0;
  readings.addresses[READ_ISATAP] = readings.addresses[READ_NAT64_LOCAL_96] = ipv4_prefix(last);
  readings.addresses[READ_NAT64_LOCAL_48] = ipv4_prefix(after48);
  readings.addresses[READ_TEREDO_CLIENT] = ipv4_prefix(~last);
  readings.is_there[READ_ISATAP] = (get32(address + 8) & ~0x02000000U) == 0x00005efe;
  readings.is_there[READ_NAT64_LOCAL_96] = is_local_nat64 && last != 0;
  readings.is_there[READ_NAT64_LOCAL_48] = is_local_nat64 && after48 != 0;
  readings.is_there[READ_TEREDO_CLIENT] = get32(address) == 0x20010000;
  return readings;
}

/* The first rule of the run with that prefix, or where it would be. */
static uint32_t lower_bound(const struct family *family, const struct run *run, struct prefix prefix) {
  uint32_t low = run->begin, high = run->end;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (compare_prefixes(family->rules[middle].prefix, prefix) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

static const struct rule *match_in_run(const struct family *family, const struct run *run, struct prefix address,
                                       const struct destination *destination, uint32_t before) {
  struct prefix prefix = masked(address, run->length);
  for (uint32_t at = lower_bound(family, run, prefix); at < run->end; at++) {
    const struct rule *rule = &family->rules[at];
    if (rule->order >= before || compare_prefixes(rule->prefix, prefix) != 0) return NULL;
    if (rule->protocol != 0 && rule->protocol != destination->protocol) continue;
    if (destination->port >= rule->first_port && destination->port <= rule->last_port) return rule;
  }
  return NULL;
}

/* The first rule of the stage that matches. `at`: its first run; afterwards the next stage's. */
static const struct rule *match_in_stage(const struct family *family, uint32_t *at, const struct readings *readings,
                                         const struct destination *destination) {
  const struct rule *first = NULL;
  uint16_t stage = family->runs[*at].stage;
  for (; *at < family->run_count && family->runs[*at].stage == stage; ++*at) {
    const struct run *run = &family->runs[*at];
    uint32_t before = first == NULL ? UINT32_MAX : first->order;
    if (run->first_order >= before || !readings->is_there[run->reading]) continue;
    const struct rule *rule = match_in_run(family, run, readings->addresses[run->reading], destination, before);
    if (rule != NULL) first = rule;
  }
  return first;
}

struct verdict policy_judge(const struct policy *policy, const struct destination *destination) {
  const struct family *family = &policy->families[destination->family == 4 ? 0 : 1];
  struct readings readings = read_address(destination);
  for (uint32_t at = 0; at < family->run_count;) {
    const struct rule *rule = match_in_stage(family, &at, &readings, destination);
    if (rule != NULL && rule->action != RULE_PASS)
      return (struct verdict){.is_allowed = rule->action == RULE_ALLOW, .rule = rule->number};
  }
  return (struct verdict){0};
}
