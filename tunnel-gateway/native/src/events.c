#include "events-javascript.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "openssl-api.h"

/* Ours: what JavaScript gets in one call, so that its other work comes in between. */
#define EVENTS_AT_ONCE 512

static struct {
  pthread_mutex_t mutex;
  struct event *first;
  struct event **last;
  napi_threadsafe_function wake; /* NULL: JavaScript has gone */
  bool is_woken;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .last = &queue.first};

static _Atomic size_t waiting;

static size_t size_of(const struct event *event) { return sizeof *event + event->length; }

struct event *event_new(enum event_kind kind, uint32_t id, size_t length) {
  struct event *event = calloc(1, sizeof *event + length);
  if (event == NULL) return NULL;
  event->kind = kind;
  event->id = id;
  event->length = length;
  return event;
}

static void forget(struct event *event) {
  /* What a client sends before its tunnel is up may be a password. */
  OPENSSL_cleanse(event->bytes, event->length);
  free(event);
}

void event_free(struct event *event) {
  if (event->kind == EVENT_SOCKET_HANDED) close((int)event->numbers[0]);
  forget(event);
}

void events_emit(struct event *event) {
  event->next = NULL;
  pthread_mutex_lock(&queue.mutex);
  bool is_open = queue.wake != NULL;
  if (is_open) {
    *queue.last = event;
    queue.last = &event->next;
    atomic_fetch_add_explicit(&waiting, size_of(event), memory_order_relaxed);
    /* Inside the lock: the function is released only by who holds it. */
    if (!queue.is_woken) napi_call_threadsafe_function(queue.wake, NULL, napi_tsfn_nonblocking);
    queue.is_woken = true;
  }
  pthread_mutex_unlock(&queue.mutex);
  if (!is_open) event_free(event);
}

void events_tell(enum event_kind kind, uint32_t id, const char *text, ...) {
  struct event *event = event_new(kind, id, 0);
  if (event == NULL) return;
  va_list values;
  va_start(values, text);
  vsnprintf(event->text, sizeof event->text, text, values);
  va_end(values);
  events_emit(event);
}

size_t events_waiting(void) { return atomic_load_explicit(&waiting, memory_order_relaxed); }

/* The next of the queue, in order. Wakes JavaScript again where more are left. */
static struct event *take(uint32_t at_most, uint32_t *count) {
  pthread_mutex_lock(&queue.mutex);
  struct event *first = queue.first;
  struct event **end = &queue.first;
  size_t taken = 0;
  for (*count = 0; *end != NULL && *count < at_most; ++*count) {
    taken += size_of(*end);
    end = &(*end)->next;
  }
  struct event *rest = *end;
  *end = NULL;
  queue.first = rest;
  if (rest == NULL) queue.last = &queue.first;
  queue.is_woken = rest != NULL;
  if (rest != NULL && queue.wake != NULL) napi_call_threadsafe_function(queue.wake, NULL, napi_tsfn_nonblocking);
  pthread_mutex_unlock(&queue.mutex);
  atomic_fetch_sub_explicit(&waiting, taken, memory_order_relaxed);
  return *count == 0 ? NULL : first;
}

/* [kind, id, text, bytes or undefined, numbers ...] without the zeros at the end. */
static napi_value value_of(napi_env env, const struct event *event) {
  uint32_t numbers = EVENT_NUMBERS;
  while (numbers > 0 && event->numbers[numbers - 1] == 0) numbers--;
  napi_value array, part;
  napi_create_array_with_length(env, 4 + numbers, &array);
  napi_create_uint32(env, event->kind, &part);
  napi_set_element(env, array, 0, part);
  napi_create_uint32(env, event->id, &part);
  napi_set_element(env, array, 1, part);
  napi_create_string_utf8(env, event->text, NAPI_AUTO_LENGTH, &part);
  napi_set_element(env, array, 2, part);
  if (event->length > 0) {
    void *copy;
    napi_create_buffer_copy(env, event->length, event->bytes, &copy, &part);
    napi_set_element(env, array, 3, part);
  }
  for (uint32_t i = 0; i < numbers; i++) {
    napi_create_double(env, event->numbers[i], &part);
    napi_set_element(env, array, 4 + i, part);
  }
  return array;
}

static napi_value take_values(napi_env env, uint32_t at_most) {
  uint32_t count;
  struct event *event = take(at_most, &count);
  napi_value batch;
  napi_create_array_with_length(env, count, &batch);
  for (uint32_t i = 0; event != NULL; i++) {
    struct event *next = event->next;
    napi_set_element(env, batch, i, value_of(env, event));
    forget(event);
    event = next;
  }
  return batch;
}

napi_value events_take_all(napi_env env) { return take_values(env, UINT32_MAX); }

static void deliver(napi_env env, napi_value handler, void *nothing, void *none) {
  (void)nothing;
  (void)none;
  if (env == NULL) return; /* the process ends */
  napi_value batch = take_values(env, EVENTS_AT_ONCE), receiver, thrown;
  napi_get_undefined(env, &receiver);
  napi_call_function(env, receiver, handler, 1, &batch, NULL);
  bool is_pending = false;
  if (napi_is_exception_pending(env, &is_pending) != napi_ok || !is_pending) return;
  napi_get_and_clear_last_exception(env, &thrown);
  napi_fatal_exception(env, thrown);
}

bool events_open(napi_env env, napi_value handler) {
  napi_value name;
  napi_threadsafe_function wake;
  if (napi_create_string_utf8(env, "tunnel events", NAPI_AUTO_LENGTH, &name) != napi_ok) return false;
  if (napi_create_threadsafe_function(env, handler, NULL, name, 0, 1, NULL, NULL, NULL, deliver, &wake) != napi_ok) return false;
  pthread_mutex_lock(&queue.mutex);
  queue.wake = wake;
  queue.is_woken = false;
  pthread_mutex_unlock(&queue.mutex);
  return true;
}

void events_close(void) {
  pthread_mutex_lock(&queue.mutex);
  napi_threadsafe_function wake = queue.wake;
  struct event *event = queue.first;
  queue.wake = NULL;
  queue.first = NULL;
  queue.last = &queue.first;
  pthread_mutex_unlock(&queue.mutex);
  while (event != NULL) {
    struct event *next = event->next;
    event_free(event);
    event = next;
  }
  atomic_store(&waiting, 0);
  if (wake != NULL) napi_release_threadsafe_function(wake, napi_tsfn_abort);
}
