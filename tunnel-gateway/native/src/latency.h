/*
 * latency.h: how long packets were inside a packet thread, as a histogram: from when it woke for what was to be read until the write
 * that took them. Written by the packet thread, read by any: a sum lacks nothing of what the
 * buckets have.
 */
#ifndef ISTHMUS_LATENCY_H
#define ISTHMUS_LATENCY_H

#include <stdint.h>

enum latency_way { LATENCY_UP, LATENCY_DOWN, LATENCY_WAYS };

/* Bucket n has what took less than LATENCY_FIRST_US << n, and not less than the one before; the last has all that took longer. */
#define LATENCY_FIRST_US 8
#define LATENCY_BUCKETS 15

struct latency {
  uint64_t packets[LATENCY_BUCKETS];
  uint64_t sum_us; /* of all packets */
};

static inline unsigned latency_bucket(uint64_t us) {
  unsigned bucket = us < LATENCY_FIRST_US ? 0 : 64 - (unsigned)__builtin_clzll(us / LATENCY_FIRST_US);
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static inline void latency_count(struct latency *latency, uint64_t us, uint64_t packets) {
  uint64_t *bucket = &latency->packets[latency_bucket(us)];
  __atomic_store_n(&latency->sum_us, latency->sum_us + us * packets, __ATOMIC_RELAXED);
  __atomic_store_n(bucket, *bucket + packets, __ATOMIC_RELEASE);
}

static inline void latency_copy(struct latency *copy, const struct latency *latency) {
  for (int bucket = 0; bucket < LATENCY_BUCKETS; bucket++)
    copy->packets[bucket] = __atomic_load_n(&latency->packets[bucket], __ATOMIC_ACQUIRE);
  copy->sum_us = __atomic_load_n(&latency->sum_us, __ATOMIC_RELAXED);
}

#endif
