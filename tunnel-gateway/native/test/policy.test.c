// sources: policy.c
#include "policy.h"

#include "cases.h"

static uint8_t rule[RULE_BYTES];

static void good_rule(void) {
  memset(rule, 0, sizeof rule);
  rule[0] = 1;
  rule[1] = 4;
  rule[2] = PROTOCOL_TCP;
  rule[3] = 24;
  put16(rule + 4, 80);
  put16(rule + 6, 90);
  put32(rule + 8, 7);
  memcpy(rule + 16, "\x0a\x01\x02\0", 4);
}

static bool parses(size_t length) {
  uint8_t *copy = fuzz_copy(rule, length);
  struct policy *policy = policy_parse(copy, length);
  free(copy);
  policy_release(policy);
  return policy != NULL;
}

static bool parses_changed(size_t at, uint8_t value) {
  good_rule();
  rule[at] = value;
  return parses(RULE_BYTES);
}

static void a_rule_is_read_strictly(void) {
  good_rule();
  HOLDS(parses(RULE_BYTES) && !parses(RULE_BYTES - 1) && parses(0));
  HOLDS(parses_changed(0, 0) && parses_changed(0, 2) && !parses_changed(0, 3));
  HOLDS(!parses_changed(1, 0) && !parses_changed(1, 5));
  HOLDS(parses_changed(3, 32) && !parses_changed(3, 33));
  HOLDS(parses_changed(7, 80) && !parses_changed(7, 79));
  HOLDS(!parses_changed(12, 1) && !parses_changed(13, 1) && parses_changed(15, 1));
  HOLDS(!parses_changed(20, 1) && !parses_changed(31, 1));
  good_rule();
  rule[1] = 6;
  rule[3] = 128;
  HOLDS(parses(RULE_BYTES));
  rule[3] = 129;
  HOLDS(!parses(RULE_BYTES));
  rule[12] = READ_TEREDO_CLIENT;
  rule[3] = 32;
  HOLDS(parses(RULE_BYTES));
  rule[3] = 33;
  HOLDS(!parses(RULE_BYTES));
  rule[3] = 32;
  rule[12]++;
  HOLDS(!parses(RULE_BYTES));
}

static void a_policy_has_at_most_100000_rules(void) {
  static uint8_t rules[(RULES_AT_MOST + 1) * RULE_BYTES];
  good_rule();
  for (size_t at = 0; at < sizeof rules; at += RULE_BYTES) memcpy(rules + at, rule, RULE_BYTES);
  struct policy *policy = policy_parse(rules, RULES_AT_MOST * RULE_BYTES);
  HOLDS(policy != NULL);
  policy_release(policy);
  HOLDS(policy_parse(rules, sizeof rules) == NULL);
}

static struct verdict judge(const struct policy *policy, const char *address, uint16_t port) {
  struct destination destination = {.family = 4, .protocol = PROTOCOL_TCP, .port = port};
  memcpy(destination.address, address, 4);
  return policy_judge(policy, &destination);
}

static void prefix_and_ports_are_matched_to_their_ends(void) {
  good_rule();
  struct policy *policy = policy_parse(rule, RULE_BYTES);
  HOLDS(judge(policy, "\x0a\x01\x02\0", 80).is_allowed && judge(policy, "\x0a\x01\x02\xff", 90).is_allowed);
  HOLDS(!judge(policy, "\x0a\x01\x01\xff", 80).is_allowed && !judge(policy, "\x0a\x01\x03\0", 80).is_allowed);
  HOLDS(!judge(policy, "\x0a\x01\x02\x01", 79).is_allowed && !judge(policy, "\x0a\x01\x02\x01", 91).is_allowed);
  HOLDS(judge(policy, "\x0a\x01\x02\x01", 85).rule == 7 && judge(policy, "\x0a\x01\x02\x01", 91).rule == 0);
  policy_release(policy);
}

static void the_first_rule_that_matches_decides_and_none_denies(void) {
  uint8_t rules[3 * RULE_BYTES];
  for (unsigned at = 0; at < 3; at++) {
    good_rule();
    rule[0] = at != 1;
    rule[3] = (uint8_t)(at == 0 ? 32 : 24 - 8 * at);
    memset(rule + 4, 0, 2);
    memset(rule + 6, 0xff, 2);
    put32(rule + 8, at + 1);
    memcpy(rules + at * RULE_BYTES, rule, RULE_BYTES);
  }
  struct policy *policy = policy_parse(rules, sizeof rules);
  HOLDS(judge(policy, "\x0a\x01\x02\0", 1).rule == 1 && judge(policy, "\x0a\x01\x02\0", 1).is_allowed);
  HOLDS(judge(policy, "\x0a\x01\x02\x01", 1).rule == 2 && !judge(policy, "\x0a\x01\x02\x01", 1).is_allowed);
  HOLDS(judge(policy, "\x0a\x02\x02\x01", 1).rule == 3 && judge(policy, "\x0b\x01\x02\x01", 1).rule == 0);
  policy_release(policy);
}

/* Rule `at` of a list: an action in a stage, about a network of /`length`. */
static void put_rule(uint8_t *rules, unsigned at, uint8_t action, uint8_t stage, uint8_t length) {
  good_rule();
  rule[0] = action;
  rule[3] = length;
  rule[15] = stage;
  put32(rule + 8, at + 1);
  memcpy(rules + at * RULE_BYTES, rule, RULE_BYTES);
}

static void what_passes_a_stage_is_decided_by_the_next(void) {
  uint8_t rules[5 * RULE_BYTES];
  put_rule(rules, 0, RULE_PASS, 0, 32);
  put_rule(rules, 1, RULE_DENY, 0, 24);
  put_rule(rules, 2, RULE_PASS, 3, 32);
  put_rule(rules, 3, RULE_ALLOW, 4, 32);
  put_rule(rules, 4, RULE_ALLOW, 4, 8);
  struct policy *policy = policy_parse(rules, sizeof rules);
  HOLDS(judge(policy, "\x0a\x01\x02\0", 80).is_allowed && judge(policy, "\x0a\x01\x02\0", 80).rule == 4);
  HOLDS(judge(policy, "\x0a\x01\x02\x01", 80).rule == 2 && judge(policy, "\x0a\x02\x02\x01", 80).rule == 5);
  policy_release(policy);
  policy = policy_parse(rules, 3 * RULE_BYTES);
  HOLDS(!judge(policy, "\x0a\x01\x02\0", 80).is_allowed && judge(policy, "\x0a\x01\x02\0", 80).rule == 0);
  policy_release(policy);
  rules[RULE_BYTES + 15] = 4;
  HOLDS(policy_parse(rules, sizeof rules) == NULL);
}

static bool is_read(enum rule_reading reading, const char *address) {
  good_rule();
  rule[1] = 6;
  rule[12] = (uint8_t)reading;
  struct policy *policy = policy_parse(rule, RULE_BYTES);
  struct destination destination = {.family = 6, .protocol = PROTOCOL_TCP, .port = 80};
  memcpy(destination.address, address, 16);
  bool is_allowed = policy_judge(policy, &destination).is_allowed;
  policy_release(policy);
  return is_allowed;
}

/* 10.1.2.9 in every form, and beside it. */
static void an_address_inside_the_destination_is_found(void) {
  HOLDS(is_read(READ_ISATAP, "\x20\x01\x0d\xb8\0\0\0\0\0\0\x5e\xfe\x0a\x01\x02\x09"));
  HOLDS(is_read(READ_ISATAP, "\x20\x01\x0d\xb8\0\0\0\0\x02\0\x5e\xfe\x0a\x01\x02\x09"));
  HOLDS(!is_read(READ_ISATAP, "\x20\x01\x0d\xb8\0\0\0\0\x01\0\x5e\xfe\x0a\x01\x02\x09"));
  HOLDS(is_read(READ_NAT64_LOCAL_96, "\0\x64\xff\x9b\0\x01\0\0\0\0\0\0\x0a\x01\x02\x09"));
  HOLDS(!is_read(READ_NAT64_LOCAL_96, "\0\x64\xff\x9b\0\x02\0\0\0\0\0\0\x0a\x01\x02\x09"));
  HOLDS(is_read(READ_NAT64_LOCAL_48, "\0\x64\xff\x9b\0\x01\x0a\x01\0\x02\x09\0\0\0\0\0"));
  HOLDS(!is_read(READ_NAT64_LOCAL_48, "\0\x64\xff\x9b\0\x01\x0a\x02\0\x02\x09\0\0\0\0\0"));
  HOLDS(is_read(READ_TEREDO_CLIENT, "\x20\x01\0\0\0\0\0\0\0\0\0\0\xf5\xfe\xfd\xf6"));
  HOLDS(!is_read(READ_TEREDO_CLIENT, "\x20\x01\0\x01\0\0\0\0\0\0\0\0\xf5\xfe\xfd\xf6"));
}

int main(void) {
  RUN(a_rule_is_read_strictly);
  RUN(a_policy_has_at_most_100000_rules);
  RUN(prefix_and_ports_are_matched_to_their_ends);
  RUN(the_first_rule_that_matches_decides_and_none_denies);
  RUN(what_passes_a_stage_is_decided_by_the_next);
  RUN(an_address_inside_the_destination_is_found);
}
