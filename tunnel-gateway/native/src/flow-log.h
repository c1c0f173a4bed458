/*
 * flow-log.h: which decisions about flows are told to JavaScript, for the access log. What is more than a few a second is counted
 * and not told, or whoever opens flows as fast as he can would fill the log and its thread.
 */
#ifndef ISTHMUS_FLOW_LOG_H
#define ISTHMUS_FLOW_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include "packet.h"

struct session;

/* What was told in the second that began last. All zero to begin with. */
struct flow_log_second {
  uint64_t second; /* of a clock that never goes back */
  uint32_t told;
};

/* A packet of the client was refused by `rule`. */
void flow_log_denied(struct session *session, const struct packet *view, uint32_t rule);
/* The packet, to or from the client, opened a flow that `rule` allows. Told where the session's options say so. */
void flow_log_allowed(struct session *session, const struct packet *view, bool is_up, uint32_t rule);

#endif
