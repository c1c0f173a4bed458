// sources: mtu-search.c
/* mtu-search.test.c: what is made of a search like openconnect's, over paths of all kinds. */
#include "cases.h"
#include "mtu-search.h"

#define MOST 1434 /* of IPv4 and Ethernet on the path */
#define INTERVAL_MS 50
#define REPEATS_AT_MOST 6
#define SEARCH_AT_MOST_MS 11000
#define PACKET 60
#define UNKNOWN UINT16_MAX

/* What gets through on either way, and how long there and back take. */
struct path {
  int up, down, rtt_ms, loss_percent;
  uint64_t random, record;
};

/* Answers on their way to the client, in the order in which they arrive. */
struct answers {
  int sizes[SEARCH_AT_MOST_MS], at_ms[SEARCH_AT_MOST_MS], first, after_last;
};

static bool passes(struct path *path, int size, int limit) {
  return size <= limit && (int)(fuzz_random(&path->random) % 100) >= path->loss_percent;
}

static void ask(struct path *path, struct answers *answers, struct mtu_search *search, int size, int now_ms) {
  uint64_t record = path->record++;
  if (!passes(path, size, path->up)) return;
  mtu_search_hear(search, true, (size_t)size, record);
  if (!passes(path, size, path->down)) return;
  answers->sizes[answers->after_last] = size;
  answers->at_ms[answers->after_last++] = now_ms + path->rtt_ms;
}

/* What the client waits for once: the size that came back in time, or 0. */
static int await_answer(struct answers *answers, int *now_ms) {
  int until_ms = *now_ms + INTERVAL_MS;
  if (answers->first == answers->after_last || answers->at_ms[answers->first] > until_ms) {
    *now_ms = until_ms;
    return 0;
  }
  if (answers->at_ms[answers->first] > *now_ms) *now_ms = answers->at_ms[answers->first];
  return answers->sizes[answers->first++];
}

/* The client's result: what came back of sizes between that and what did not, until one was asked for seven times. */
static int client_search(struct path *path, struct mtu_search *search, bool has_ipv6) {
  static struct answers answers;
  int good = has_ipv6 ? 1280 : 576, asked = 0, next = MOST, repeats = 0, now_ms = 0;
  answers.first = answers.after_last = 0;
  while (now_ms < SEARCH_AT_MOST_MS) {
    repeats = next == asked ? repeats + 1 : 0;
    asked = next;
    ask(path, &answers, search, asked, now_ms);
    int size = await_answer(&answers, &now_ms), above = asked;
    if (size == MOST) return MOST;
    if (size == 0 && repeats >= REPEATS_AT_MOST) return good;
    if (size > 0) repeats = 0;
    if (size > good && size >= asked) above = MOST;
    if (size > good) good = size;
    next = (good + above + 1) / 2;
  }
  return good;
}

struct outcome {
  int client, gateway;
};

static struct outcome outcome_of(struct path path, bool has_ipv6) {
  struct mtu_search search = {0};
  struct outcome outcome = {.client = client_search(&path, &search, has_ipv6)};
  HOLDS(mtu_search_result(&search, has_ipv6) == UNKNOWN);
  mtu_search_hear(&search, false, PACKET, path.record);
  outcome.gateway = mtu_search_result(&search, has_ipv6);
  return outcome;
}

static void a_path_that_takes_all_changes_nothing(void) {
  for (int rtt_ms = 0; rtt_ms < 700; rtt_ms++) {
    struct outcome found = outcome_of((struct path){.up = MOST, .down = MOST, .rtt_ms = rtt_ms}, false);
    HOLDS(found.client == MOST && found.gateway == MOST);
  }
}

static void a_path_that_is_narrow_both_ways_is_known(void) {
  for (int limit = 577; limit < MOST; limit++) {
    struct outcome found = outcome_of((struct path){.up = limit, .down = limit, .rtt_ms = 20}, false);
    HOLDS(found.client == limit && found.gateway == limit);
  }
}

static void a_path_that_is_narrow_down_alone_is_known(void) {
  for (int limit = 577; limit < MOST - 1; limit++) {
    struct outcome found = outcome_of((struct path){.up = MOST, .down = limit, .rtt_ms = 20}, false);
    HOLDS(found.client == limit && found.gateway == limit);
    found = outcome_of((struct path){.up = MOST - 1, .down = limit - 1, .rtt_ms = 20}, false);
    HOLDS(limit == 577 || (found.client == limit - 1 && found.gateway == limit - 1));
  }
}

/* Its search takes what was not answered in time for lost. */
static void a_client_far_away_is_sent_no_less_than_it_found(void) {
  for (int rtt_ms = INTERVAL_MS; rtt_ms < 700; rtt_ms += 7)
    for (int limit = 577; limit < MOST; limit += 3) {
      struct outcome found = outcome_of((struct path){.up = limit, .down = limit, .rtt_ms = rtt_ms}, false);
      HOLDS(found.gateway >= found.client && found.gateway <= limit);
      found = outcome_of((struct path){.up = MOST, .down = limit, .rtt_ms = rtt_ms}, false);
      HOLDS(found.gateway >= found.client);
    }
}

static void losses_make_no_path_narrower_than_its_client_finds_it(void) {
  for (uint64_t seed = 0; seed < 20000; seed++) {
    struct path path = {.up = MOST, .down = MOST, .rtt_ms = (int)(seed % 120), .loss_percent = 10, .random = seed};
    struct outcome found = outcome_of(path, seed % 2 == 0);
    HOLDS(found.gateway >= found.client);
  }
}

static void with_ipv6_inside_nothing_is_lower_than_ipv6_needs(void) {
  for (int limit = 577; limit < MOST - 1; limit++) {
    struct outcome found = outcome_of((struct path){.up = MOST, .down = limit, .rtt_ms = 20}, true);
    HOLDS(limit <= 1280 || (found.client == limit && found.gateway == limit));
    /* No answer at all: nothing is known. */
    HOLDS(limit > 1280 || found.gateway == MOST);
    /* Not even its requests come. */
    found = outcome_of((struct path){.up = limit, .down = limit, .rtt_ms = 20}, true);
    HOLDS(found.gateway == (limit > 1280 ? limit : UNKNOWN));
  }
  struct mtu_search search = {0};
  mtu_search_hear(&search, true, 600, 0);
  mtu_search_hear(&search, false, PACKET, 0);
  HOLDS(mtu_search_result(&search, true) == 1280 && mtu_search_result(&search, false) == 600);
}

static void a_dpd_request_without_much_in_it_is_no_probe(void) {
  struct mtu_search search = {0};
  for (size_t length = 0; length < MTU_PROBE_AT_LEAST; length++) {
    mtu_search_hear(&search, true, length, 0);
    mtu_search_hear(&search, false, PACKET, 0);
    HOLDS(mtu_search_result(&search, false) == UNKNOWN);
  }
  mtu_search_hear(&search, true, MTU_PROBE_AT_LEAST, 0);
  mtu_search_hear(&search, true, 0, 0); /* it ends a search, as any frame does */
  HOLDS(mtu_search_result(&search, false) == MTU_PROBE_AT_LEAST);
}

static void what_is_larger_and_comes_through_later_raises_it(void) {
  struct mtu_search search = {0};
  mtu_search_hear(&search, true, 1005, 0);
  mtu_search_hear(&search, false, PACKET, 0);
  HOLDS(mtu_search_result(&search, false) == 1005);
  mtu_search_hear(&search, true, 900, 0);
  mtu_search_hear(&search, false, PACKET, 0);
  HOLDS(mtu_search_result(&search, false) == 1005);
  mtu_search_hear(&search, true, 1220, 0);
  HOLDS(mtu_search_result(&search, false) == 1220);
  mtu_search_hear(&search, false, 1400, 0);
  HOLDS(mtu_search_result(&search, false) == 1400);
}

int main(void) {
  RUN(a_path_that_takes_all_changes_nothing);
  RUN(a_path_that_is_narrow_both_ways_is_known);
  RUN(a_path_that_is_narrow_down_alone_is_known);
  RUN(a_client_far_away_is_sent_no_less_than_it_found);
  RUN(losses_make_no_path_narrower_than_its_client_finds_it);
  RUN(with_ipv6_inside_nothing_is_lower_than_ipv6_needs);
  RUN(a_dpd_request_without_much_in_it_is_no_probe);
  RUN(what_is_larger_and_comes_through_later_raises_it);
  return 0;
}
