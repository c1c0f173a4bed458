// sources: checksum.c
#include "checksum.h"

#include <arpa/inet.h>
#include "made-packets.h"

size_t fuzz_generate(uint64_t random, uint8_t *into, size_t room) {
  size_t length = (size_t)(random % 2048);
  if ((random >> 40 & 7) == 0) { /* the carries of long runs of ones */
    memset(into, 0xff, length);
    return length;
  }
  return fuzz_random_bytes(&random, into, length < room ? length : room);
}

static uint16_t folded(uint32_t naive) { return htons((uint16_t)naive); }

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (length < 40) return 0;
  uint16_t whole = checksum_fold(checksum_add(bytes, length, 0));
  HOLDS(whole == folded(naive_sum(bytes, length, 0)));
  size_t split = (size_t)get16(bytes) % length & ~(size_t)1;
  HOLDS(whole == checksum_fold(checksum_add(bytes + split, length - split, checksum_add(bytes, split, 0))));
  size_t from = bytes[2] % 8; /* alignment */
  HOLDS(checksum_fold(checksum_add(bytes + from, length - from, 0)) == folded(naive_sum(bytes + from, length - from, 0)));

  /* One word replaced and mended is the sum made anew. */
  uint8_t *copy = fuzz_copy(bytes, length);
  size_t field = (size_t)get16(bytes + 4) % (length / 2) * 2, word = (size_t)get16(bytes + 6) % (length / 2) * 2;
  if (field != word) {
    put16(copy + field, 0);
    checksum_store(copy + field, checksum_add(copy, length, 0));
    uint16_t before = load16(copy + word);
    memcpy(copy + word, bytes + 8, 2);
    checksum_replace(copy + field, before, load16(copy + word));
    uint32_t sum = naive_sum(copy, length, 0);
    HOLDS(sum == 0xffff || sum == 0); /* all zero sums to zero */
  }
  free(copy);

  for (uint8_t family = 4; family <= 6; family += 2) {
    size_t size = family == 4 ? 4 : 16;
    uint8_t rest[8] = {0};
    put32(rest, get32(bytes + 32));
    rest[7] = bytes[36];
    uint32_t naive = naive_sum(rest, 8, naive_sum(bytes, 2 * size, 0));
    HOLDS(checksum_fold(checksum_pseudo(family, bytes, bytes + size, bytes[36], get32(bytes + 32))) == folded(naive));
  }
  return 0;
}
