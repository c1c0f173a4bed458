#include "rate-limit.h"

#define RATE_AT_MOST 1000000000000u
/* What may be sent at once after a pause: an eighth of a second's worth, yet enough for one segmented packet. */
#define BURST_AT_LEAST 65536
#define SECOND_US 1000000u

static int64_t burst(const struct rate_limit *limit) {
  int64_t eighth = (int64_t)(limit->bytes_per_second / 8);
  return eighth > BURST_AT_LEAST ? eighth : BURST_AT_LEAST;
}

void rate_limit_set(struct rate_limit *limit, uint64_t bytes_per_second, uint64_t now_us) {
  limit->bytes_per_second = bytes_per_second > RATE_AT_MOST ? 0 : bytes_per_second;
  limit->available = burst(limit);
  limit->refilled_us = now_us;
}

static void refill(struct rate_limit *limit, uint64_t now_us) {
  uint64_t elapsed_us = now_us > limit->refilled_us ? now_us - limit->refilled_us : 0;
  if (elapsed_us > SECOND_US) elapsed_us = SECOND_US;
  int64_t gained = (int64_t)(limit->bytes_per_second * elapsed_us / SECOND_US);
  /* Less than a byte has gathered: keep the time, or a slow rate would never refill. */
  if (gained == 0) return;
  limit->available += gained;
  if (limit->available > burst(limit)) limit->available = burst(limit);
  limit->refilled_us = now_us;
}

bool rate_limit_take(struct rate_limit *limit, size_t bytes, uint64_t now_us) {
  if (limit->bytes_per_second == 0) return true;
  refill(limit, now_us);
  if (limit->available <= 0) return false;
  limit->available -= (int64_t)bytes;
  return true;
}
