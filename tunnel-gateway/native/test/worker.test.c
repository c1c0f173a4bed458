// sources: wire.c mailbox.c large-pages.c worker.c worker-mail.c session.c session-timers.c tls-transport.c early-drop.c dtls-transport.c mtu-search.c up-path.c up-frame.c flow-log.c pace.c drain.c down-path.c cstp.c rate-limit.c tun.c endpoint.c address.c packet.c checksum.c segment.c coalesce.c mss-clamp.c too-big.c policy.c flow-table.c flow-entry.c ../test/worker-client.c ../test/worker-scene.c ../test/worker-dtls-cases.c ../test/worker-stream-cases.c
// libraries: ssl crypto
/*
 * worker.test.c: a packet thread with a real TUN in a network namespace of its own, and clients that speak CSTP over libssl.
 * Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bytes.h"
#include "cases.h"
#include "checksum.h"
#include "worker-scene.h"

static void packets_go_both_ways(void) {
  struct client *client = open_client(1, 3);
  uint64_t up = timed(LATENCY_UP), down = timed(LATENCY_DOWN);
  for (uint16_t sequence = 0; sequence < 50; sequence++) ping_over(client, client, 3, sequence, sequence * 20u);
  client_send(client, CSTP_DATA, packet, echo_request_v6(packet, "fd77::103", "fd77::fe", 1));
  CHECK(client_receive(client, &frame_type, payload, &payload_length));
  CHECK(payload_length == 56 && payload[40] == 129);
  struct session_counters sessions[2];
  CHECK(worker_sessions(0, sessions, 2) == 1);
  CHECK(sessions[0].id == 1 && sessions[0].packets_up == 51 && sessions[0].packets_down == 51 && sessions[0].has_tls);
  UNTIL(timed(LATENCY_UP) == up + 51 && timed(LATENCY_DOWN) == down + 51);
  close_client(client, 1);
  CHECK(find_event(EVENT_SESSION_CLOSED, 1)->numbers[0] == 51);
}

static void frames_need_not_be_records(void) {
  struct client *client = open_client(2, 3);
  uint8_t bytes[4096];
  size_t each = echo_request(bytes + 8, FIRST + 3, GATEWAY, 7, 100);
  cstp_write_header(bytes, CSTP_DATA, each);
  for (size_t at = 0; at < each + 8; at++) client_write(client, bytes + at, 1);
  CHECK(client_receive(client, &frame_type, payload, &payload_length) && payload_length == each);
  size_t whole = each + 8;
  for (int copy = 1; copy < 8; copy++) memcpy(bytes + (size_t)copy * whole, bytes, whole);
  client_write(client, bytes, whole * 8 - 5);
  for (int copy = 0; copy < 7; copy++) CHECK(client_receive(client, &frame_type, payload, &payload_length) && payload_length == each);
  client_write(client, bytes + whole * 8 - 5, 5);
  CHECK(client_receive(client, &frame_type, payload, &payload_length) && payload_length == each);
  close_client(client, 2);
}

static void what_came_with_the_handover_is_read(void) {
  struct session_options opened = options(3, 3);
  uint8_t bytes[4096];
  worker_open_session(0, &opened);
  size_t each = echo_request(bytes + 8, FIRST + 3, GATEWAY, 7, 100);
  cstp_write_header(bytes, CSTP_DATA, each);
  struct client *client = client_connect_tls(3, bytes, each + 8);
  CHECK(client_receive(client, &frame_type, payload, &payload_length) && payload_length == each);
  close_client(client, 3);
}

static void spoofed_packets_are_dropped(void) {
  struct client *client = open_client(4, 3);
  uint64_t up = timed(LATENCY_UP);
  uint64_t spoofed = counter(COUNT_DROPPED_SPOOFED), malformed = counter(COUNT_DROPPED_MALFORMED);
  client_send(client, CSTP_DATA, packet, echo_request(packet, FIRST + 4, GATEWAY, 1, 10));
  client_send(client, CSTP_DATA, packet, echo_request_v6(packet, "fd77::104", "fd77::fe", 1));
  client_send(client, CSTP_DATA, packet, echo_request_v6(packet, "fe80::1", "ff02::2", 1));
  memset(packet, 0xff, 100);
  client_send(client, CSTP_DATA, packet, 100);
  client_send(client, CSTP_DATA, packet, 0);
  client_send(client, CSTP_COMPRESSED, packet, 10);
  ping(client, 3, 2);
  CHECK(counter(COUNT_DROPPED_SPOOFED) == spoofed + 2);
  CHECK(counter(COUNT_DROPPED_MALFORMED) == malformed + 3);
  UNTIL(timed(LATENCY_UP) == up + 1);
  close_client(client, 4);
}

static void denied_destinations_are_told_a_few_times(void) {
  struct client *client = open_client(5, 3);
  uint64_t denied = counter(COUNT_DROPPED_DENIED);
  for (uint16_t sequence = 0; sequence < 100; sequence++)
    client_send(client, CSTP_DATA, packet, echo_request(packet, FIRST + 3, DENIED, sequence, 10));
  ping(client, 3, 2);
  CHECK(counter(COUNT_DROPPED_DENIED) == denied + 100);
  CHECK(count_events(EVENT_SESSION_DENIED, 5) <= 10);
  struct event *event = find_event(EVENT_SESSION_DENIED, 5);
  CHECK(event->numbers[0] == 1 && event->numbers[1] == 1 && strcmp(event->text, "10.77.0.253") == 0);
  close_client(client, 5);
}

/* Each id is a flow. */
static void send_echo_of(struct client *client, uint16_t id, uint16_t sequence) {
  size_t length = echo_request(packet, FIRST + 3, GATEWAY, sequence, 10);
  put16(packet + 24, id);
  put16(packet + 22, 0);
  checksum_store(packet + 22, checksum_add(packet + 20, length - 20, 0));
  client_send(client, CSTP_DATA, packet, length);
}

static void what_is_let_through_is_told_where_asked_for(void) {
  struct client *client = open_client(40, 3);
  ping(client, 3, 1);
  struct session_options changed = options(40, 3);
  changed.logs_flows = true;
  worker_change_session(0, &changed);
  uint16_t id = 0;
  UNTIL((send_echo_of(client, ++id, 1), find_event(EVENT_SESSION_FLOW, 40) != NULL));
  struct event *event = find_event(EVENT_SESSION_FLOW, 40);
  CHECK(event->numbers[0] == 2 && event->numbers[1] == 1 && event->numbers[3] == 0 && strcmp(event->text, "10.77.0.254") == 0);
  int told = count_events(EVENT_SESSION_FLOW, 40);
  for (uint16_t sequence = 2; sequence < 7; sequence++) send_echo_of(client, id, sequence);
  client_send(client, CSTP_DATA, packet, echo_request_v6(packet, "fd77::103", "fd77::fe", 1));
  UNTIL(strcmp(find_event(EVENT_SESSION_FLOW, 40)->text, "fd77::fe") == 0);
  CHECK(count_events(EVENT_SESSION_FLOW, 40) <= told + 2); /* the last id's, which may have been on its way, and this one's */
  close_client(client, 40);
}

static void nobody_fills_the_log_with_flows(void) {
  struct session_options opened = options(41, 3);
  opened.logs_flows = true;
  worker_open_session(0, &opened);
  struct client *client = client_connect_tls(41, NULL, 0);
  uint64_t untold = counter(COUNT_FLOWS_UNTOLD);
  uint16_t id = 0;
  UNTIL(({ for (int more = 0; more < 200; more++) send_echo_of(client, ++id, 1); counter(COUNT_FLOWS_UNTOLD) > untold; }));
  UNTIL((send_echo_of(client, ++id, 1), find_event(EVENT_SESSION_FLOW, 41)->numbers[3] > 0));
  CHECK(find_event(EVENT_SESSION_FLOW, 41)->numbers[3] <= (double)(counter(COUNT_FLOWS_UNTOLD) - untold));
  close_client(client, 41);
}

static void a_frame_over_the_limit_ends_the_transport(void) {
  struct client *client = open_client(6, 3);
  uint8_t header[8];
  cstp_write_header(header, CSTP_DATA, CSTP_PAYLOAD_AT_MOST + 1);
  client_write(client, header, 8);
  UNTIL(find_event(EVENT_SESSION_TLS_DOWN, 6) != NULL);
  CHECK(!client_receive(client, &frame_type, payload, &payload_length));
  client_free(client);
  client = client_connect_tls(6, NULL, 0);
  ping(client, 3, 1);
  close_client(client, 6);
}

static void control_frames(void) {
  struct client *client = open_client(7, 3);
  uint64_t down = timed(LATENCY_DOWN);
  memset(packet, 0x33, 1000);
  client_send(client, CSTP_DPD_REQUEST, packet, 1000);
  CHECK(client_receive(client, &frame_type, payload, &payload_length));
  CHECK(frame_type == CSTP_DPD_RESPONSE && payload_length == 1000 && memcmp(payload, packet, 1000) == 0);
  client_send(client, CSTP_KEEPALIVE, NULL, 0);
  client_send(client, CSTP_DISCONNECT, (const uint8_t *)"\xb0user", 5);
  client_send(client, CSTP_DISCONNECT, (const uint8_t *)"\xb0user", 5);
  ping(client, 3, 1);
  UNTIL(timed(LATENCY_DOWN) == down + 1);
  struct event *event = find_event(EVENT_SESSION_DISCONNECTED, 7);
  CHECK(event != NULL && event->numbers[0] == 0xb0 && event->length == 5 && memcmp(event->bytes, "\xb0user", 5) == 0);
  CHECK(count_events(EVENT_SESSION_DISCONNECTED, 7) == 1);
  worker_close_session(0, 7, CSTP_DISCONNECT, "session ended");
  CHECK(client_receive(client, &frame_type, payload, &payload_length) && frame_type == CSTP_DISCONNECT);
  CHECK(payload_length == 13 && memcmp(payload, "session ended", 13) == 0);
  CHECK(!client_receive(client, &frame_type, payload, &payload_length));
  client_free(client);
}

static void keys_may_be_updated(void) {
  struct client *client = open_client(12, 3);
  for (uint16_t sequence = 0; sequence < 20; sequence++) {
    CHECK(SSL_key_update(client->ssl, sequence % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
    ping(client, 3, sequence);
  }
  close_client(client, 12);
}

static void a_second_connection_replaces_the_first(void) {
  struct client *first = open_client(8, 3);
  ping(first, 3, 1);
  struct client *second = client_connect_tls(8, NULL, 0);
  ping(second, 3, 2);
  CHECK(!client_receive(first, &frame_type, payload, &payload_length));
  client_free(first);
  close_client(second, 8);
}

static void a_client_that_leaves_keeps_its_session(void) {
  struct client *client = open_client(9, 3);
  ping(client, 3, 1);
  client_free(client);
  UNTIL(find_event(EVENT_SESSION_TLS_DOWN, 9) != NULL);
  client = client_connect_tls(9, NULL, 0);
  ping(client, 3, 2);
  close_client(client, 9);
}

static void a_client_that_does_not_read_holds_little(void) {
  struct client *client = open_client(10, 3);
  int fd = udp_socket();
  uint8_t bytes[1200] = {1};
  client_send(client, CSTP_DATA, packet, udp_packet(packet, 3));
  CHECK(recv(fd, bytes, sizeof bytes, 0) == 0);
  while (counter(COUNT_DROPPED_BACKLOG) < 1000) send_udp(fd, 3, bytes, sizeof bytes);
  close(fd);
  size_t frames = 0;
  /* The answer is dropped, too, until the client has read enough. */
  for (payload_length = 1228; payload_length == 1228;) {
    client_send(client, CSTP_DATA, packet, echo_request(packet, FIRST + 3, GATEWAY, 77, 56));
    pause_ms(2);
    while (client_poll(client, &frame_type, payload, &payload_length) && payload_length == 1228) frames++;
  }
  printf("  %zu frames were kept\n", frames);
  /* What waited for the client to read is not this side's. */
  CHECK(timed(LATENCY_DOWN) + 100 < counter(COUNT_PACKETS_DOWN));
  CHECK(frames > 400 && frames < 2000);
  close_client(client, 10);
}

static void packets_over_the_mtu_are_answered_or_fragmented(void) {
  struct client *client = open_client(11, 3);
  int fd = udp_socket();
  uint8_t bytes[1450] = {1};
  client_send(client, CSTP_DATA, packet, udp_packet(packet, 3));
  CHECK(recv(fd, bytes, sizeof bytes, 0) == 0);
  int discover = IP_PMTUDISC_DO, never = IP_PMTUDISC_DONT;
  setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof discover);
  uint64_t answered = counter(COUNT_TOO_BIG_ANSWERED);
  send_udp(fd, 3, bytes, sizeof bytes);
  UNTIL(counter(COUNT_TOO_BIG_ANSWERED) == answered + 1);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(FIRST + 3), .sin_port = htons(6000)};
  CHECK(sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno == EMSGSIZE);
  close(fd);
  fd = udp_socket();
  CHECK(system("ip route flush cache; ip route replace 10.77.0.4/32 dev d0 mtu lock 1500") == 0);
  setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &never, sizeof never);
  send_udp(fd, 3, bytes, sizeof bytes);
  size_t whole = 0;
  for (int part = 0; part < 2; part++) {
    CHECK(client_receive(client, &frame_type, payload, &payload_length) && payload_length <= 1400);
    whole += payload_length - 20;
  }
  CHECK(whole == 1458);
  close(fd);
  CHECK(system("ip route del 10.77.0.4/32 dev d0") == 0);
  close_client(client, 11);
}
int main(void) {
  signal(SIGPIPE, SIG_IGN);
  scene_start();
  RUN(packets_go_both_ways);
  RUN(frames_need_not_be_records);
  RUN(what_came_with_the_handover_is_read);
  RUN(spoofed_packets_are_dropped);
  RUN(denied_destinations_are_told_a_few_times);
  RUN(what_is_let_through_is_told_where_asked_for);
  RUN(nobody_fills_the_log_with_flows);
  RUN(a_frame_over_the_limit_ends_the_transport);
  RUN(control_frames);
  RUN(keys_may_be_updated);
  RUN(a_second_connection_replaces_the_first);
  RUN(a_client_that_leaves_keeps_its_session);
  RUN(a_client_that_does_not_read_holds_little);
  RUN(packets_over_the_mtu_are_answered_or_fragmented);
  dtls_cases();
  stream_cases();
  workers_stop(CSTP_TERMINATE, "stop");
  printf("ok\n");
  return 0;
}
