// sources: large-pages.c packet.c checksum.c
#include "large-pages.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include "cases.h"

#define LARGE ((size_t)2 << 20)

/* Whether something is mapped at an address: a page that is not there cannot be asked about. */
static bool is_mapped(const uint8_t *at) {
  unsigned char in_memory;
  return mincore((void *)((uintptr_t)at & ~(uintptr_t)4095), 1, &in_memory) == 0;
}

static void memory_begins_at_a_large_page_and_is_zeroed_to_its_end(void) {
  static const size_t SIZES[] = {1, LARGE - 1, LARGE, LARGE + 1, 5 * LARGE};
  for (size_t at = 0; at < sizeof SIZES / sizeof *SIZES; at++) {
    size_t size = SIZES[at];
    uint8_t *memory = large_pages_map(size);
    HOLDS(memory != NULL && (uintptr_t)memory % LARGE == 0);
    for (size_t byte = 0; byte < size; byte += 512) HOLDS(memory[byte] == 0);
    HOLDS(memory[size - 1] == 0);
    memset(memory, 0xa5, size);
    HOLDS(is_mapped(memory) && is_mapped(memory + size - 1));
    large_pages_unmap(memory, size);
    HOLDS(!is_mapped(memory) && !is_mapped(memory + size - 1));
  }
}

static void a_size_that_cannot_be_is_refused(void) {
  errno = 0;
  HOLDS(large_pages_map(0) == NULL && errno == EINVAL);
  errno = 0;
  HOLDS(large_pages_map(SIZE_MAX) == NULL && errno == EINVAL);
}

int main(void) {
  RUN(memory_begins_at_a_large_page_and_is_zeroed_to_its_end);
  RUN(a_size_that_cannot_be_is_refused);
  return 0;
}
