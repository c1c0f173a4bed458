#include "dtls-handshakes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>
#include "events.h"
#include "pollable.h"
#include "worker.h"

/* Datagrams that one client's socket is heard for at a time, so that none keeps the thread to itself. */
#define DATAGRAMS_PER_WAKE 16
#define ERROR_REASON_MASK 0x7fffffu
#define REASON_NO_SHARED_CIPHER 193
#define REASON_ALERT_FIRST 1000 /* an alert of the peer, by its number */
#define REASON_ALERT_LAST 1255

struct dtls_handshake {
  struct pollable pollable;
  struct dtls_handshakes *all;
  struct dtls_handshake *older;
  struct dtls_handshake *newer;
  SSL *ssl;
  struct wire *wire;
  int fd;
  bool is_over;
  enum dtls_offer_kind kind;
  uint32_t session;
  uint64_t deadline_ms;
  uint64_t timer_ms;
  union endpoint peer;
  union endpoint local;
  struct dtls_attempt attempt;
};

static bool send_datagram(void *owner, const uint8_t *bytes, size_t length) {
  const struct dtls_handshake *handshake = owner;
  /* What cannot be sent now is lost; libssl sends it again. */
  while (send(handshake->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
  return true;
}

static void tell_failure(struct dtls_handshakes *all, uint32_t session, const union endpoint *peer, const char *reason) {
  dtls_count(all->counters, DTLS_FAILED);
  if (all->failures_told >= DTLS_FAILURES_TOLD) return;
  all->failures_told++;
  struct event *event = event_new(EVENT_HANDSHAKE_FAILED, 0, 0);
  if (event == NULL) return;
  char text[ENDPOINT_TEXT_BYTES];
  event->numbers[0] = endpoint_port(peer);
  event->numbers[1] = session;
  snprintf(event->text, sizeof event->text, "%s\n%s\n", endpoint_text(peer, text), reason);
  events_emit(event);
}

/* Takes it out of the list; its memory stays until the next tick. */
static void retire(struct dtls_handshake *handshake) {
  struct dtls_handshakes *all = handshake->all;
  if (handshake->newer != NULL) handshake->newer->older = handshake->older;
  else all->newest = handshake->older;
  if (handshake->older != NULL) handshake->older->newer = handshake->newer;
  all->count--;
  handshake->is_over = true;
  handshake->older = all->ended;
  all->ended = handshake;
}

/* `reason` NULL: nobody is told. */
static void end(struct dtls_handshake *handshake, const char *reason) {
  if (reason != NULL) tell_failure(handshake->all, handshake->session, &handshake->peer, reason);
  SSL_free(handshake->ssl);
  free(handshake->wire);
  close(handshake->fd);
  retire(handshake);
}

static const char *reason_of_error(void) {
  unsigned long reason = ERR_peek_error() & ERROR_REASON_MASK;
  if (reason == REASON_NO_SHARED_CIPHER) return "dtls-no-suite";
  return reason >= REASON_ALERT_FIRST && reason <= REASON_ALERT_LAST ? "dtls-alert" : "dtls-protocol";
}

static void hand_over(struct dtls_handshake *handshake) {
  /* The session may have ended, or taken another offer, since the hello. */
  const struct dtls_offer *offer = dtls_attempt_offer(&handshake->attempt);
  if (offer == NULL) {
    end(handshake, "dtls-withdrawn");
    return;
  }
  if (!dtls_context_is_as_offered(handshake->ssl, handshake->kind)) {
    end(handshake, "dtls-protocol");
    return;
  }
  epoll_ctl(handshake->all->epoll_fd, EPOLL_CTL_DEL, handshake->fd, NULL);
  dtls_context_detach(handshake->ssl);
  *handshake->wire = (struct wire){.is_datagram = true};
  struct dtls_handover handover = {
      .session = handshake->session, .ssl = handshake->ssl, .wire = handshake->wire, .fd = handshake->fd};
  dtls_count(handshake->all->counters, DTLS_COMPLETED);
  retire(handshake);
  worker_attach_dtls(offer->worker, &handover);
}

static void set_timer(struct dtls_handshake *handshake) {
  struct timeval left;
  bool is_running = SSL_ctrl(handshake->ssl, DTLS_CTRL_GET_TIMEOUT, 0, &left) == 1;
  handshake->timer_ms = !is_running
                            ? UINT64_MAX
                            : handshake->all->now_ms + (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000;
}

/* Lets libssl go as far as it comes. The handshake may be over afterwards. */
static void advance(struct dtls_handshake *handshake) {
  ERR_clear_error();
  int outcome = SSL_do_handshake(handshake->ssl);
  if (outcome == 1) {
    hand_over(handshake);
  } else if (SSL_get_error(handshake->ssl, outcome) == SSL_ERROR_WANT_READ) {
    set_timer(handshake);
  } else {
    end(handshake, reason_of_error());
  }
}

static void take_datagram(struct dtls_handshake *handshake, const struct datagram *datagram) {
  handshake->wire->in = datagram->bytes;
  handshake->wire->in_left = datagram->length;
  advance(handshake);
  if (handshake->is_over) return;
  handshake->wire->in = NULL;
  handshake->wire->in_left = 0;
}

static void on_ready(struct pollable *pollable, uint32_t events) {
  (void)events;
  struct dtls_handshake *handshake = (struct dtls_handshake *)pollable;
  struct dtls_handshakes *all = handshake->all;
  /* One at a time: what comes behind the last flight is the packet thread's. */
  for (unsigned i = 0; i < DATAGRAMS_PER_WAKE && !handshake->is_over; i++) {
    if (!dtls_socket_receive(handshake->fd, &handshake->local, all->received, 1)) return;
    const struct datagram *datagram = &all->received->each[0];
    if (all->received->count == 0 || datagram->length == 0) continue;
    if (endpoint_is_same(&datagram->peer, &handshake->peer)) take_datagram(handshake, datagram);
    else all->stray(all->owner, datagram);
  }
}

/* The oldest of a session that has as many as it may; NULL otherwise. Says in `is_repeated` that this peer is at it. */
static struct dtls_handshake *find_surplus(const struct dtls_handshakes *all, const union endpoint *peer, uint32_t session,
                                           bool *is_repeated) {
  struct dtls_handshake *oldest = NULL;
  unsigned count = 0;
  *is_repeated = false;
  for (struct dtls_handshake *each = all->newest; each != NULL; each = each->older) {
    if (endpoint_is_same(&each->peer, peer)) *is_repeated = true;
    if (each->session != session) continue;
    count++;
    oldest = each;
  }
  return count >= DTLS_HANDSHAKES_PER_SESSION ? oldest : NULL;
}

/* With socket and SSL, waiting for its first step. NULL when the system has no more to give. */
static struct dtls_handshake *make(struct dtls_handshakes *all, const struct datagram *hello,
                                   const struct dtls_offers *offers, const struct dtls_offer *offer) {
  struct dtls_handshake *handshake = calloc(1, sizeof *handshake);
  struct wire *wire = calloc(1, sizeof *wire);
  int fd = handshake == NULL || wire == NULL ? -1 : dtls_socket_connect(&hello->local, &hello->peer);
  if (fd < 0) {
    free(handshake);
    free(wire);
    return NULL;
  }
  *wire = (struct wire){.in = hello->bytes,
                        .in_left = hello->length,
                        .is_datagram = true,
                        .emit = send_datagram,
                        .owner = handshake};
  *handshake = (struct dtls_handshake){.pollable.ready = on_ready,
                                       .all = all,
                                       .wire = wire,
                                       .fd = fd,
                                       .kind = offer->kind,
                                       .session = offer->session,
                                       .deadline_ms = all->now_ms + DTLS_HANDSHAKE_MS,
                                       .timer_ms = UINT64_MAX,
                                       .peer = hello->peer,
                                       .local = hello->local,
                                       .attempt = {.offers = offers, .serial = offer->serial}};
  memcpy(handshake->attempt.id, offer->id, DTLS_ID_BYTES);
  struct epoll_event interest = {.events = EPOLLIN, .data.ptr = &handshake->pollable};
  handshake->ssl = dtls_context_accept(&all->context, &handshake->attempt, wire, offer->kind);
  if (handshake->ssl != NULL && epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, fd, &interest) == 0) return handshake;
  SSL_free(handshake->ssl);
  free(wire);
  close(fd);
  free(handshake);
  return NULL;
}

void dtls_handshakes_begin(struct dtls_handshakes *handshakes, const struct datagram *hello,
                           const struct dtls_offers *offers, const struct dtls_offer *offer) {
  bool is_repeated;
  struct dtls_handshake *surplus = find_surplus(handshakes, &hello->peer, offer->session, &is_repeated);
  if (is_repeated) {
    dtls_count(handshakes->counters, DTLS_REPEATED);
    return;
  }
  if (surplus != NULL) end(surplus, "dtls-replaced");
  if (handshakes->count >= DTLS_HANDSHAKES_AT_MOST) {
    dtls_count(handshakes->counters, DTLS_LIMITED);
    return;
  }
  struct dtls_handshake *handshake = make(handshakes, hello, offers, offer);
  if (handshake == NULL) {
    tell_failure(handshakes, offer->session, &hello->peer, "dtls-system");
    return;
  }
  dtls_count(handshakes->counters, DTLS_STARTED);
  handshake->older = handshakes->newest;
  if (handshakes->newest != NULL) handshakes->newest->newer = handshake;
  handshakes->newest = handshake;
  handshakes->count++;
  /* libssl has kept the hello itself. */
  handshake->wire->in_left = 0;
  advance(handshake);
}

bool dtls_handshakes_open(struct dtls_handshakes *handshakes, char *fault, size_t room) {
  handshakes->received = malloc(sizeof *handshakes->received);
  if (handshakes->received == NULL) {
    snprintf(fault, room, "out of memory");
    return false;
  }
  return dtls_context_open(&handshakes->context, fault, room);
}

static void free_ended(struct dtls_handshakes *handshakes) {
  while (handshakes->ended != NULL) {
    struct dtls_handshake *handshake = handshakes->ended;
    handshakes->ended = handshake->older;
    free(handshake);
  }
}

void dtls_handshakes_tick(struct dtls_handshakes *handshakes, uint64_t now_ms) {
  handshakes->now_ms = now_ms;
  free_ended(handshakes);
  if (now_ms - handshakes->told_since_ms >= 1000) {
    handshakes->told_since_ms = now_ms;
    handshakes->failures_told = 0;
  }
  for (struct dtls_handshake *handshake = handshakes->newest; handshake != NULL;) {
    struct dtls_handshake *next = handshake->older;
    if (now_ms >= handshake->deadline_ms) {
      end(handshake, "dtls-timeout");
    } else if (now_ms >= handshake->timer_ms) {
      if (SSL_ctrl(handshake->ssl, DTLS_CTRL_HANDLE_TIMEOUT, 0, NULL) < 0) end(handshake, "dtls-timeout");
      else set_timer(handshake);
    }
    handshake = next;
  }
}

void dtls_handshakes_close(struct dtls_handshakes *handshakes) {
  while (handshakes->newest != NULL) end(handshakes->newest, NULL);
  free_ended(handshakes);
  dtls_context_close(&handshakes->context);
  free(handshakes->received);
  handshakes->received = NULL;
}
