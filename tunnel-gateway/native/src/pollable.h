/*
 * pollable.h: what epoll's data.ptr points to in the front thread. Whatever waits for a descriptor begins with one.
 */
#ifndef ISTHMUS_POLLABLE_H
#define ISTHMUS_POLLABLE_H

#include <stdint.h>

struct pollable {
  /* On the front thread. It may free itself, but no other pollable: its event may lie in the same batch. */
  void (*ready)(struct pollable *self, uint32_t events);
};

#endif
