// sources: policy.c
// share: 0.5
/* The input: one byte that says how many destinations are tried, then packed rules. The oracle reads the packed bytes one by one. */
#include "policy.h"

#include "bytes.h"
#include "fuzz.h"

/* Makes it an address in which an IPv4 address may be read: ISATAP, NAT64 of local use, Teredo. */
static void put_container(uint8_t *address, unsigned kind) {
  if (kind == 0) put32(address + 8, 0x00005efe);
  if (kind == 1) put32(address + 8, 0x02005efe);
  if (kind == 2) memcpy(address, "\0\x64\xff\x9b\0\x01", 6);
  if (kind == 3) put32(address, 0x20010000);
}

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  static const uint8_t lengths4[] = {0, 1, 8, 16, 24, 31, 32}, lengths6[] = {0, 7, 32, 63, 64, 65, 127, 128};
  uint64_t state = random;
  unsigned stage = 0;
  size_t rules = (size_t)(random % ((random >> 60) == 0 ? 250 : 20));
  into[0] = (uint8_t)(random >> 8);
  if (1 + rules * RULE_BYTES > room) rules = (room - 1) / RULE_BYTES;
  for (size_t at = 0; at < rules; at++) {
    uint8_t *rule = into + 1 + at * RULE_BYTES;
    uint64_t step = fuzz_random(&state);
    memset(rule, 0, RULE_BYTES);
    rule[0] = (uint8_t)((step >> 40) % 3);
    rule[1] = step & 2 ? 4 : 6;
    rule[12] = rule[1] == 6 && (step >> 48 & 1) ? (uint8_t)((step >> 49) % (READ_TEREDO_CLIENT + 1)) : 0;
    rule[2] = step & 4 ? 0 : step & 8 ? 6 : 17;
    bool is_ipv4 = rule[1] == 4 || rule[12] != 0;
    rule[3] = is_ipv4 ? lengths4[(step >> 8) % sizeof lengths4] : lengths6[(step >> 8) % sizeof lengths6];
    uint16_t first = (uint16_t)(step & 16 ? 0 : step >> 16 & 0x3ff), width = (uint16_t)(step & 16 ? 65535 : step >> 26 & 0xff);
    put16(rule + 4, first);
    put16(rule + 6, (uint32_t)(first + width));
    put32(rule + 8, (uint32_t)at + 1);
    if ((step >> 42 & 7) == 0) stage += step >> 45 & 3;
    put16(rule + 14, stage);
    /* Few different addresses, so that prefixes hold each other. */
    for (size_t byte = 0; byte < (is_ipv4 ? 4 : 16); byte++) rule[16 + byte] = (uint8_t)(fuzz_random(&state) & 0x81);
    if (!is_ipv4 && step >> 51 & 1) put_container(rule + 16, (unsigned)(step >> 52 & 3));
  }
  return 1 + rules * RULE_BYTES;
}

static bool is_well_formed(const uint8_t *rule, const uint8_t *before) {
  if (rule[0] > 2 || rule[12] > 4 || rule[13] != 0) return false;
  if (before != NULL && rule[14] * 256 + rule[15] < before[14] * 256 + before[15]) return false;
  if (rule[1] != 6 && (rule[1] != 4 || rule[12] != 0)) return false;
  bool is_ipv4 = rule[1] == 4 || rule[12] != 0;
  if (rule[3] > (is_ipv4 ? 32 : 128) || rule[4] * 256 + rule[5] > rule[6] * 256 + rule[7]) return false;
  for (int at = 20; is_ipv4 && at < 32; at++)
    if (rule[at] != 0) return false;
  return true;
}

static bool is_zero(const uint8_t *bytes) { return (bytes[0] | bytes[1] | bytes[2] | bytes[3]) == 0; }

/* The address that the rule is compared with; false where the destination has none. */
static bool read_as(uint8_t reading, const uint8_t *address, uint8_t *read) {
  static const uint8_t local_nat64[6] = {0, 0x64, 0xff, 0x9b, 0, 1}, teredo[4] = {0x20, 1, 0, 0};
  memcpy(read, address, 16);
  if (reading == 0) return true;
  memcpy(read, address + 12, 4);
  if (reading == 1) return (address[8] == 0 || address[8] == 2) && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe;
  if (reading == 4) {
    for (int at = 0; at < 4; at++) read[at] = (uint8_t)(255 - address[12 + at]);
    return memcmp(address, teredo, 4) == 0;
  }
  if (reading == 3) {
    memcpy(read, address + 6, 2);
    memcpy(read + 2, address + 9, 2);
  }
  return memcmp(address, local_nat64, 6) == 0 && !is_zero(read);
}

static bool matches(const uint8_t *rule, const struct destination *destination) {
  uint8_t address[16];
  if (rule[1] != destination->family || (rule[2] != 0 && rule[2] != destination->protocol)) return false;
  if (destination->port < rule[4] * 256 + rule[5] || destination->port > rule[6] * 256 + rule[7]) return false;
  if (!read_as(rule[12], destination->address, address)) return false;
  for (int bit = 0; bit < rule[3]; bit++) {
    int mask = 0x80 >> bit % 8;
    if ((rule[16 + bit / 8] & mask) != (address[bit / 8] & mask)) return false;
  }
  return true;
}

static struct verdict judge_slowly(const uint8_t *rules, size_t count, const struct destination *destination) {
  int passed = -1; /* the stage that is over */
  for (size_t at = 0; at < count; at++) {
    const uint8_t *rule = rules + at * RULE_BYTES;
    int stage = get16(rule + 14);
    if (stage == passed || !matches(rule, destination)) continue;
    if (rule[0] != 2) return (struct verdict){.is_allowed = rule[0] == 1, .rule = get32(rule + 8)};
    passed = stage;
  }
  return (struct verdict){0};
}

/* Moves the IPv4 address at the front to where the reading finds it. */
static void put_inside(uint8_t *address, uint8_t reading, unsigned kind) {
  uint8_t ipv4[4];
  memcpy(ipv4, address, 4);
  memset(address, 0, 16);
  put_container(address, reading == 1 ? kind : reading == 4 ? 3 : 2);
  if (reading == 3) {
    memcpy(address + 6, ipv4, 2);
    memcpy(address + 9, ipv4 + 2, 2);
    return;
  }
  for (int at = 0; at < 4; at++) address[12 + at] = reading == 4 ? (uint8_t)~ipv4[at] : ipv4[at];
}

/* Near one of the rules: its address with a bit changed perhaps, a port at an end of its range or beside it. */
static struct destination destination_near(const uint8_t *rules, size_t count, uint64_t random) {
  const uint8_t *rule = rules + (size_t)(random % count) * RULE_BYTES;
  struct destination destination = {.family = rule[1], .protocol = random >> 20 & 1 ? 6 : rule[2]};
  memcpy(destination.address, rule + 16, rule[1] == 4 ? 4 : 16);
  if (rule[12] != 0) put_inside(destination.address, rule[12], (unsigned)(random >> 37 & 1));
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
  for (size_t at = 0; at < count; at++) {
    const uint8_t *rule = rules + at * RULE_BYTES;
    is_fit = is_fit && is_well_formed(rule, at == 0 ? NULL : rule - RULE_BYTES);
  }
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
