/*
 * large-pages.h: zeroed memory in pages of 2 MiB where the kernel has them to give (/sys/kernel/mm/transparent_hugepage/enabled is
 * `always` or `madvise`), else in pages of the usual size. What a packet touches after a pause is then found with a few entries of the
 * TLB; on a virtual machine each missing one costs a walk through two page tables.
 */
#ifndef ISTHMUS_LARGE_PAGES_H
#define ISTHMUS_LARGE_PAGES_H

#include <stddef.h>

/* NULL with errno where there is no memory. The caller owns it and gives it back by large_pages_unmap() with the same size. */
void *large_pages_map(size_t size);
void large_pages_unmap(void *memory, size_t size);

#endif
