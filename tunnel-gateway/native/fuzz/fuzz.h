/*
 * fuzz.h: what a target has. It takes bytes, as libFuzzer's do, and ends the process where a property does not hold.
 *
 * Above a target stands what is compiled with it: `// sources: packet.c checksum.c`. `// share: 0.1` gives it that part of a
 * target's usual number of runs, where one run does much. `// libraries: ssl crypto` links those.
 */
#ifndef ISTHMUS_FUZZ_H
#define ISTHMUS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* Optional: writes an input worth starting from, at most `room` bytes; the driver changes it further. */
size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) __attribute__((weak));

/* A property; unlike assert it cannot be compiled out. */
#define HOLDS(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

_Noreturn static inline void fuzz_fail(const char *condition, const char *file, int line) {
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
  abort();
}

/* The input as a stream of choices: zero where it has ended. */
struct choices {
  const uint8_t *bytes;
  size_t left;
};

static inline uint8_t choose8(struct choices *choices) {
  if (choices->left == 0) return 0;
  choices->left--;
  return *choices->bytes++;
}

static inline uint16_t choose16(struct choices *choices) {
  uint16_t high = choose8(choices);
  return (uint16_t)(high << 8 | choose8(choices));
}

static inline uint32_t choose32(struct choices *choices) {
  uint32_t high = choose16(choices);
  return high << 16 | choose16(choices);
}

/* splitmix64: the next of a row of random numbers. */
static inline uint64_t fuzz_random(uint64_t *state) {
  uint64_t mixed = *state += 0x9e3779b97f4a7c15;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
  return mixed ^ mixed >> 31;
}

static inline size_t fuzz_random_bytes(uint64_t *state, uint8_t *into, size_t length) {
  for (size_t at = 0; at < length; at++) into[at] = (uint8_t)fuzz_random(state);
  return length;
}

/* A copy in memory of just its size, so that one byte too far is seen. */
static inline uint8_t *fuzz_copy(const uint8_t *bytes, size_t length) {
  uint8_t *copy = malloc(length == 0 ? 1 : length);
  HOLDS(copy != NULL);
  if (length > 0) memcpy(copy, bytes, length);
  return copy;
}

#endif
