#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>
#include "bytes.h"

static inline uint64_t add_carry(uint64_t sum, uint64_t word) {
  sum += word;
  return sum + (sum < word);
}

/* Two halves in one 64-bit number: congruent to the whole modulo 0xffff, small enough to be added on without a carry. */
static inline uint64_t halves(uint64_t sum) { return (sum & 0xffffffff) + (sum >> 32); }

uint64_t checksum_add(const uint8_t *bytes, size_t length, uint64_t sum) {
  /* 32-bit words into 64-bit lanes cannot overflow in a packet's length, and compile to vector instructions. */
  if (length >= 64) {
    uint64_t lanes[8] = {0};
    do {
      uint32_t words[16];
      memcpy(words, bytes, sizeof words);
      for (int lane = 0; lane < 8; lane++) lanes[lane] += (uint64_t)words[lane] + words[lane + 8];
      bytes += sizeof words;
      length -= sizeof words;
    } while (length >= 64);
    for (int lane = 0; lane < 8; lane++) sum += lanes[lane];
  }
  uint64_t rest = 0;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    rest = add_carry(rest, word);
  }
  if (length > 0) {
    uint64_t word = 0;
    memcpy(&word, bytes, length);
    rest = add_carry(rest, word);
  }
  return sum + halves(rest);
}

uint64_t checksum_pseudo(uint8_t family, const uint8_t *source, const uint8_t *destination, uint8_t protocol, uint32_t length) {
  size_t bytes = family == 4 ? 4 : 16;
  uint64_t sum = checksum_add(destination, bytes, checksum_add(source, bytes, 0));
  return sum + htons(protocol) + htonl(length);
}

uint16_t checksum_fold(uint64_t sum) {
  sum = halves(halves(sum));
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

void checksum_store(uint8_t *at, uint64_t sum) {
  uint16_t checksum = (uint16_t)~checksum_fold(sum);
  memcpy(at, &checksum, sizeof checksum);
}

void checksum_replace(uint8_t *at, uint16_t before, uint16_t after) {
  uint64_t sum = (uint64_t)(uint16_t)~load16(at) + (uint16_t)~before + after;
  checksum_store(at, sum);
}
