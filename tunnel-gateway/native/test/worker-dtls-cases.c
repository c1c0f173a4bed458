/* Cases of worker.test.c: DTLS beside TLS. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "cases.h"
#include "checksum.h"
#include "packet.h"
#include "worker-scene.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define FORGED_RECORDS 200
#define FORGED_BYTES 64

static struct client *open_dtls(uint32_t id) {
  struct client *client = client_connect_dtls(id);
  UNTIL(find_event(EVENT_SESSION_DTLS_UP, id) != NULL);
  return client;
}

static void packets_go_both_ways_over_dtls(void) {
  struct client *tls = open_client(20, 5);
  ping(tls, 5, 1);
  struct client *dtls = open_dtls(20);
  CHECK(strcmp(find_event(EVENT_SESSION_DTLS_UP, 20)->text, "127.0.0.1\nPSK-AES128-GCM-SHA256") == 0);
  for (uint16_t sequence = 0; sequence < 50; sequence++) ping_over(dtls, dtls, 5, sequence, sequence * 20u);
  client_free(dtls);
  close_client(tls, 20);
}

static void dpd_over_dtls_returns_the_whole_payload(void) {
  struct client *tls = open_client(21, 5), *dtls = open_dtls(21);
  memset(packet, 0x44, 1390);
  client_send(dtls, CSTP_DPD_REQUEST, packet, 1390);
  CHECK(client_receive(dtls, &frame_type, payload, &payload_length));
  CHECK(frame_type == CSTP_DPD_RESPONSE && payload_length == 1390 && memcmp(payload, packet, 1390) == 0);
  /* It has shown that DTLS works: what comes for the client takes it, too. */
  ping_over(tls, dtls, 5, 1, 10);
  client_free(dtls);
  close_client(tls, 21);
}

static void probe(struct client *dtls, size_t bytes) {
  memset(packet, 0x44, bytes);
  client_send(dtls, CSTP_DPD_REQUEST, packet, bytes);
  CHECK(client_receive(dtls, &frame_type, payload, &payload_length) && frame_type == CSTP_DPD_RESPONSE && payload_length == bytes);
}

/* The kernel, as sender, is told the MTU, and would not send a second one. */
static bool is_too_big(int fd, struct client *client, size_t whole) {
  static uint8_t bytes[1500];
  uint64_t answered = counter(COUNT_TOO_BIG_ANSWERED);
  CHECK(system("ip route flush cache") == 0);
  send_udp(fd, 5, bytes, whole - 28);
  bool is_there = false;
  UNTIL((is_there = client_poll(client, &frame_type, payload, &payload_length)) ||
        counter(COUNT_TOO_BIG_ANSWERED) > answered);
  CHECK(!is_there || (frame_type == CSTP_DATA && payload_length == whole));
  return !is_there;
}

static int open_flow(struct client *client) {
  uint8_t byte;
  int fd = udp_socket(), never_cut = IP_PMTUDISC_DO;
  CHECK(setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &never_cut, sizeof never_cut) == 0);
  client_send(client, CSTP_DATA, packet, udp_packet(packet, 5));
  CHECK(recv(fd, &byte, 1, 0) == 0);
  return fd;
}

static void what_a_client_finds_of_its_path_is_kept(void) {
  struct session_options of = options(30, 5);
  of.has_ipv6 = false;
  worker_open_session(0, &of);
  struct client *tls = client_connect_tls(30, NULL, 0), *dtls = open_dtls(30);
  int fd = open_flow(dtls);
  probe(dtls, 1005);
  probe(dtls, 1113);
  CHECK(!is_too_big(fd, dtls, 1400)); /* it may go on to larger ones */
  ping(dtls, 5, 1);
  CHECK(!is_too_big(fd, dtls, 1113));
  CHECK(is_too_big(fd, dtls, 1114));
  /* Those are of the way over DTLS alone. */
  struct client *next = open_dtls(30);
  client_free(dtls);
  CHECK(!is_too_big(fd, tls, 1400));
  /* Another DTLS connection knows nothing of it. */
  ping(next, 5, 2);
  CHECK(!is_too_big(fd, next, 1400));
  probe(next, 1200);
  ping(next, 5, 3);
  CHECK(is_too_big(fd, next, 1400));
  probe(next, 1390);
  CHECK(!is_too_big(fd, next, 1390));
  close(fd);
  client_free(next);
  close_client(tls, 30);
}

static void a_client_with_ipv6_keeps_what_ipv6_needs(void) {
  struct client *tls = open_client(31, 5), *dtls = open_dtls(31);
  int fd = open_flow(dtls);
  probe(dtls, 1005);
  ping(dtls, 5, 1);
  CHECK(!is_too_big(fd, dtls, 1280));
  CHECK(is_too_big(fd, dtls, 1281));
  close(fd);
  client_free(dtls);
  close_client(tls, 31);
}

static void replayed_and_forged_records_are_counted(void) {
  struct client *tls = open_client(22, 5), *dtls = open_dtls(22);
  uint8_t record[2048];
  uint64_t replayed = counter(COUNT_DROPPED_REPLAYED), forged = counter(COUNT_DROPPED_FORGED);
  size_t sealed = client_seal(dtls, record, CSTP_DATA, packet, echo_request(packet, FIRST + 5, GATEWAY, 1, 10));
  for (int time = 0; time < 3; time++) CHECK(send(dtls->fd, record, sealed, 0) == (ssize_t)sealed);
  CHECK(client_receive(dtls, &frame_type, payload, &payload_length) && payload[20] == 0);
  sealed = client_seal(dtls, record, CSTP_DATA, packet, echo_request(packet, FIRST + 5, GATEWAY, 2, 10));
  record[sealed - 1] ^= 1;
  CHECK(send(dtls->fd, record, sealed, 0) == (ssize_t)sealed);
  memset(record, 0, sizeof record);
  CHECK(send(dtls->fd, record, 5, 0) == 5 && send(dtls->fd, record, 0, 0) == 0 && send(dtls->fd, record, 1000, 0) == 1000);
  ping(dtls, 5, 3);
  CHECK(counter(COUNT_DROPPED_REPLAYED) == replayed + 2);
  CHECK(counter(COUNT_DROPPED_FORGED) == forged + 1);
  client_free(dtls);
  close_client(tls, 22);
}

static uint64_t receives_of(const struct client *dtls, struct mmsghdr messages[FORGED_RECORDS]) {
  uint64_t receives = counter(COUNT_UDP_RECEIVES), forged = counter(COUNT_DROPPED_FORGED);
  CHECK(sendmmsg(dtls->fd, messages, FORGED_RECORDS, 0) == FORGED_RECORDS);
  UNTIL(counter(COUNT_DROPPED_FORGED) == forged + FORGED_RECORDS);
  return counter(COUNT_UDP_RECEIVES) - receives;
}

/* Each received alone costs the thread many times what it costs to send, and the client's own get lost behind them. */
static void forged_records_are_received_together(void) {
  static uint8_t records[FORGED_RECORDS][FORGED_BYTES];
  static struct iovec parts[FORGED_RECORDS];
  static struct mmsghdr messages[FORGED_RECORDS];
  struct client *tls = open_client(32, 5), *dtls = open_dtls(32);
  for (unsigned number = 0; number < FORGED_RECORDS; number++) {
    const uint8_t header[] = {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 1, 0, (uint8_t)number, 0, FORGED_BYTES - 13};
    memcpy(records[number], header, sizeof header);
    parts[number] = (struct iovec){records[number], FORGED_BYTES};
    messages[number].msg_hdr = (struct msghdr){.msg_iov = &parts[number], .msg_iovlen = 1};
  }
  /* A sender that is interrupted may have some received alone, but not each time. */
  UNTIL(receives_of(dtls, messages) < FORGED_RECORDS / 2);
  ping(dtls, 5, 1);
  client_free(dtls);
  close_client(tls, 32);
}

static void tls_carries_on_where_udp_is_refused(void) {
  struct client *tls = open_client(23, 5), *dtls = open_dtls(23);
  ping(dtls, 5, 1);
  client_free(dtls);
  /* The first answer still goes to the closed port, and what is refused comes back. */
  uint64_t unreachable = counter(COUNT_DROPPED_UNREACHABLE);
  client_send(tls, CSTP_DATA, packet, echo_request(packet, FIRST + 5, GATEWAY, 9, 10));
  UNTIL(client_poll(tls, &frame_type, payload, &payload_length) || counter(COUNT_DROPPED_UNREACHABLE) > unreachable ||
        (client_send(tls, CSTP_DATA, packet, echo_request(packet, FIRST + 5, GATEWAY, 9, 10)), false));
  ping(tls, 5, 2);
  dtls = open_dtls(23);
  ping(dtls, 5, 3);
  client_free(dtls);
  close_client(tls, 23);
}

static void many_datagrams_leave_in_one_send(void) {
  struct client *tls = open_client(24, 5), *dtls = open_dtls(24);
  int fd = udp_socket();
  uint8_t bytes[1200] = {1};
  client_send(dtls, CSTP_DATA, packet, udp_packet(packet, 5));
  CHECK(recv(fd, bytes, sizeof bytes, 0) == 0);
  uint64_t sends = counter(COUNT_UDP_SENDS), packets = counter(COUNT_PACKETS_DOWN), down = timed(LATENCY_DOWN);
  for (int number = 0; number < 60; number++) send_udp(fd, 5, bytes, sizeof bytes);
  for (int number = 0; number < 60; number++)
    CHECK(client_receive(dtls, &frame_type, payload, &payload_length) && frame_type == CSTP_DATA && payload_length == 1228);
  UNTIL(counter(COUNT_PACKETS_DOWN) == packets + 60 && timed(LATENCY_DOWN) == down + 60);
  printf("  60 datagrams in %lu sends\n", (unsigned long)(counter(COUNT_UDP_SENDS) - sends));
  close(fd);
  client_free(dtls);
  close_client(tls, 24);
}

static void one_large_udp_write_is_cut_up(void) {
  struct client *tls = open_client(28, 5);
  int fd = udp_socket(), segment = 1200;
  static uint8_t bytes[12000];
  client_send(tls, CSTP_DATA, packet, udp_packet(packet, 5));
  CHECK(recv(fd, bytes, sizeof bytes, 0) == 0);
  CHECK(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0);
  uint64_t reads = counter(COUNT_TUN_READS);
  for (size_t at = 0; at < sizeof bytes; at++) bytes[at] = (uint8_t)(at / 1200);
  send_udp(fd, 5, bytes, sizeof bytes);
  for (int number = 0; number < 10; number++) {
    CHECK(client_receive(tls, &frame_type, payload, &payload_length) && payload_length == 1228 && payload[28] == number);
    struct packet view;
    CHECK(packet_read(payload, payload_length, &view) && view.destination_port == 6000);
    uint64_t sum = checksum_pseudo(4, view.source, view.destination, PROTOCOL_UDP, 1208);
    CHECK(checksum_fold(checksum_add(payload + 20, 1208, sum)) == 0xffff);
  }
  printf("  10 datagrams in %lu reads\n", (unsigned long)(counter(COUNT_TUN_READS) - reads));
  close(fd);
  close_client(tls, 28);
}

#define LONG_ENOUGH_US 300000 /* to count as alone, and be held back for some time */

/* Each in its place, but for those that were dropped to tell their sender. */
static void receive_in_order(struct client *client, uint64_t number, uint64_t dropped) {
  uint64_t received = 0;
  int last = -1;
  for (;;) {
    bool is_there = false;
    UNTIL((is_there = client_poll(client, &frame_type, payload, &payload_length)) ||
          received + counter(COUNT_DROPPED_BACKLOG) - dropped >= number);
    if (!is_there) return;
    CHECK(payload_length == 1228 && payload[28] > last && payload[1227] == payload[28]);
    last = payload[28];
    received++;
  }
}

/* Nothing answers for UDP: the client is let go again and again, in the midst of large packets. */
static void a_client_that_is_held_back_gets_all_in_the_end(void) {
  struct client *tls = open_client(29, 5), *dtls = open_dtls(29);
  int fd = udp_socket(), segment = 1200, room = 4 << 20;
  static uint8_t bytes[40 * 1200];
  CHECK(setsockopt(dtls->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) == 0);
  client_send(dtls, CSTP_DATA, packet, udp_packet(packet, 5));
  CHECK(recv(fd, bytes, sizeof bytes, 0) == 0);
  CHECK(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0);
  struct timespec began, now;
  clock_gettime(CLOCK_MONOTONIC, &began);
  long us = 0;
  while (us < LONG_ENOUGH_US) {
    uint64_t dropped = counter(COUNT_DROPPED_BACKLOG);
    for (int large = 0; large < 5; large++) {
      for (int at = 0; at < 40; at++) memset(bytes + at * 1200, large * 40 + at, 1200);
      send_udp(fd, 5, bytes, sizeof bytes);
    }
    receive_in_order(dtls, 200, dropped);
    clock_gettime(CLOCK_MONOTONIC, &now);
    us = (now.tv_sec - began.tv_sec) * 1000000 + (now.tv_nsec - began.tv_nsec) / 1000;
  }
  close(fd);
  client_free(dtls);
  close_client(tls, 29);
}

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* More than the client takes: packets wait in the TUN, one is half sent, and a send is kept sealed. */
static void flood(int fd, uint64_t for_us) {
  static uint8_t bytes[40 * 1200];
  for (uint64_t until_us = now_us() + for_us; now_us() < until_us;) send_udp(fd, 5, bytes, sizeof bytes);
}

enum leaving { LEAVES_WHOLLY, LEAVES_DTLS_FOR_ANOTHER, IS_REPLACED, COMES_ANEW_BY_TLS, LEAVINGS };

static void leave(enum leaving how, uint32_t id) {
  struct session_options next = options(id + LEAVINGS, 5);
  struct client *another = NULL;
  if (how == LEAVES_WHOLLY) worker_close_session(0, id, CSTP_TERMINATE, "bye");
  else if (how == IS_REPLACED) worker_open_session(0, &next);
  else another = how == COMES_ANEW_BY_TLS ? client_connect_tls(id, NULL, 0) : client_connect_dtls(id);
  if (another != NULL) client_free(another);
}

static void a_client_that_is_held_back_may_leave_as_it_likes(void) {
  int fd = udp_socket(), segment = 1200;
  uint8_t byte;
  for (uint32_t how = 0; how < LEAVINGS; how++) {
    uint32_t id = 60 + how;
    struct client *tls = open_client(id, 5), *dtls = open_dtls(id);
    client_send(dtls, CSTP_DATA, packet, udp_packet(packet, 5));
    CHECK(recv(fd, &byte, 1, 0) == 0);
    CHECK(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0);
    flood(fd, LONG_ENOUGH_US);
    leave(how, id);
    flood(fd, LONG_ENOUGH_US / 10);
    worker_close_session(0, id, CSTP_TERMINATE, "bye");
    worker_close_session(0, id + LEAVINGS, CSTP_TERMINATE, "bye");
    UNTIL(find_event(EVENT_SESSION_CLOSED, id) != NULL);
    client_free(dtls);
    client_free(tls);
    struct client *next = open_client(id + 2 * LEAVINGS, 5);
    ping(next, 5, 1);
    close_client(next, id + 2 * LEAVINGS);
  }
  close(fd);
}

static void a_client_without_tls_is_served(void) {
  struct client *tls = open_client(25, 5), *dtls = open_dtls(25);
  ping(dtls, 5, 1);
  client_free(tls);
  UNTIL(find_event(EVENT_SESSION_TLS_DOWN, 25) != NULL);
  ping(dtls, 5, 2);
  struct client *second = client_connect_dtls(25);
  ping(second, 5, 3);
  client_free(dtls);
  close_client(second, 25);
}

static void a_silent_peer_is_asked_then_given_up(void) {
  struct client *tls = open_client(26, 5), *dtls = open_dtls(26);
  struct session_options changed = options(26, 5);
  changed.dpd_seconds = 1;
  changed.keepalive_seconds = 1;
  changed.idle_seconds = 1;
  worker_change_session(0, &changed);
  bool is_asked = false;
  while (!is_asked) {
    CHECK(client_receive(tls, &frame_type, payload, &payload_length));
    CHECK(frame_type == CSTP_DPD_REQUEST || frame_type == CSTP_KEEPALIVE);
    is_asked = frame_type == CSTP_DPD_REQUEST;
  }
  UNTIL(find_event(EVENT_SESSION_TLS_DOWN, 26) != NULL);
  UNTIL(find_event(EVENT_SESSION_DTLS_DOWN, 26) != NULL);
  CHECK(strcmp(find_event(EVENT_SESSION_TLS_DOWN, 26)->text, "the client is silent") == 0);
  CHECK(count_events(EVENT_SESSION_IDLE, 26) == 1);
  client_free(dtls);
  close_client(tls, 26);
}

static void a_rate_is_kept(void) {
  struct client *tls = open_client(27, 5);
  struct session_options changed = options(27, 5);
  changed.up_bytes_per_second = 1;
  uint64_t dropped = counter(COUNT_DROPPED_RATE);
  ping(tls, 5, 0);
  worker_change_session(0, &changed);
  /* What comes before the worker has taken up the change is under no rate. */
  uint16_t sequence = 0;
  UNTIL((client_send(tls, CSTP_DATA, packet, echo_request(packet, FIRST + 5, GATEWAY, sequence++, 1300)),
         counter(COUNT_DROPPED_RATE) > dropped + 40));
  close_client(tls, 27);
}

void dtls_cases(void) {
  RUN(packets_go_both_ways_over_dtls);
  RUN(dpd_over_dtls_returns_the_whole_payload);
  RUN(what_a_client_finds_of_its_path_is_kept);
  RUN(a_client_with_ipv6_keeps_what_ipv6_needs);
  RUN(replayed_and_forged_records_are_counted);
  RUN(forged_records_are_received_together);
  RUN(tls_carries_on_where_udp_is_refused);
  RUN(many_datagrams_leave_in_one_send);
  RUN(one_large_udp_write_is_cut_up);
  RUN(a_client_that_is_held_back_gets_all_in_the_end);
  RUN(a_client_that_is_held_back_may_leave_as_it_likes);
  RUN(a_client_without_tls_is_served);
  RUN(a_silent_peer_is_asked_then_given_up);
  RUN(a_rate_is_kept);
}
