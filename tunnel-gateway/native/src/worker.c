#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "events.h"
#include "large-pages.h"
#include "worker-start.h"
#include "worker-state.h"

#define EVENTS_PER_WAIT 64
#define TIMER_SLACK_NS 1000

/* Under load a wake costs more than the packets it brings, so that a thread which had much to do in the last millisecond lets more
 * gather. A packet now and then, such as a ping or a keystroke, never waits. */
#define NAP_US 50
#define RECENT_US 1000
#define RECENT_PACKETS 24
/* Below this the next packet is likely to be alone: nothing is gained by looking for another to send with it. */
#define QUIET_PACKETS 4
#define RECENT_UNIT 16 /* parts of a packet that are counted */

static struct worker *workers[WORKERS_AT_MOST];

struct worker *worker_at(unsigned index) {
  return index < WORKERS_AT_MOST ? __atomic_load_n(&workers[index], __ATOMIC_ACQUIRE) : NULL;
}

bool worker_watch(struct worker *worker, int operation, int fd, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  return epoll_ctl(worker->epoll_fd, operation, fd, &event) == 0;
}

static void read_clock(struct worker *worker) {
  worker->now_us = clock_us(CLOCK_MONOTONIC);
  worker->now_ms = worker->now_us / 1000;
  worker->came_us = worker->now_us;
}

static void session_ready(struct worker *worker, const struct epoll_event *event) {
  uint64_t token = event->data.u64;
  uint32_t generation = (uint32_t)(token >> 32) & GENERATIONS;
  struct session *session = worker->by_slot[(uint32_t)token];
  if (session == NULL) return;
  if (token >> 56 == WATCH_DTLS) {
    if (session->dtls.ssl != NULL && (session->dtls.generation & GENERATIONS) == generation) up_receive_dtls(session);
    return;
  }
  if (session->tls.ssl == NULL || (session->tls.generation & GENERATIONS) != generation) return;
  if ((event->events & EPOLLOUT) != 0) tls_writable(session);
  if ((event->events & ~(uint32_t)EPOLLOUT) != 0 && session->tls.failure == NULL) up_receive_tls(session);
}

/* True where more is known to wait. */
static bool handle(struct worker *worker, const struct epoll_event *event) {
  switch (event->data.u64 >> 56) {
    case WATCH_MAILBOX:
      mailbox_drain(&worker->mailbox, worker);
      return false;
    case WATCH_TUN: {
      bool is_drained = down_receive(worker);
      tls_flush(worker);
      dtls_flush_due(worker);
      if (worker->is_tun_broken) epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, worker->options.tun_fd, NULL);
      return !is_drained;
    }
    default:
      session_ready(worker, event);
      return false;
  }
}

/* A client that was held back may have what was kept for it. */
static bool has_kept(const struct worker *worker) { return worker->dtls_out.length > 0 || worker->rest.session != NULL; }

static int wait_ms(const struct worker *worker) {
  if (has_kept(worker)) return 0;
  return worker->next_tick_ms > worker->now_ms ? (int)(worker->next_tick_ms - worker->now_ms) : 0;
}

static long nap_us(struct worker *worker, bool has_more) {
  uint64_t since_us = worker->now_us - worker->last_wake_us;
  uint64_t left_us = since_us < RECENT_US ? RECENT_US - since_us : 0;
  worker->last_wake_us = worker->now_us;
  worker->recent_packets = worker->recent_packets * left_us / RECENT_US + worker->packets_in_wake * (uint64_t)RECENT_UNIT;
  worker->packets_in_wake = 0;
  worker->is_quiet = worker->recent_packets < QUIET_PACKETS * RECENT_UNIT;
  return has_more || worker->recent_packets < RECENT_PACKETS * RECENT_UNIT ? 0 : NAP_US;
}

static void nap(struct worker *worker, bool has_more) {
  struct timespec pause = {.tv_nsec = nap_us(worker, has_more) * 1000};
  if (!pace_wait(worker) && pause.tv_nsec > 0) nanosleep(&pause, NULL);
}

/* Whether the TUN is read though it was not told to be readable. */
static bool is_read_unasked(struct worker *worker, bool has_heard_clients) {
  uint32_t left_us;
  if (worker->is_tun_broken || pace_holds(worker, &left_us)) return false;
  /* A client that was held back may have been heard. */
  if (worker->is_network_off || has_kept(worker)) return true;
  /* What a lone packet asked of this host, or of another client, is there by now: to wait for it would be one more wake. */
  return has_heard_clients && worker->is_quiet;
}

/* Clients before the network: what has come from one is known when more is sent to it. True where more is known to wait. */
static bool handle_all(struct worker *worker, const struct epoll_event *events, int number) {
  static const struct epoll_event unasked = {.events = EPOLLIN, .data.u64 = (uint64_t)WATCH_TUN << 56};
  const struct epoll_event *network = NULL;
  uint32_t packets = worker->packets_in_wake;
  bool has_more = false;
  for (int at = 0; at < number && !worker->is_stopping; at++) {
    if (events[at].data.u64 >> 56 == WATCH_TUN) network = &events[at];
    else has_more |= handle(worker, &events[at]);
  }
  if (is_read_unasked(worker, worker->packets_in_wake > packets)) network = &unasked;
  if (network != NULL && !worker->is_stopping) has_more |= handle(worker, network);
  return has_more;
}

static void watch_network(struct worker *worker, bool is_on) {
  if (worker->is_network_off != is_on || worker->is_tun_broken) return;
  worker->is_network_off = !is_on;
  worker_watch(worker, EPOLL_CTL_MOD, worker->options.tun_fd, is_on ? EPOLLIN : 0u, watch_token(WATCH_TUN, 0, 0));
}

static int next_events(struct worker *worker, struct epoll_event events[EVENTS_PER_WAIT]) {
  uint32_t left_us = 0;
  bool is_held = pace_holds(worker, &left_us);
  watch_network(worker, !is_held);
  if (!is_held) return epoll_wait(worker->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(worker));
  /* epoll_wait() itself knows milliseconds only. */
  struct pollfd all = {.fd = worker->epoll_fd, .events = POLLIN};
  struct timespec limit = {.tv_nsec = (long)left_us * 1000};
  ppoll(&all, 1, &limit, NULL);
  return epoll_wait(worker->epoll_fd, events, EVENTS_PER_WAIT, 0);
}

static void *run(void *argument) {
  struct worker *worker = argument;
  char name[16];
  snprintf(name, sizeof name, "packets-%u", worker->index);
  prctl(PR_SET_NAME, name);
  prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
  while (!worker->is_stopping) {
    struct epoll_event events[EVENTS_PER_WAIT];
    int number = next_events(worker, events);
    count(worker, COUNT_WAKEUPS);
    read_clock(worker);
    bool has_more = handle_all(worker, events, number);
    /* Answers that the sessions' own packets have caused. */
    tls_flush(worker);
    dtls_flush_due(worker);
    sessions_settle(worker);
    timers_tick(worker);
    nap(worker, has_more);
  }
  mailbox_close(&worker->mailbox);
  OPENSSL_thread_stop();
  return NULL;
}

static bool watch_own(struct worker *worker) {
  worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  return worker->epoll_fd >= 0 && mailbox_open(&worker->mailbox) &&
         worker_watch(worker, EPOLL_CTL_ADD, worker->mailbox.event_fd, EPOLLIN, watch_token(WATCH_MAILBOX, 0, 0)) &&
         worker_watch(worker, EPOLL_CTL_ADD, worker->options.tun_fd, EPOLLIN, watch_token(WATCH_TUN, 0, 0));
}

static bool make_tables(struct worker *worker) {
  uint32_t slots = worker->options.slots;
  worker->by_slot = calloc(slots, sizeof *worker->by_slot);
  worker->records = calloc(slots, sizeof *worker->records);
  if (worker->by_slot == NULL || worker->records == NULL || !timers_make(worker)) return false;
  struct flow_table_options flows = {.slots = slots, .flows_at_most = worker->options.flows_at_most};
  if (RAND_bytes((unsigned char *)flows.seed, sizeof flows.seed) != 1) return false;
  worker->flows = flow_table_new(&flows);
  return worker->flows != NULL;
}

static void free_tables(struct worker *worker) {
  while (worker->policies != NULL) {
    struct policy_place *place = worker->policies;
    worker->policies = place->next;
    if (place->policy != NULL) policy_release(place->policy);
    free(place);
  }
  if (worker->flows != NULL) flow_table_free(worker->flows);
  free(worker->by_slot);
  free(worker->records);
  free(worker->due_ms);
  free(worker->block_due_ms);
  if (worker->epoll_fd >= 0) close(worker->epoll_fd);
  close(worker->options.tun_fd);
  large_pages_unmap(worker, sizeof *worker);
}

bool worker_start(unsigned index, const struct worker_options *options) {
  static const uint8_t none[16];
  if (index >= WORKERS_AT_MOST || options->slots == 0) {
    errno = EINVAL;
    return false;
  }
  struct worker *worker = large_pages_map(sizeof *worker);
  if (worker == NULL) return false;
  worker->index = index;
  worker->options = *options;
  worker->has_ipv6 = memcmp(options->first_ipv6, none, sizeof none) != 0;
  worker->epoll_fd = -1;
  coalesce_start(&worker->coalescer, up_write, worker);
  read_clock(worker);
  worker->started_ms = worker->now_ms;
  worker->realtime_offset_ms = clock_us(CLOCK_REALTIME) / 1000 - worker->now_ms;
  errno = ENOMEM;
  bool is_ready = make_tables(worker) && watch_own(worker);
  if (is_ready) {
    errno = pthread_create(&worker->thread, NULL, run, worker);
    is_ready = errno == 0;
  }
  if (!is_ready) {
    int error = errno;
    free_tables(worker);
    errno = error;
    return false;
  }
  __atomic_store_n(&workers[index], worker, __ATOMIC_RELEASE);
  return true;
}

void workers_stop(uint8_t type, const char *text) {
  bool is_asked[WORKERS_AT_MOST] = {false};
  for (unsigned index = 0; index < WORKERS_AT_MOST; index++)
    if (workers[index] != NULL) is_asked[index] = worker_ask_to_stop(workers[index], type, text);
  for (unsigned index = 0; index < WORKERS_AT_MOST; index++) {
    if (!is_asked[index]) continue;
    pthread_join(workers[index]->thread, NULL);
    struct worker *worker = workers[index];
    __atomic_store_n(&workers[index], NULL, __ATOMIC_RELEASE);
    free_tables(worker);
  }
}

void worker_counters(unsigned index, uint64_t counters[WORKER_COUNTERS]) {
  struct worker *worker = worker_at(index);
  for (int counter = 0; counter < WORKER_COUNTERS; counter++)
    counters[counter] = worker == NULL ? 0 : __atomic_load_n(&worker->counters[counter], __ATOMIC_RELAXED);
}

bool worker_latency(unsigned index, enum latency_way way, struct latency *latency) {
  struct worker *worker = worker_at(index);
  if (worker != NULL) latency_copy(latency, &worker->latency[way]);
  return worker != NULL;
}

static uint64_t load(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

uint32_t worker_sessions(unsigned index, struct session_counters *sessions, uint32_t room) {
  struct worker *worker = worker_at(index);
  uint32_t found = 0;
  for (uint32_t slot = 0; worker != NULL && slot < worker->options.slots; slot++) {
    const struct session_record *record = &worker->records[slot];
    uint32_t id = __atomic_load_n(&record->id, __ATOMIC_ACQUIRE);
    if (id == 0) continue;
    if (found < room)
      sessions[found] = (struct session_counters){.id = id,
                                                  .packets_up = load(&record->packets_up),
                                                  .packets_down = load(&record->packets_down),
                                                  .bytes_up = load(&record->bytes_up),
                                                  .bytes_down = load(&record->bytes_down),
                                                  .dropped = load(&record->dropped),
                                                  .last_active_ms = load(&record->last_active_ms),
                                                  .has_tls = __atomic_load_n(&record->has_tls, __ATOMIC_RELAXED),
                                                  .has_dtls = __atomic_load_n(&record->has_dtls, __ATOMIC_RELAXED)};
    found++;
  }
  return found;
}
