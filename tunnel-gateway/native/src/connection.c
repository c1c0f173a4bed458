#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "front-thread.h"

static void tell_failure(struct front *front, const struct ip_endpoint *peer, const char *reason, const char *detail) {
  char address[ADDRESS_TEXT_BYTES];
  address_text(peer->address, address);
  struct event *event = event_new(EVENT_HANDSHAKE_FAILED, 0, 0);
  if (event == NULL) return;
  event->numbers[0] = peer->port;
  snprintf(event->text, sizeof event->text, "%s\n%s\n%s", address, reason, detail == NULL ? "" : detail);
  events_emit(event);
  front_count(front, strcmp(reason, "too-many") == 0 ? COUNT_TOO_MANY : COUNT_HANDSHAKES_FAILED);
}

static void count_pending(struct front *front) {
  atomic_store_explicit(&front->counters[COUNT_PENDING], front->admission.pending, memory_order_relaxed);
}

static void reset(int fd) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

static bool is_proxy(const struct front *front, const struct ip_endpoint *peer) {
  for (size_t i = 0; i < front->options.proxies_count; i++)
    if (network_contains(&front->options.proxies[i], peer->address)) return true;
  return false;
}

/* What a connection that is ENDING still does: sends the rest, then waits for the peer's end. */
static void linger(struct connection *connection, uint32_t events) {
  uint8_t *scratch = connection->front->received;
  if (events & (EPOLLERR | EPOLLHUP)) return connection_free(connection);
  ssize_t received = (events & EPOLLIN) ? recv(connection->fd, scratch, RECEIVE_BYTES, 0) : 1;
  bool has_peer_ended = received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR);
  if (has_peer_ended && connection->unsent.length == 0) return connection_free(connection);
  /* Ended, but takes what is left: its end would be ready to be read for ever. */
  connection->is_paused = has_peer_ended;
  if (has_peer_ended || (events & EPOLLOUT)) connection_flush(connection);
}

static void on_ready(struct pollable *self, uint32_t events) {
  struct connection *connection = (struct connection *)self;
  switch (connection->stage) {
    case STAGE_PROXY_HEADER:
    case STAGE_CLIENT_HELLO:
      return connection_peek(connection, events);
    case STAGE_HANDSHAKE:
    case STAGE_OPEN:
      if ((events & EPOLLOUT) && !connection_flush(connection)) return;
      /* Watched by level: what is left in the kernel's buffer now is there in the next turn. */
      if ((events & ~EPOLLOUT) && !front_is_ahead()) connection_receive(connection);
      return;
    case STAGE_ENDING:
      return linger(connection, events);
  }
}

static uint32_t next_id(struct front *front) {
  do front->last_id++;
  while (front->last_id == 0 || connection_find(front, front->last_id) != NULL);
  return front->last_id;
}

static void link_in(struct front *front, struct connection *connection) {
  connection->id = next_id(front);
  connection->link = &front->connections[connection->id % CONNECTION_BUCKETS];
  connection->next = *connection->link;
  if (connection->next != NULL) connection->next->link = &connection->next;
  *connection->link = connection;
}

static void displace(struct connection *connection) {
  if (connection->stage != STAGE_OPEN) return connection_fail(connection, "too-many", NULL);
  connection_tell_closed(connection, "made way for others", false);
  connection_end(connection, false);
}

static bool is_older(const struct connection *one, const struct connection *other) {
  return other == NULL || one->accepted_ms < other->accepted_ms;
}

/*
 * Where everything is full, the oldest connection of the address that has most of them makes way for one that has fewer: a few
 * addresses, each within its own limit, would otherwise keep out all the world. So would many that sit still, wherefore the oldest of
 * all makes way once it has had the time of a handshake.
 */
static bool make_way_for(struct front *front, const struct ip_endpoint *peer) {
  uint8_t network[16];
  bool is_greedy = admission_most(&front->admission, network) > admission_of(&front->admission, peer->address) + 1;
  struct connection *oldest = NULL;
  for (size_t i = 0; i < CONNECTION_BUCKETS; i++) {
    for (struct connection *each = front->connections[i]; each != NULL; each = each->next) {
      bool may_go = is_greedy ? each->is_counted && admission_is_of(network, each->peer.address) : each->is_admitted;
      if (may_go && is_older(each, oldest)) oldest = each;
    }
  }
  uint64_t fair_ms = is_greedy ? 0 : (uint64_t)front->options.handshake_seconds * 1000;
  if (oldest == NULL || front->now_ms < oldest->accepted_ms + fair_ms) return false;
  displace(oldest);
  return true;
}

void connection_accept(struct front *front, int fd, const struct sockaddr_storage *peer_address) {
  struct ip_endpoint peer;
  front_count(front, COUNT_ACCEPTED);
  if (!ip_endpoint_of_socket(peer_address, &peer)) return (void)close(fd);
  if (!admission_enter(&front->admission) && !(make_way_for(front, &peer) && admission_enter(&front->admission))) {
    tell_failure(front, &peer, "too-many", NULL);
    return reset(fd);
  }
  bool has_header = is_proxy(front, &peer);
  if (!has_header && !admission_count(&front->admission, peer.address)) {
    admission_leave(&front->admission);
    tell_failure(front, &peer, "too-many", NULL);
    return reset(fd);
  }
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) {
    if (!has_header) admission_discount(&front->admission, peer.address);
    admission_leave(&front->admission);
    return reset(fd);
  }
  connection->pollable.ready = on_ready;
  connection->front = front;
  connection->stage = has_header ? STAGE_PROXY_HEADER : STAGE_CLIENT_HELLO;
  connection->fd = fd;
  connection->peer = peer;
  connection->is_admitted = true;
  connection->is_counted = !has_header;
  connection->accepted_ms = front->now_ms;
  connection->deadline_ms = front->now_ms + (uint64_t)front->options.handshake_seconds * 1000;
  link_in(front, connection);
  count_pending(front);

  struct sockaddr_storage local;
  socklen_t length = sizeof local;
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (getsockname(fd, (struct sockaddr *)&local, &length) < 0 || !ip_endpoint_of_socket(&local, &connection->local))
    return connection_free(connection);
  /* By edges, as bytes that are only looked at stay ready to be read. */
  connection->watched = EPOLLIN | EPOLLRDHUP | EPOLLET;
  struct epoll_event event = {.events = connection->watched, .data.ptr = connection};
  if (epoll_ctl(front->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) connection_fail(connection, "internal", strerror(errno));
}

struct connection *connection_find(struct front *front, uint32_t id) {
  struct connection *connection = front->connections[id % CONNECTION_BUCKETS];
  while (connection != NULL && connection->id != id) connection = connection->next;
  return connection;
}

void connection_watch(struct connection *connection, uint32_t events) {
  if (connection->watched == events) return;
  connection->watched = events;
  struct epoll_event event = {.events = events, .data.ptr = connection};
  epoll_ctl(connection->front->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

static void time_out(struct connection *connection) {
  switch (connection->stage) {
    case STAGE_PROXY_HEADER:
    case STAGE_CLIENT_HELLO:
    case STAGE_HANDSHAKE:
      return connection_fail(connection, "timeout", NULL);
    case STAGE_OPEN:
      return connection_lose(connection, "silent for 5 minutes", false);
    case STAGE_ENDING:
      /* What the kernel has taken it goes on sending; what it never took is lost, and the client shall see that. */
      return connection->unsent.length == 0 ? connection_free(connection) : connection_end(connection, false);
  }
}

static void for_each(struct front *front, void (*act)(struct connection *)) {
  for (size_t i = 0; i < CONNECTION_BUCKETS; i++) {
    for (struct connection *connection = front->connections[i]; connection != NULL;) {
      struct connection *next = connection->next;
      act(connection);
      connection = next;
    }
  }
}

static void time_out_if_due(struct connection *connection) {
  if (connection->front->now_ms >= connection->deadline_ms) time_out(connection);
}

void connections_tick(struct front *front) { for_each(front, time_out_if_due); }

void connections_close(struct front *front) { for_each(front, connection_free); }

void connection_fail(struct connection *connection, const char *reason, const char *detail) {
  tell_failure(connection->front, &connection->peer, reason, detail);
  /* An alert, where libssl has written one; whether it arrives matters little. */
  if (connection->unsent.length > 0) {
    const uint8_t *alert = connection->unsent.bytes + connection->unsent.start;
    if (send(connection->fd, alert, connection->unsent.length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) connection->unsent.length = 0;
  }
  bool is_hard = strcmp(reason, "too-many") == 0;
  if (is_hard) connection_end(connection, false);
  else connection_free(connection);
}

void connection_tell_closed(const struct connection *connection, const char *reason, bool is_complete) {
  struct event *event = event_new(EVENT_CONNECTION_CLOSED, connection->id, 0);
  if (event == NULL) return;
  event->numbers[0] = is_complete;
  snprintf(event->text, sizeof event->text, "%s", reason);
  events_emit(event);
}

void connection_lose(struct connection *connection, const char *reason, bool is_complete) {
  connection_tell_closed(connection, reason, is_complete);
  connection_end(connection, true);
}

void connection_leave_admission(struct connection *connection) {
  struct admission *admission = &connection->front->admission;
  if (connection->is_counted) admission_discount(admission, connection->peer.address);
  if (connection->is_admitted) admission_leave(admission);
  connection->is_counted = connection->is_admitted = false;
  count_pending(connection->front);
}

void connection_end(struct connection *connection, bool is_clean) {
  if (!is_clean || connection->stage != STAGE_OPEN) {
    int fd = connection->fd;
    connection->fd = -1;
    reset(fd);
    return connection_free(connection);
  }
  connection->stage = STAGE_ENDING;
  connection->is_paused = false;
  connection->deadline_ms = connection->front->now_ms + STALLED_MS;
  connection->wire->in_left = 0;
  ERR_clear_error();
  SSL_shutdown(connection->ssl);
  /* The keys are of no use any more. */
  SSL_free(connection->ssl);
  connection->ssl = NULL;
  ERR_clear_error();
  connection_flush(connection);
}

void connection_free(struct connection *connection) {
  if (connection->fd >= 0) close(connection->fd);
  SSL_free(connection->ssl);
  free(connection->wire);
  byte_queue_free(&connection->unsent);
  *connection->link = connection->next;
  if (connection->next != NULL) connection->next->link = connection->link;
  connection_leave_admission(connection);
  OPENSSL_cleanse(connection, sizeof *connection);
  free(connection);
}
