/*
 * Before TLS: what stands in a connection's first bytes decides who serves it. They are looked at in the kernel's buffer and left
 * there, so that Node, where it is to serve the socket, finds them untouched.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include "front-thread.h"
#include "proxy-protocol.h"

/* How many bytes lie there; negative where the connection has gone or there is nothing to do. */
static ssize_t look(struct connection *connection, size_t room) {
  ssize_t length = recv(connection->fd, connection->front->received, room, MSG_PEEK);
  if (length > 0) return length;
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
  connection_fail(connection, "closed", length == 0 ? NULL : strerror(errno));
  return -1;
}

/* Sleeps until `needed` bytes are there, not until the next one: a client that sends byte by byte costs little. */
static void await_bytes(struct connection *connection, uint32_t events, size_t needed) {
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) return connection_fail(connection, "closed", NULL);
  int least = (int)needed;
  setsockopt(connection->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

static void await_any(struct connection *connection) {
  int least = 1;
  setsockopt(connection->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* True when the header has been taken off and the client behind it has a place. */
static bool take_proxy_header(struct connection *connection, uint32_t events) {
  uint8_t *bytes = connection->front->received;
  ssize_t length = look(connection, PROXY_V2_BYTES_AT_MOST);
  if (length < 0) return false;
  struct proxy_header header;
  size_t needed;
  switch (proxy_header_read(bytes, (size_t)length, &header, &needed)) {
    case PARSE_SHORT:
      await_bytes(connection, events, needed);
      return false;
    case PARSE_MALFORMED:
      connection_fail(connection, "proxy-header", NULL);
      return false;
    case PARSE_WHOLE:
      break;
  }
  if (recv(connection->fd, bytes, header.length, 0) != (ssize_t)header.length) {
    connection_fail(connection, "internal", "a header that was seen cannot be read");
    return false;
  }
  if (header.has_addresses) {
    connection->peer = header.source;
    connection->local = header.destination;
  }
  connection->is_counted = admission_count(&connection->front->admission, connection->peer.address);
  if (!connection->is_counted) {
    connection_fail(connection, "too-many", NULL);
    return false;
  }
  connection->stage = STAGE_CLIENT_HELLO;
  await_any(connection);
  return true;
}

/* Browsers offer h2 too, and come for the pages of a login: only a name tells the relay's clients from them. */
static bool is_for_node(const struct connection *connection) {
  const struct front_options *options = &connection->front->options;
  if (options->has_http2_relay && connection->hello.has_http2) return true;
  if (connection->hello.server_name[0] == '\0') return false;
  for (size_t i = 0; i < RELAY_NAMES_AT_MOST && options->relay_names[i][0] != '\0'; i++)
    if (strcmp(options->relay_names[i], connection->hello.server_name) == 0) return true;
  return false;
}

static void hand_to_node(struct connection *connection) {
  struct event *event = event_new(EVENT_SOCKET_HANDED, 0, 0);
  if (event == NULL) return connection_fail(connection, "internal", "out of memory");
  char peer[ADDRESS_TEXT_BYTES], local[ADDRESS_TEXT_BYTES];
  address_text(connection->peer.address, peer);
  address_text(connection->local.address, local);
  snprintf(event->text, sizeof event->text, "%s\n%s", peer, local);
  epoll_ctl(connection->front->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
  event->numbers[0] = connection->fd;
  event->numbers[1] = connection->peer.port;
  event->numbers[2] = connection->local.port;
  connection->fd = -1;
  front_count(connection->front, COUNT_HANDED);
  connection_free(connection);
  events_emit(event);
}

void connection_peek(struct connection *connection, uint32_t events) {
  if (connection->stage == STAGE_PROXY_HEADER && !take_proxy_header(connection, events)) return;
  ssize_t length = look(connection, CLIENT_HELLO_BYTES_AT_MOST);
  if (length < 0) return;
  size_t needed;
  switch (client_hello_read(connection->front->received, (size_t)length, &connection->hello, &needed)) {
    case PARSE_SHORT:
      return await_bytes(connection, events, needed);
    case PARSE_MALFORMED:
      return connection_fail(connection, "client-hello", NULL);
    case PARSE_WHOLE:
      break;
  }
  await_any(connection);
  if (is_for_node(connection)) return hand_to_node(connection);
  if (connection_start_tls(connection)) connection_receive(connection);
}
