// sources: packet.c
#include "cases.h"
#include "latency.h"

static struct latency latency;

static void set_up(void) { memset(&latency, 0, sizeof latency); }

static void each_bucket_ends_at_twice_the_one_before(void) {
  HOLDS(latency_bucket(0) == 0 && latency_bucket(LATENCY_FIRST_US - 1) == 0);
  for (unsigned bucket = 0; bucket < LATENCY_BUCKETS - 1; bucket++) {
    HOLDS(latency_bucket(((uint64_t)LATENCY_FIRST_US << bucket) - 1) == bucket);
    HOLDS(latency_bucket((uint64_t)LATENCY_FIRST_US << bucket) == bucket + 1);
  }
}

static void the_last_bucket_has_no_end(void) {
  HOLDS(latency_bucket((uint64_t)LATENCY_FIRST_US << (LATENCY_BUCKETS + 3)) == LATENCY_BUCKETS - 1);
  HOLDS(latency_bucket(UINT64_MAX) == LATENCY_BUCKETS - 1);
}

static void packets_of_one_write_count_each(void) {
  set_up();
  latency_count(&latency, 100, 3);
  latency_count(&latency, 5, 1);
  latency_count(&latency, 127, 2);
  struct latency copy;
  latency_copy(&copy, &latency);
  HOLDS(copy.packets[0] == 1 && copy.packets[latency_bucket(100)] == 5 && latency_bucket(100) == 4);
  HOLDS(copy.sum_us == 300 + 5 + 254);
}

int main(void) {
  RUN(each_bucket_ends_at_twice_the_one_before);
  RUN(the_last_bucket_has_no_end);
  RUN(packets_of_one_write_count_each);
  return 0;
}
