/*
 * session.h: one session on its packet thread: up to two transports to the client, the addresses of its slot, and what may
 * pass. Everything here is touched by its thread alone, but for `record`.
 */
#ifndef ISTHMUS_SESSION_H
#define ISTHMUS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dtls-transport.h"
#include "flow-log.h"
#include "rate-limit.h"
#include "tls-transport.h"
#include "worker.h"

struct worker;

/* What other threads may read of a session. One per slot, there as long as its worker: a reader meets a session that is just
 * ending or another that took the slot, never freed memory. Its thread alone writes; id 0: free. */
struct session_record {
  uint32_t id;
  bool has_tls, has_dtls;
  uint64_t packets_up, packets_down, bytes_up, bytes_down, dropped, last_active_ms;
};

struct session {
  struct worker *worker;
  struct session *next_by_id;
  struct session_record *record;
  struct session_options options;
  struct policy_place *policy;
  struct rate_limit up, down;
  struct tls_transport tls;
  struct dtls_transport dtls;
  bool is_dtls_active; /* the way down, while DTLS is there */
  bool is_idle_told, is_disconnect_told;
  struct flow_log_second denials, flows;
  uint32_t flows_untold; /* since the last one that was told */
  uint64_t last_data_ms; /* of user packets, either way */
  bool is_broken;        /* in the worker's list of sessions with a transport to close */
  struct session *next_broken;
};

void session_open(struct worker *worker, const struct session_options *options);
void session_change(struct session *session, const struct session_options *options);
/* Says goodbye over TLS where it can go now, wipes, frees and tells JavaScript. The session is gone afterwards. */
void session_close(struct session *session, uint8_t type, const char *text);
void session_attach_tls(struct session *session, const struct tls_handover *handover);
void session_attach_dtls(struct session *session, const struct dtls_handover *handover);
struct session *session_by_id(struct worker *worker, uint32_t id);

/* Puts a policy in force under a number; takes it. */
void session_set_policy(struct worker *worker, uint32_t number, struct policy *policy);

/* Marks a transport for closing once the current event has been handled: libssl or a loop may be using it. */
void session_break(struct session *session);
/* Closes what was marked; tells JavaScript and finds another way down. */
void sessions_settle(struct worker *worker);

/* What a packet to the client may have now. */
uint16_t session_mtu(const struct session *session);
/* Seals one frame on the way down that is active. `payload` has CSTP_HEADER_BYTES of room in front, which are overwritten. */
bool session_send(struct session *session, uint8_t type, uint8_t *payload, size_t length);

#endif
