/*
 * clock.h: the time of a clock of the kernel's. Without a system call on most machines, and some 30 ns even so.
 */
#ifndef ISTHMUS_CLOCK_H
#define ISTHMUS_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_us(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

#endif
