// sources: pace.c drain.c
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "cases.h"
#include "worker-state.h"

#define BURST (20 * 1024)
#define LEAST_US 100
#define HELD (128 * 1024)
#define ALONE_US 100000
#define DATAGRAM 1400
#define DATAGRAMS_PER_SEND 32

static struct worker worker;
static struct session near, other;
static int client, other_client; /* the clients' ends */

static void open_session(struct session *session, int *peer) {
  int ends[2];
  HOLDS(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
  memset(session, 0, sizeof *session);
  session->worker = &worker;
  session->dtls.fd = ends[0];
  *peer = ends[1];
}

static void set_up(void) {
  memset(&worker.pace, 0, sizeof worker.pace);
  memset(&worker.dtls_out, 0, sizeof worker.dtls_out);
  memset(&worker.rest, 0, sizeof worker.rest);
  open_session(&near, &client);
  open_session(&other, &other_client);
}

static void tear_down(void) {
  close(near.dtls.fd);
  close(client);
  close(other.dtls.fd);
  close(other_client);
}

static void say_something(void) { HOLDS(write(client, "x", 1) == 1); }

/* How long it waited; -1: it did not. */
static long waited_us(void) {
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  bool has_waited = pace_wait(&worker);
  clock_gettime(CLOCK_MONOTONIC, &after);
  return has_waited ? (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000 : -1;
}

static long burst_to(struct session *session) {
  pace_sent(session, BURST);
  return waited_us();
}

static void less_than_a_burst_waits_for_nobody(void) {
  set_up();
  HOLDS(waited_us() == -1);
  pace_sent(&near, BURST - 1);
  HOLDS(waited_us() == -1);
  pace_sent(&near, 100);
  HOLDS(waited_us() == -1);
  tear_down();
}

static void a_burst_may_leave_in_pieces(void) {
  set_up();
  pace_sent(&near, BURST / 2);
  pace_sent(&near, BURST / 2);
  HOLDS(waited_us() >= LEAST_US);
  HOLDS(waited_us() == -1);
  tear_down();
}

static void bytes_of_several_clients_are_no_burst(void) {
  set_up();
  pace_sent(&near, BURST - 1);
  pace_sent(&other, BURST - 1);
  HOLDS(waited_us() == -1);
  tear_down();
}

static void a_word_ends_the_wait(void) {
  set_up();
  say_something();
  HOLDS(burst_to(&near) >= 0);
  tear_down();
}

/* All that the network had lately was for `near`, of TCP, `bytes` of it lie in the client's socket, and one more datagram is sealed. */
static void hold(size_t bytes) {
  set_up();
  near.dtls.ssl = (SSL *)&near; /* never followed */
  near.is_dtls_active = true;
  worker.dtls_out.session = &near;
  worker.dtls_out.length = worker.dtls_out.segment = DATAGRAM;
  worker.now_us = 1000000;
  pace_packet(&near);
  worker.now_us += ALONE_US;
  pace_packet(&near);
  drain_sent(&near.dtls.drain, bytes);
  drain_mark(&near.dtls.drain, 7, 1000, worker.now_us);
}

static bool is_held(void) {
  uint32_t left_us = 0;
  bool holds = pace_holds(&worker, &left_us);
  HOLDS(holds == (left_us > 0) && left_us <= DRAIN_MOST_US);
  return holds;
}

static void a_client_alone_is_held_back_until_it_answers(void) {
  hold(HELD);
  HOLDS(is_held() && is_held());
  drain_answered(&near.dtls.drain, 7, 999, worker.now_us);
  HOLDS(is_held());
  drain_answered(&near.dtls.drain, 7, 1000, worker.now_us);
  HOLDS(!is_held());
  tear_down();
}

static void little_holds_nobody_back(void) {
  hold(HELD - 1);
  HOLDS(!is_held());
  tear_down();
}

static void what_is_sealed_for_who_is_held_back_stays_until_a_send_is_full(void) {
  hold(HELD);
  struct dtls_out *out = &worker.dtls_out;
  HOLDS(pace_keeps(&worker) && !pace_is_full(&worker));
  out->length = DATAGRAMS_PER_SEND * DATAGRAM;
  HOLDS(pace_is_full(&worker));
  out->length = 3 * DATAGRAM + 1;
  HOLDS(!pace_is_full(&worker));
  out->is_closed = true;
  HOLDS(pace_is_full(&worker));
  *out = (struct dtls_out){.session = &near, .length = 60000, .segment = 6000};
  HOLDS(pace_is_full(&worker));
  drain_answered(&near.dtls.drain, 7, 1000, worker.now_us);
  HOLDS(!pace_keeps(&worker) && !pace_is_full(&worker));
  tear_down();
}

static void nothing_stays_for_others_or_over_tls(void) {
  hold(HELD);
  worker.dtls_out.session = &other;
  HOLDS(!pace_keeps(&worker) && !is_held());
  worker.dtls_out.session = &near;
  near.is_dtls_active = false;
  HOLDS(!pace_keeps(&worker) && !is_held());
  tear_down();
}

static void who_is_held_back_is_not_waited_for_in_place(void) {
  hold(HELD);
  HOLDS(is_held());
  HOLDS(burst_to(&near) >= 0 && worker.pace.held_since_us != 0);
  tear_down();
}

static void a_client_that_never_answers_is_let_go(void) {
  hold(HELD);
  while (is_held()) usleep(100);
  HOLDS(drain_waiting(&near.dtls.drain) == 0);
  tear_down();
}

static void nobody_is_held_back_where_others_have_packets(void) {
  hold(HELD);
  HOLDS(is_held());
  pace_packet(&other);
  HOLDS(!is_held());
  pace_packet(&near);
  worker.now_us += ALONE_US - 1;
  HOLDS(!is_held());
  worker.now_us += 1;
  HOLDS(is_held());
  tear_down();
}

#define STANDING_US 20000
#define LONG_PACKET 1400

/* The TUN of `near`, which is alone, is read every millisecond for so long. */
static unsigned told_in(uint64_t us, size_t length) {
  unsigned told = 0;
  for (uint64_t end_us = worker.now_us + us; worker.now_us < end_us; worker.now_us += 1000) {
    pace_reads(&worker);
    told += pace_tells(&near, length);
  }
  return told;
}

static void where_a_queue_stands_one_sender_is_told_now_and_then(void) {
  hold(0);
  HOLDS(told_in(STANDING_US, LONG_PACKET) == 0);
  HOLDS(told_in(1000, LONG_PACKET) == 1);
  HOLDS(told_in(10 * STANDING_US, LONG_PACKET) == 10);
  HOLDS(told_in(STANDING_US, 100) == 0);
  tear_down();
}

static void a_tun_that_is_empty_at_times_tells_nobody(void) {
  hold(0);
  for (int times = 0; times < 5; times++) {
    HOLDS(told_in(STANDING_US, LONG_PACKET) == 0);
    pace_empty(&worker);
  }
  HOLDS(told_in(STANDING_US, LONG_PACKET) == 0);
  worker.now_us += 5000; /* nothing came meanwhile */
  HOLDS(told_in(STANDING_US, LONG_PACKET) == 0);
  tear_down();
}

static void who_is_held_back_finds_the_queue_as_it_was(void) {
  hold(0);
  worker.is_network_off = true;
  pace_empty(&worker);
  worker.now_us += STANDING_US;
  HOLDS(told_in(1000, LONG_PACKET) == 1);
  worker.is_network_off = false;
  tear_down();
}

static void nobody_is_told_where_others_have_packets_or_over_tls(void) {
  hold(0);
  pace_packet(&other);
  HOLDS(told_in(5 * STANDING_US, LONG_PACKET) == 0);
  tear_down();
  hold(0);
  near.is_dtls_active = false;
  HOLDS(told_in(5 * STANDING_US, LONG_PACKET) == 0);
  tear_down();
}

static void nobody_holds_a_session_that_has_left(void) {
  hold(HELD);
  HOLDS(is_held());
  worker.rest.session = &near;
  pace_forget(&other);
  HOLDS(worker.rest.session == &near);
  pace_forget(&near);
  HOLDS(!is_held() && worker.rest.session == NULL);
  tear_down();
}

static void who_has_left_is_not_waited_for(void) {
  set_up();
  pace_sent(&near, BURST);
  pace_forget(&other);
  pace_forget(&near);
  HOLDS(waited_us() == -1);
  tear_down();
}

int main(void) {
  RUN(less_than_a_burst_waits_for_nobody);
  RUN(a_burst_may_leave_in_pieces);
  RUN(bytes_of_several_clients_are_no_burst);
  RUN(a_word_ends_the_wait);
  RUN(a_client_alone_is_held_back_until_it_answers);
  RUN(little_holds_nobody_back);
  RUN(what_is_sealed_for_who_is_held_back_stays_until_a_send_is_full);
  RUN(nothing_stays_for_others_or_over_tls);
  RUN(who_is_held_back_is_not_waited_for_in_place);
  RUN(a_client_that_never_answers_is_let_go);
  RUN(nobody_is_held_back_where_others_have_packets);
  RUN(where_a_queue_stands_one_sender_is_told_now_and_then);
  RUN(a_tun_that_is_empty_at_times_tells_nobody);
  RUN(who_is_held_back_finds_the_queue_as_it_was);
  RUN(nobody_is_told_where_others_have_packets_or_over_tls);
  RUN(nobody_holds_a_session_that_has_left);
  RUN(who_has_left_is_not_waited_for);
  return 0;
}
