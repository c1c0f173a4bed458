#include "front-thread.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "dtls-front.h"
#include "front-running.h"

#define EVENTS_AT_ONCE 256
#define TICK_MS 100 /* as dtls-front.h asks for */
/* Below the packet threads, above what is idle. */
#define NICENESS 10

static struct front *running;
static pthread_t thread;

struct front *front_running(void) { return running; }

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_listener(struct front *front, bool is_paused) {
  struct epoll_event event = {.events = is_paused ? 0 : EPOLLIN, .data.ptr = &front->listener};
  epoll_ctl(front->epoll_fd, EPOLL_CTL_MOD, front->listener_fd, &event);
  front->is_listener_paused = is_paused;
}

static void accept_arrivals(struct front *front) {
  for (int i = 0; i < ACCEPTED_AT_ONCE && !front_is_ahead(); i++) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int fd = accept4(front->listener_fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      connection_accept(front, fd, &peer);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause_listener(front, true); /* until the next tick: it would be ready for ever */
      return;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    }
  }
}

/* Both are looked at behind the other events of a turn: what is done then may free connections that those point to. */
static void on_listener(struct pollable *self, uint32_t events) {
  (void)events;
  ((struct front *)((char *)self - offsetof(struct front, listener)))->has_arrivals = true;
}

static void on_mail(struct pollable *self, uint32_t events) {
  (void)events;
  ((struct front *)((char *)self - offsetof(struct front, mail)))->has_mail = true;
}

static void tick(struct front *front) {
  connections_tick(front);
  if (front->dtls != NULL) dtls_front_tick(front->dtls, front->now_ms);
  if (front->is_listener_paused) pause_listener(front, false);
}

static bool run_turn(struct front *front, uint64_t *next_tick_ms) {
  struct epoll_event events[EVENTS_AT_ONCE];
  uint64_t now = now_ms();
  int wait = *next_tick_ms > now ? (int)(*next_tick_ms - now) : 0;
  int count = epoll_wait(front->epoll_fd, events, EVENTS_AT_ONCE, wait);
  if (count < 0 && errno != EINTR) return false;
  front->now_ms = now_ms();
  for (int i = 0; i < count; i++) {
    struct pollable *pollable = events[i].data.ptr;
    pollable->ready(pollable, events[i].events);
  }
  if (front->has_arrivals) {
    front->has_arrivals = false;
    accept_arrivals(front);
  }
  if (front->has_mail) {
    front->has_mail = false;
    mailbox_drain(&front->mailbox, front);
  }
  if (front->now_ms >= *next_tick_ms) {
    *next_tick_ms = front->now_ms + TICK_MS;
    tick(front);
  }
  return true;
}

static void *run(void *argument) {
  struct front *front = argument;
  pthread_setname_np(pthread_self(), "tunnel-front");
  setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
  uint64_t next_tick_ms = 0;
  while (!front->is_stopping) {
    if (!run_turn(front, &next_tick_ms)) {
      events_tell(EVENT_FAILED, 0, "the front cannot wait for events: %s", strerror(errno));
      break;
    }
    if (front_is_ahead()) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  connections_close(front);
  OPENSSL_thread_stop();
  return NULL;
}

static bool add(struct front *front, int fd, struct pollable *pollable, void (*ready)(struct pollable *, uint32_t)) {
  pollable->ready = ready;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = pollable};
  return epoll_ctl(front->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Puts the port that was chosen into the options. */
static bool listen_on(struct front *front) {
  struct sockaddr_storage *address = &front->options.address;
  int yes = 1, no = 0;
  int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  front->listener_fd = fd;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0) return false;
  if (address->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) < 0) return false;
  socklen_t length = sizeof *address;
  return bind(fd, (struct sockaddr *)address, front->options.address_length) == 0 && listen(fd, BACKLOG) == 0 &&
         getsockname(fd, (struct sockaddr *)address, &length) == 0 && add(front, fd, &front->listener, on_listener);
}

static bool open_dtls(struct front *front, char *fault, size_t room) {
  if (!front->options.has_udp) return true;
  const struct sockaddr *address = (const struct sockaddr *)&front->options.address;
  front->dtls = dtls_front_open(address, front->options.address_length, front->epoll_fd, fault, room);
  return front->dtls != NULL;
}

static void release(struct front *front) {
  if (front->listener_fd >= 0) close(front->listener_fd);
  if (front->dtls != NULL) dtls_front_close(front->dtls);
  if (front->mailbox.event_fd > 0) mailbox_close(&front->mailbox);
  if (front->epoll_fd >= 0) close(front->epoll_fd);
  admission_close(&front->admission);
  SSL_CTX_free(front->options.tls);
  free(front);
}

/* False, with a sentence in `fault`. */
static bool open_all(struct front *front, char *fault, size_t room) {
  const struct front_options *options = &front->options;
  front->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  bool is_good = front->epoll_fd >= 0 && admission_open(&front->admission, options->pending, options->pending_per_address) &&
                 mailbox_open(&front->mailbox) && add(front, front->mailbox.event_fd, &front->mail, on_mail) &&
                 listen_on(front);
  if (!is_good) snprintf(fault, room, "%s", strerror(errno));
  return is_good && open_dtls(front, fault, room);
}

/* Signals are JavaScript's. */
static int start_thread(struct front *front) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, run, front);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

bool front_start(const struct front_options *options, uint16_t *port, char *fault, size_t room) {
  struct front *front = running == NULL ? calloc(1, sizeof *front) : NULL;
  if (front == NULL) {
    SSL_CTX_free(options->tls);
    errno = running == NULL ? ENOMEM : EALREADY;
    snprintf(fault, room, "%s", strerror(errno));
    return false;
  }
  front->options = *options;
  front->epoll_fd = front->listener_fd = -1;
  bool is_good = open_all(front, fault, room);
  int error = is_good ? start_thread(front) : errno;
  if (!is_good || error != 0) {
    if (is_good) snprintf(fault, room, "no thread: %s", strerror(error));
    release(front);
    errno = error;
    return false;
  }
  struct ip_endpoint bound;
  ip_endpoint_of_socket(&front->options.address, &bound);
  *port = bound.port;
  running = front;
  return true;
}

void front_counters(uint64_t counters[FRONT_COUNTERS]) {
  for (int i = 0; i < FRONT_COUNTERS; i++)
    counters[i] = running == NULL ? 0 : atomic_load_explicit(&running->counters[i], memory_order_relaxed);
}

void front_dtls_counters(uint64_t counters[DTLS_COUNTERS]) {
  if (running != NULL && running->dtls != NULL) dtls_front_counters(running->dtls, counters);
  else memset(counters, 0, DTLS_COUNTERS * sizeof *counters);
}

void front_stop(void) {
  struct front *front = running;
  if (front == NULL) return;
  running = NULL;
  front_ask_to_stop(front);
  pthread_join(thread, NULL);
  release(front);
}
