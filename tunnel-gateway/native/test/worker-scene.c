#include "worker-scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "policy.h"
#include "tun.h"

/* --- events, as JavaScript would see them --- */
static pthread_mutex_t events_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct event *told[4096];
static int told_number;

struct event *event_new(enum event_kind kind, uint32_t id, size_t length) {
  struct event *event = calloc(1, sizeof *event + length);
  event->kind = kind;
  event->id = id;
  event->length = length;
  return event;
}

void events_emit(struct event *event) {
  pthread_mutex_lock(&events_mutex);
  CHECK(told_number < 4096);
  told[told_number++] = event;
  pthread_mutex_unlock(&events_mutex);
}

void events_tell(enum event_kind kind, uint32_t id, const char *text, ...) {
  struct event *event = event_new(kind, id, 0);
  va_list arguments;
  va_start(arguments, text);
  vsnprintf(event->text, sizeof event->text, text, arguments);
  va_end(arguments);
  events_emit(event);
}

struct event *find_event(enum event_kind kind, uint32_t id) {
  struct event *found = NULL;
  pthread_mutex_lock(&events_mutex);
  for (int at = 0; at < told_number; at++)
    if (told[at]->kind == kind && told[at]->id == id) found = told[at];
  pthread_mutex_unlock(&events_mutex);
  return found;
}

int count_events(enum event_kind kind, uint32_t id) {
  int number = 0;
  pthread_mutex_lock(&events_mutex);
  for (int at = 0; at < told_number; at++) number += told[at]->kind == kind && told[at]->id == id;
  pthread_mutex_unlock(&events_mutex);
  return number;
}

uint64_t counter(enum worker_counter which) {
  uint64_t counters[WORKER_COUNTERS];
  worker_counters(0, counters);
  return counters[which];
}

uint64_t timed(enum latency_way way) {
  struct latency latency;
  uint64_t packets = 0, least_us = 0;
  CHECK(worker_latency(0, way, &latency));
  for (int bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
    packets += latency.packets[bucket];
    if (bucket > 0) least_us += latency.packets[bucket] * ((uint64_t)LATENCY_FIRST_US << (bucket - 1));
  }
  CHECK(latency.sum_us >= least_us);
  return packets;
}

struct session_options options(uint32_t id, uint32_t slot) {
  return (struct session_options){.id = id, .slot = slot, .has_ipv4 = true, .has_ipv6 = true, .mtu = 1400, .policy = POLICY};
}

uint8_t packet[65536], payload[65536];
uint8_t frame_type;
size_t payload_length;

/* Sends an echo request and receives its answer, on these ways. */
void ping_over(struct client *there, struct client *back, uint32_t slot, uint16_t sequence, size_t data) {
  client_send(there, CSTP_DATA, packet, echo_request(packet, FIRST + slot, GATEWAY, sequence, data));
  /* Answers to earlier ones may still be under way. */
  do CHECK(client_receive(back, &frame_type, payload, &payload_length));
  while (frame_type == CSTP_DATA && memcmp(payload + 26, packet + 26, 2) != 0);
  CHECK(frame_type == CSTP_DATA && payload_length == 28 + data && payload[20] == 0);
  CHECK(memcmp(payload + 24, packet + 24, payload_length - 24) == 0);
}

void ping(struct client *client, uint32_t slot, uint16_t sequence) { ping_over(client, client, slot, sequence, 56); }

struct client *open_client(uint32_t id, uint32_t slot) {
  struct session_options opened = options(id, slot);
  worker_open_session(0, &opened);
  struct client *client = client_connect_tls(id, NULL, 0);
  UNTIL(find_event(EVENT_SESSION_TLS_UP, id) != NULL);
  return client;
}

void close_client(struct client *client, uint32_t id) {
  worker_close_session(0, id, CSTP_TERMINATE, "bye");
  UNTIL(find_event(EVENT_SESSION_CLOSED, id) != NULL);
  client_free(client);
}

int udp_socket(void) {
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(GATEWAY), .sin_port = htons(7000)};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(bind(fd, (struct sockaddr *)&own, sizeof own) == 0);
  return fd;
}

/* A UDP packet from the client, which opens the flow for answers to port 6000. */
size_t udp_packet(uint8_t *into, uint32_t slot) {
  size_t whole = echo_request(into, FIRST + slot, GATEWAY, 0, 0);
  into[9] = 17;
  into[10] = into[11] = 0;
  uint16_t fields[4] = {htons(6000), htons(7000), htons(8), 0};
  memcpy(into + 20, fields, sizeof fields);
  uint16_t sum = 0;
  for (int at = 0; at < 20; at += 2) {
    uint16_t word;
    memcpy(&word, into + at, 2);
    sum = (uint16_t)(sum + word + ((uint32_t)sum + word > 0xffff));
  }
  sum = (uint16_t)~sum;
  memcpy(into + 10, &sum, 2);
  return whole;
}

void send_udp(int fd, uint32_t slot, const uint8_t *bytes, size_t number) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(FIRST + slot), .sin_port = htons(6000)};
  sendto(fd, bytes, number, 0, (struct sockaddr *)&to, sizeof to);
}

static void pack_rule(uint8_t *rule, uint8_t action, uint8_t family, uint8_t prefix, uint32_t number, uint32_t address) {
  memset(rule, 0, RULE_BYTES);
  address = htonl(address), number = htonl(number);
  rule[0] = action, rule[1] = family, rule[3] = prefix;
  rule[6] = rule[7] = 0xff;
  memcpy(rule + 8, &number, sizeof number);
  memcpy(rule + 16, &address, sizeof address);
}

/* A machine that is to test all must be able to. */
static _Noreturn void skip(const char *reason) {
  printf("skipped: %s\n", reason);
  exit(getenv("CI") == NULL ? 0 : 1);
}

void scene_start(void) {
  if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
    skip("needs root");
  }
  const char *step;
  struct worker_options worker = {.first_ipv4 = FIRST, .slots = SLOTS, .tun_mtu = 1500, .flows_at_most = 10000};
  inet_pton(AF_INET6, "fd77::100", worker.first_ipv6);
  worker.tun_fd = tun_open("d0", &step);
  if (worker.tun_fd < 0) {
    skip(step);
  }
  CHECK(system("ip link set lo up; ip addr add 10.77.0.254/24 dev d0; ip link set d0 up;"
               "ip -6 addr add fd77::fe/64 dev d0 nodad; ip link set d0 mtu 1500") == 0);
  clients_start();
  CHECK(worker_start(0, &worker));
  uint8_t rules[3 * RULE_BYTES];
  pack_rule(rules, 0, 4, 32, 1, DENIED);
  pack_rule(rules + RULE_BYTES, 1, 4, 0, 2, 0);
  pack_rule(rules + 2 * RULE_BYTES, 1, 6, 0, 3, 0);
  struct policy *policy = policy_parse(rules, sizeof rules);
  CHECK(policy != NULL);
  worker_set_policy(0, POLICY, policy);
}
