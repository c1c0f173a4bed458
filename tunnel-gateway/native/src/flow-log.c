#include "flow-log.h"

#include <arpa/inet.h>
#include "events.h"
#include "worker-state.h"

/* --- our own limits --- */
#define DENIALS_PER_SECOND 5
#define FLOWS_PER_SECOND 100
#define FLOWS_PER_SECOND_OF_ALL 1000 /* of one thread */

/* Whether one more may be told, at most `most` a second; if so, it counts. */
static bool may_tell(struct flow_log_second *log, uint64_t second, uint32_t most) {
  if (second != log->second) *log = (struct flow_log_second){.second = second};
  if (log->told >= most) return false;
  log->told++;
  return true;
}

static void tell(enum event_kind kind, const struct session *session, const struct packet *view, bool is_up, uint32_t rule,
                 uint32_t untold) {
  struct event *event = event_new(kind, session->options.id, 0);
  if (event == NULL) return;
  event->numbers[0] = rule;
  event->numbers[1] = view->protocol;
  event->numbers[2] = is_up ? view->destination_port : view->source_port;
  event->numbers[3] = untold;
  inet_ntop(view->family == 4 ? AF_INET : AF_INET6, is_up ? view->destination : view->source, event->text, INET6_ADDRSTRLEN);
  events_emit(event);
}

void flow_log_denied(struct session *session, const struct packet *view, uint32_t rule) {
  if (!may_tell(&session->denials, session->worker->now_ms / 1000, DENIALS_PER_SECOND)) return;
  tell(EVENT_SESSION_DENIED, session, view, true, rule, 0);
}

void flow_log_allowed(struct session *session, const struct packet *view, bool is_up, uint32_t rule) {
  struct worker *worker = session->worker;
  if (!session->options.logs_flows) return;
  uint64_t second = worker->now_ms / 1000;
  if (!may_tell(&session->flows, second, FLOWS_PER_SECOND) ||
      !may_tell(&worker->flows_told, second, FLOWS_PER_SECOND_OF_ALL)) {
    count(worker, COUNT_FLOWS_UNTOLD);
    if (session->flows_untold < UINT32_MAX) session->flows_untold++;
    return;
  }
  tell(EVENT_SESSION_FLOW, session, view, is_up, rule, session->flows_untold);
  session->flows_untold = 0;
}
