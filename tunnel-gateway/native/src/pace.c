#include "pace.h"

#include <poll.h>
#include "worker-state.h"

/* Ours: what one burst may have. */
#define PACE_BYTES (20 * 1024)
/* A client is waited for at most so long. One that does not answer, as it is far away or has nothing to say, is waited for less and
 * less; and never longer than the least where other sessions would have to wait with it. */
#define PACE_MOST_US 1000
#define PACE_LEAST_US 100

void pace_sent(struct session *session, size_t length) {
  struct pace *pace = &session->worker->pace;
  if (pace->session != NULL && pace->session != session) pace->is_shared = true;
  if (pace->session != session) pace->bytes = 0;
  pace->session = session;
  pace->bytes += length;
}

void pace_forget(const struct session *session) {
  struct pace *pace = &session->worker->pace;
  if (pace->session == session) pace->session = NULL;
}

/* What is readable has come since the client's socket was read, before the burst was sealed. */
static bool hears(const struct session *session, long limit_us) {
  struct pollfd client = {.fd = session->dtls.fd, .events = POLLIN};
  struct timespec limit = {.tv_nsec = limit_us * 1000};
  return ppoll(&client, 1, &limit, NULL) != 0;
}

static void wait_for(struct session *session, bool is_alone) {
  uint16_t *patience_us = &session->dtls.patience_us;
  if (*patience_us < PACE_LEAST_US) *patience_us = PACE_MOST_US;
  bool is_heard = hears(session, is_alone ? *patience_us : PACE_LEAST_US);
  if (is_heard) *patience_us = *patience_us > PACE_MOST_US / 2 ? PACE_MOST_US : *patience_us * 2;
  else if (is_alone) *patience_us = *patience_us / 2 < PACE_LEAST_US ? PACE_LEAST_US : *patience_us / 2;
}

bool pace_wait(struct worker *worker) {
  struct pace *pace = &worker->pace;
  struct session *session = pace->session;
  bool is_due = session != NULL && pace->bytes >= PACE_BYTES;
  if (is_due) {
    wait_for(session, !pace->is_shared && pace->before == session);
    pace->before = session;
  }
  pace->session = NULL;
  pace->bytes = 0;
  pace->is_shared = false;
  return is_due;
}
