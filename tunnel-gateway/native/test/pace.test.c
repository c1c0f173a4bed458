// sources: pace.c
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "cases.h"
#include "worker-state.h"

#define BURST (20 * 1024)
#define MOST_US 1000
#define LEAST_US 100

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

static void hear_it(void) {
  char word;
  HOLDS(read(near.dtls.fd, &word, 1) == 1);
}

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

static void a_client_that_says_nothing_is_waited_for_less_and_less(void) {
  set_up();
  HOLDS(burst_to(&near) >= LEAST_US && near.dtls.patience_us == MOST_US);
  for (long patience_us = MOST_US; patience_us > LEAST_US; patience_us /= 2) {
    HOLDS(near.dtls.patience_us == patience_us);
    HOLDS(burst_to(&near) >= patience_us);
  }
  HOLDS(burst_to(&near) >= LEAST_US && near.dtls.patience_us == LEAST_US);
  tear_down();
}

static void a_word_ends_the_wait_and_earns_patience(void) {
  set_up();
  burst_to(&near);
  burst_to(&near);
  burst_to(&near);
  HOLDS(near.dtls.patience_us == MOST_US / 4);
  for (int number = 0; number < 3; number++) {
    say_something();
    HOLDS(burst_to(&near) >= 0);
    hear_it();
  }
  HOLDS(near.dtls.patience_us == MOST_US);
  tear_down();
}

static void where_others_are_sent_to_a_client_keeps_its_patience_and_is_waited_for_the_least(void) {
  set_up();
  burst_to(&near);
  pace_sent(&other, 100);
  HOLDS(burst_to(&near) >= LEAST_US && near.dtls.patience_us == MOST_US);
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
  RUN(a_client_that_says_nothing_is_waited_for_less_and_less);
  RUN(a_word_ends_the_wait_and_earns_patience);
  RUN(where_others_are_sent_to_a_client_keeps_its_patience_and_is_waited_for_the_least);
  RUN(who_has_left_is_not_waited_for);
  return 0;
}
