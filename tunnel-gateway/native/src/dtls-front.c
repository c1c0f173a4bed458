#include "dtls-front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "dtls-cookie.h"
#include "dtls-handshakes.h"
#include "dtls-socket.h"

/* Times that a full batch is taken before others have their turn. */
#define BATCHES_PER_WAKE 8

struct dtls_front {
  struct pollable pollable;
  int fd;
  int epoll_fd;
  union endpoint address;
  struct dtls_offers *offers;
  struct dtls_cookies cookies;
  struct dtls_handshakes handshakes;
  struct datagrams *received;
  uint64_t now_ms;
  uint32_t hellos_left; /* of this moment; refilled by the tick */
  uint64_t counters[DTLS_COUNTERS];
};

static void refill(struct dtls_front *front, uint64_t elapsed_ms) {
  if (elapsed_ms > 1000) elapsed_ms = 1000;
  uint64_t left = front->hellos_left + elapsed_ms * DTLS_HELLOS_PER_SECOND / 1000;
  front->hellos_left = left > DTLS_HELLOS_PER_SECOND ? DTLS_HELLOS_PER_SECOND : (uint32_t)left;
}

static bool admit(struct dtls_front *front, const struct dtls_offer *offer) {
  bool is_admitted = front->hellos_left > 0 && dtls_offers_admit(front->offers, offer, front->now_ms);
  if (is_admitted) front->hellos_left--;
  else dtls_count(front->counters, DTLS_LIMITED);
  return is_admitted;
}

static void answer_with_cookie(struct dtls_front *front, const struct datagram *datagram, const struct dtls_hello *hello) {
  uint8_t cookie[DTLS_COOKIE_BYTES], answer[HELLO_VERIFY_BYTES];
  if (!dtls_cookie_make(&front->cookies, &datagram->peer, hello, cookie)) return;
  dtls_hello_verify_request(hello, cookie, answer);
  dtls_count(front->counters, DTLS_VERIFIES);
  dtls_socket_answer(front->fd, datagram, answer, sizeof answer);
}

static void take_datagram(void *owner, const struct datagram *datagram) {
  struct dtls_front *front = owner;
  struct dtls_hello hello;
  dtls_count(front->counters, DTLS_DATAGRAMS);
  if (!dtls_hello_parse(datagram->bytes, datagram->length, &hello)) {
    dtls_count(front->counters, DTLS_MALFORMED);
    return;
  }
  const struct dtls_offer *offer = hello.id == NULL ? NULL : dtls_offers_find(front->offers, hello.id);
  if (offer == NULL) {
    dtls_count(front->counters, DTLS_UNKNOWN);
    return;
  }
  if (!admit(front, offer)) return;
  if (hello.cookie_length == 0) {
    answer_with_cookie(front, datagram, &hello);
    return;
  }
  /* The message that answers our request is the client's second; libssl goes on from there and from nowhere else. */
  if (hello.message_sequence == 1 && dtls_cookie_is_good(&front->cookies, &datagram->peer, &hello))
    dtls_handshakes_begin(&front->handshakes, datagram, front->offers, offer);
  else dtls_count(front->counters, DTLS_BAD_COOKIES);
}

static void on_ready(struct pollable *pollable, uint32_t events) {
  (void)events;
  struct dtls_front *front = (struct dtls_front *)pollable;
  for (unsigned batch = 0; batch < BATCHES_PER_WAKE; batch++) {
    if (!dtls_socket_receive(front->fd, &front->address, front->received, DTLS_DATAGRAMS_AT_ONCE)) return;
    for (unsigned i = 0; i < front->received->count; i++) take_datagram(front, &front->received->each[i]);
  }
}

static bool listen_on(struct dtls_front *front, char *fault, size_t room) {
  char text[ENDPOINT_TEXT_BYTES];
  front->fd = dtls_socket_listen(&front->address);
  socklen_t length = sizeof front->address;
  struct epoll_event interest = {.events = EPOLLIN, .data.ptr = &front->pollable};
  if (front->fd >= 0 && getsockname(front->fd, &front->address.any, &length) == 0 &&
      epoll_ctl(front->epoll_fd, EPOLL_CTL_ADD, front->fd, &interest) == 0)
    return true;
  snprintf(fault, room, "cannot hear on UDP %s port %u: %s", endpoint_text(&front->address, text),
           endpoint_port(&front->address), strerror(errno));
  return false;
}

struct dtls_front *dtls_front_open(const struct sockaddr *address, socklen_t length, int epoll_fd, char *fault,
                                   size_t room) {
  struct dtls_front *front = calloc(1, sizeof *front);
  struct datagrams *received = calloc(1, sizeof *received);
  struct dtls_offers *offers = dtls_offers_open(DTLS_OFFERS_AT_MOST);
  if (front == NULL || received == NULL || offers == NULL) {
    snprintf(fault, room, "out of memory");
    free(front);
    free(received);
    dtls_offers_close(offers);
    return NULL;
  }
  *front = (struct dtls_front){.pollable.ready = on_ready,
                               .fd = -1,
                               .epoll_fd = epoll_fd,
                               .offers = offers,
                               .received = received,
                               .hellos_left = DTLS_HELLOS_PER_SECOND,
                               .handshakes = {.epoll_fd = epoll_fd, .stray = take_datagram}};
  front->handshakes.owner = front;
  front->handshakes.counters = front->counters;
  if (!endpoint_from(&front->address, address, length))
    snprintf(fault, room, "UDP needs an address of IPv4 or IPv6");
  else if (!dtls_cookies_open(&front->cookies)) snprintf(fault, room, "the system gives no randomness");
  else if (dtls_handshakes_open(&front->handshakes, fault, room) && listen_on(front, fault, room)) return front;
  dtls_front_close(front);
  return NULL;
}

void dtls_front_tick(struct dtls_front *front, uint64_t now_ms) {
  uint64_t elapsed_ms = now_ms - front->now_ms;
  front->now_ms = now_ms;
  refill(front, elapsed_ms);
  dtls_cookies_tick(&front->cookies, now_ms);
  dtls_handshakes_tick(&front->handshakes, now_ms);
}

void dtls_front_close(struct dtls_front *front) {
  if (front == NULL) return;
  dtls_handshakes_close(&front->handshakes);
  dtls_cookies_close(&front->cookies);
  dtls_offers_close(front->offers);
  if (front->fd >= 0) close(front->fd);
  free(front->received);
  free(front);
}

uint16_t dtls_front_port(const struct dtls_front *front) { return endpoint_port(&front->address); }

bool dtls_front_offer(struct dtls_front *front, const struct dtls_offer *offer) {
  return dtls_offers_put(front->offers, offer);
}

void dtls_front_forget(struct dtls_front *front, uint32_t session) { dtls_offers_forget(front->offers, session); }

void dtls_front_counters(const struct dtls_front *front, uint64_t counters[DTLS_COUNTERS]) {
  for (int i = 0; i < DTLS_COUNTERS; i++) counters[i] = __atomic_load_n(&front->counters[i], __ATOMIC_RELAXED);
}
