// sources: policy.c
// share: 0.5
/* The input: one byte that says how many destinations are tried, then packed rules. The oracle reads the packed bytes one by one. */
#include "policy.h"

#include "bytes.h"
#include "fuzz.h"

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  static const uint8_t lengths4[] = {0, 1, 8, 16, 24, 31, 32}, lengths6[] = {0, 7, 32, 63, 64, 65, 127, 128};
  uint64_t state = random;
  size_t rules = (size_t)(random % ((random >> 60) == 0 ? 250 : 20));
  into[0] = (uint8_t)(random >> 8);
  if (1 + rules * RULE_BYTES > room) rules = (room - 1) / RULE_BYTES;
  for (size_t at = 0; at < rules; at++) {
    uint8_t *rule = into + 1 + at * RULE_BYTES;
    uint64_t step = fuzz_random(&state);
    memset(rule, 0, RULE_BYTES);
    rule[0] = step & 1;
    rule[1] = step & 2 ? 4 : 6;
    rule[2] = step & 4 ? 0 : step & 8 ? 6 : 17;
    rule[3] = rule[1] == 4 ? lengths4[(step >> 8) % sizeof lengths4] : lengths6[(step >> 8) % sizeof lengths6];
    uint16_t first = (uint16_t)(step & 16 ? 0 : step >> 16 & 0x3ff), width = (uint16_t)(step & 16 ? 65535 : step >> 26 & 0xff);
    put16(rule + 4, first);
    put16(rule + 6, (uint32_t)(first + width));
    put32(rule + 8, (uint32_t)at + 1);
    /* Few different addresses, so that prefixes hold each other. */
    for (size_t byte = 0; byte < (rule[1] == 4 ? 4 : 16); byte++) rule[16 + byte] = (uint8_t)(fuzz_random(&state) & 0x81);
  }
  return 1 + rules * RULE_BYTES;
}

static bool is_well_formed(const uint8_t *rule) {
  if (rule[0] != 0 && rule[0] != 1) return false;
  if (rule[1] == 4 ? rule[3] > 32 : rule[1] == 6 ? rule[3] > 128 : true) return false;
  if (rule[4] * 256 + rule[5] > rule[6] * 256 + rule[7]) return false;
  for (int at = 12; at < 16; at++)
    if (rule[at] != 0) return false;
  for (int at = 20; rule[1] == 4 && at < 32; at++)
    if (rule[at] != 0) return false;
  return true;
}

static bool matches(const uint8_t *rule, const struct destination *destination) {
  if (rule[1] != destination->family || (rule[2] != 0 && rule[2] != destination->protocol)) return false;
  if (destination->port < rule[4] * 256 + rule[5] || destination->port > rule[6] * 256 + rule[7]) return false;
  for (int bit = 0; bit < rule[3]; bit++) {
    int mask = 0x80 >> bit % 8;
    if ((rule[16 + bit / 8] & mask) != (destination->address[bit / 8] & mask)) return false;
  }
  return true;
}

static struct verdict judge_slowly(const uint8_t *rules, size_t count, const struct destination *destination) {
  for (size_t at = 0; at < count; at++) {
    const uint8_t *rule = rules + at * RULE_BYTES;
    if (matches(rule, destination)) return (struct verdict){.is_allowed = rule[0] == 1, .rule = get32(rule + 8)};
  }
  return (struct verdict){0};
}

/* Near one of the rules: its address with a bit changed perhaps, a port at an end of its range or beside it. */
static struct destination destination_near(const uint8_t *rules, size_t count, uint64_t random) {
  const uint8_t *rule = rules + (size_t)(random % count) * RULE_BYTES;
  struct destination destination = {.family = rule[1], .protocol = random >> 20 & 1 ? 6 : rule[2]};
  memcpy(destination.address, rule + 16, rule[1] == 4 ? 4 : 16);
  unsigned bits = rule[1] == 4 ? 32 : 128, bit = (unsigned)(random >> 24 & 255) % bits;
  if (random >> 21 & 1) destination.address[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
  bit = (unsigned)((unsigned)(rule[3] + bits - 1 + (random >> 32 & 1)) % bits); /* the last of the prefix, or the one behind */
  if (random >> 22 & 1) destination.address[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
  unsigned port = random >> 34 & 1 ? get16(rule + 4) : get16(rule + 6);
  destination.port = (uint16_t)(port + (random >> 35) % 3 - 1);
  return destination;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (length == 0) return 0;
  const uint8_t *rules = bytes + 1;
  size_t count = (length - 1) / RULE_BYTES;
  bool is_fit = (length - 1) % RULE_BYTES == 0;
  for (size_t at = 0; at < count; at++) is_fit = is_fit && is_well_formed(rules + at * RULE_BYTES);
  struct policy *policy = policy_parse(rules, length - 1);
  HOLDS((policy != NULL) == is_fit);
  if (policy == NULL) return 0;
  uint64_t state = length * 256 + bytes[0];
  for (int tried = 0; count > 0 && tried < 1 + bytes[0] % 16; tried++) {
    struct destination destination = destination_near(rules, count, fuzz_random(&state));
    struct verdict verdict = policy_judge(policy, &destination), slow = judge_slowly(rules, count, &destination);
    HOLDS(verdict.is_allowed == slow.is_allowed && verdict.rule == slow.rule);
  }
  policy_release(policy_retain(policy));
  policy_release(policy);
  return 0;
}
