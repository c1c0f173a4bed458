#include "large-pages.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)

static size_t rounded(size_t size) { return (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE; }

void *large_pages_map(size_t size) {
  if (size == 0 || size > SIZE_MAX - 2 * LARGE_PAGE) {
    errno = EINVAL;
    return NULL;
  }
  size_t whole = rounded(size) + LARGE_PAGE;
  char *mapping = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return NULL;
  /* A large page has to begin at a multiple of its size: what is before and behind goes back. */
  size_t before = (LARGE_PAGE - (uintptr_t)mapping % LARGE_PAGE) % LARGE_PAGE;
  char *memory = mapping + before;
  if (before > 0) munmap(mapping, before);
  munmap(memory + rounded(size), LARGE_PAGE - before);
  madvise(memory, rounded(size), MADV_HUGEPAGE);
  return memory;
}

void large_pages_unmap(void *memory, size_t size) { munmap(memory, rounded(size)); }
