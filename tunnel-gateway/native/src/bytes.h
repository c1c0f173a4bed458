/*
 * bytes.h: numbers in network byte order at any address.
 */
#ifndef ISTHMUS_BYTES_H
#define ISTHMUS_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static inline uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void put16(uint8_t *at, uint32_t number) {
  at[0] = (uint8_t)(number >> 8);
  at[1] = (uint8_t)number;
}

static inline void put32(uint8_t *at, uint32_t number) {
  put16(at, number >> 16);
  put16(at + 2, number);
}

/* As the 16 bits lie in memory: what checksums add. */
static inline uint16_t load16(const uint8_t *at) {
  uint16_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

#endif
