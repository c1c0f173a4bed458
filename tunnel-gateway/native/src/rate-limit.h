/*
 * rate-limit.h: a token bucket in bytes, pure. It may go into debt by one packet, so that a packet larger than what has
 * gathered passes sooner or later.
 */
#ifndef ISTHMUS_RATE_LIMIT_H
#define ISTHMUS_RATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate_limit {
  uint64_t bytes_per_second; /* 0: no limit */
  int64_t available;
  uint64_t refilled_us;
};

/* Starts full. Rates beyond a terabyte a second are none. */
void rate_limit_set(struct rate_limit *limit, uint64_t bytes_per_second, uint64_t now_us);

/* False: drop it. */
bool rate_limit_take(struct rate_limit *limit, size_t bytes, uint64_t now_us);

#endif
