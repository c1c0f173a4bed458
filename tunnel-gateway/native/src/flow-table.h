/*
 * flow-table.h: the flows of one packet thread. The first packet of a flow is judged by the policy; the rest, and what comes back,
 * cost one look-up. All memory is taken once.
 *
 * Flows are allowed ones: what a rule denies is judged each time and takes no place, so that a scan displaces nothing. A session
 * at its limit, or at its share of a full table, displaces its own oldest flow; below its share, that of a session above it.
 */
#ifndef ISTHMUS_FLOW_TABLE_H
#define ISTHMUS_FLOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include "packet.h"
#include "policy.h"

struct flow_table;

struct flow_table_options {
  uint32_t slots;                     /* sessions at most */
  uint32_t flows_at_most;             /* of all sessions together */
  uint32_t flows_per_session_at_most; /* 0: FLOWS_PER_SESSION_AT_MOST */
  uint64_t seed[2];                   /* random: nobody may choose what collides */
};

#define FLOWS_PER_SESSION_AT_MOST 4096

/* NULL when out of memory or an option is 0. */
struct flow_table *flow_table_new(const struct flow_table_options *options);
void flow_table_free(struct flow_table *table);

/* Whose packet it is and what is in force for it. */
struct flow_session {
  uint32_t slot;
  const struct policy *policy;
  uint32_t generation; /* another number whenever the session's policy is another: its flows are judged anew, when next used */
  /* Flows of an earlier process may go on: a TCP segment to the client that opens nothing is taken for one of a flow that the
   * policy lets the client open. Without, a download stalls until the client says something. */
  bool adopts;
};

enum flow_outcome {
  FLOW_ALLOWED,
  FLOW_DENIED,      /* up: by `rule`. down: of a flow that the policy now denies */
  FLOW_UNSOLICITED, /* down: of no known flow. both: a fragment or ICMP error of none */
  FLOW_LIMIT        /* up: allowed, but there is no place */
};

struct flow_decision {
  enum flow_outcome outcome;
  uint32_t rule; /* that decided, 0 without */
  bool is_new;   /* allowed, and a flow that was not known until now */
};

/* A packet of the client, whose source is known to be its own. `now` in seconds of a clock that never goes back. */
struct flow_decision flow_up(struct flow_table *table, const struct flow_session *session, const uint8_t *packet,
                             const struct packet *view, uint32_t now);

/* A packet to the client, to one of its own addresses. */
struct flow_decision flow_down(struct flow_table *table, const struct flow_session *session, const uint8_t *packet,
                               const struct packet *view, uint32_t now);

/* The session has ended, its slot may be given again. */
void flow_drop_session(struct flow_table *table, uint32_t slot);

/* Frees what has timed out among the next `budget` entries; call it now and then. */
void flow_expire(struct flow_table *table, uint32_t now, uint32_t budget);

uint32_t flow_count(const struct flow_table *table);
uint32_t flow_count_of(const struct flow_table *table, uint32_t slot);

#endif
