#include "policy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "bytes.h"

/*
 * Rules lie sorted by (prefix length, prefix, order). All of one length are a run; a judgement looks up the masked address in each
 * run by halving, and of all that match takes the one that came first. Its cost grows with the number of different lengths, hardly
 * with the number of rules.
 */
struct prefix {
  uint64_t high, low; /* IPv4: in the upper half of `high` */
};

struct rule {
  struct prefix prefix;
  uint32_t order, number;
  uint16_t first_port, last_port;
  uint8_t protocol, length;
  bool is_allow;
};

struct run {
  uint32_t begin, end, first_order;
  uint8_t length;
};

struct family {
  struct rule *rules;
  uint32_t count, run_count;
  struct run runs[129];
};

struct policy {
  atomic_uint references;
  struct family families[2]; /* IPv4, IPv6 */
  struct rule rules[];
};

static struct prefix prefix_of(const uint8_t *address, uint8_t family) {
  struct prefix prefix = {.high = (uint64_t)get32(address) << 32};
  if (family == 4) return prefix;
  prefix.high |= get32(address + 4);
  prefix.low = (uint64_t)get32(address + 8) << 32 | get32(address + 12);
  return prefix;
}

static struct prefix masked(struct prefix prefix, unsigned length) {
  uint64_t high = length == 0 ? 0 : length >= 64 ? UINT64_MAX : UINT64_MAX << (64 - length);
  uint64_t low = length <= 64 ? 0 : UINT64_MAX << (128 - length);
  return (struct prefix){.high = prefix.high & high, .low = prefix.low & low};
}

static int compare_prefixes(struct prefix one, struct prefix other) {
  if (one.high != other.high) return one.high < other.high ? -1 : 1;
  return one.low == other.low ? 0 : one.low < other.low ? -1 : 1;
}

static int compare_rules(const void *left, const void *right) {
  const struct rule *one = left, *other = right;
  if (one->length != other->length) return one->length < other->length ? -1 : 1;
  int difference = compare_prefixes(one->prefix, other->prefix);
  return difference != 0 ? difference : one->order < other->order ? -1 : 1;
}

/* Bits behind the prefix length say nothing; all other bytes without a meaning must be zero. */
static bool read_rule(const uint8_t *packed, uint32_t order, struct rule *rule) {
  static const uint8_t zero[12];
  uint8_t family = packed[1], length = packed[3];
  if (packed[0] > 1 || (family != 4 && family != 6) || length > (family == 4 ? 32 : 128)) return false;
  if (memcmp(packed + 12, zero, 4) != 0 || (family == 4 && memcmp(packed + 20, zero, 12) != 0)) return false;
  *rule = (struct rule){
      .prefix = masked(prefix_of(packed + 16, family), length),
      .order = order,
      .number = get32(packed + 8),
      .first_port = get16(packed + 4),
      .last_port = get16(packed + 6),
      .protocol = packed[2],
      .length = length,
      .is_allow = packed[0] == 1,
  };
  return rule->first_port <= rule->last_port;
}

static void sort_into_runs(struct family *family) {
  if (family->count == 0) return;
  qsort(family->rules, family->count, sizeof *family->rules, compare_rules);
  for (uint32_t at = 0; at < family->count; at++) {
    const struct rule *rule = &family->rules[at];
    if (at == 0 || rule[-1].length != rule->length)
      family->runs[family->run_count++] = (struct run){.begin = at, .first_order = rule->order, .length = rule->length};
    struct run *run = &family->runs[family->run_count - 1];
    run->end = at + 1;
    if (rule->order < run->first_order) run->first_order = rule->order;
  }
}

struct policy *policy_parse(const uint8_t *rules, size_t length) {
  size_t count = length / RULE_BYTES;
  if (length % RULE_BYTES != 0 || count > RULES_AT_MOST) return NULL;
  struct policy *policy = calloc(1, sizeof *policy + count * sizeof(struct rule));
  if (policy == NULL) return NULL;
  atomic_init(&policy->references, 1);
  policy->families[0].rules = policy->rules;
  for (size_t at = 0; at < count; at++)
    if (rules[at * RULE_BYTES + 1] == 4) policy->families[0].count++;
  policy->families[1].rules = policy->rules + policy->families[0].count;
  uint32_t ipv4 = 0;
  for (size_t at = 0; at < count; at++) {
    const uint8_t *packed = rules + at * RULE_BYTES;
    struct family *family = &policy->families[packed[1] == 4 ? 0 : 1];
    struct rule *rule = packed[1] == 4 ? &family->rules[ipv4++] : &family->rules[family->count++];
    if (!read_rule(packed, (uint32_t)at, rule)) {
      free(policy);
      return NULL;
    }
  }
  sort_into_runs(&policy->families[0]);
  sort_into_runs(&policy->families[1]);
  return policy;
}

struct policy *policy_retain(struct policy *policy) {
  atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
  return policy;
}

void policy_release(struct policy *policy) {
  if (policy != NULL && atomic_fetch_sub_explicit(&policy->references, 1, memory_order_acq_rel) == 1) free(policy);
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

static const struct rule *judge_in_run(const struct family *family, const struct run *run, struct prefix address,
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

struct verdict policy_judge(const struct policy *policy, const struct destination *destination) {
  const struct family *family = &policy->families[destination->family == 4 ? 0 : 1];
  struct prefix address = prefix_of(destination->address, destination->family);
  const struct rule *first = NULL;
  for (uint32_t at = 0; at < family->run_count; at++) {
    const struct run *run = &family->runs[at];
    uint32_t before = first == NULL ? UINT32_MAX : first->order;
    if (run->first_order >= before) continue;
    const struct rule *rule = judge_in_run(family, run, address, destination, before);
    if (rule != NULL) first = rule;
  }
  return first == NULL ? (struct verdict){0} : (struct verdict){.is_allowed = first->is_allow, .rule = first->number};
}
