#include "byte-queue.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_CAPACITY 4096

static void move_to_front(struct byte_queue *queue) {
  if (queue->start == 0) return;
  memmove(queue->bytes, queue->bytes + queue->start, queue->length);
  queue->start = 0;
}

bool byte_queue_add(struct byte_queue *queue, const uint8_t *bytes, size_t length) {
  if (queue->start + queue->length + length > queue->capacity) {
    if (queue->bytes != NULL) move_to_front(queue);
    size_t capacity = queue->capacity < LEAST_CAPACITY ? LEAST_CAPACITY : queue->capacity;
    while (capacity < queue->length + length) capacity *= 2;
    uint8_t *grown = capacity == queue->capacity ? queue->bytes : realloc(queue->bytes, capacity);
    if (grown == NULL) return false;
    queue->bytes = grown;
    queue->capacity = capacity;
  }
  memcpy(queue->bytes + queue->start + queue->length, bytes, length);
  queue->length += length;
  return true;
}

void byte_queue_drop(struct byte_queue *queue, size_t length) {
  queue->start += length;
  queue->length -= length;
  if (queue->length == 0) byte_queue_free(queue);
}

uint8_t *byte_queue_take(struct byte_queue *queue, size_t *length) {
  *length = queue->length;
  if (queue->length == 0) return NULL;
  move_to_front(queue);
  uint8_t *bytes = queue->bytes;
  *queue = (struct byte_queue){0};
  return bytes;
}

void byte_queue_free(struct byte_queue *queue) {
  free(queue->bytes);
  *queue = (struct byte_queue){0};
}
