/*
 * byte-queue.h: bytes that a socket has not taken yet.
 */
#ifndef ISTHMUS_BYTE_QUEUE_H
#define ISTHMUS_BYTE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_queue {
  uint8_t *bytes; /* malloc */
  size_t start, length, capacity;
};

/* False when out of memory; nothing was added. */
bool byte_queue_add(struct byte_queue *queue, const uint8_t *bytes, size_t length);
void byte_queue_drop(struct byte_queue *queue, size_t length);
/* Gives the bytes away, in a block of their own; NULL where there are none. */
uint8_t *byte_queue_take(struct byte_queue *queue, size_t *length);
void byte_queue_free(struct byte_queue *queue);

#endif
