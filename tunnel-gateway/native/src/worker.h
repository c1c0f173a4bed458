/*
 * worker.h: a packet thread, as the rest of the addon sees it. One per core; each owns one TUN device, one slice of the address
 * pool and every session whose address lies in it, so that nothing on the packet path is shared or locked.
 *
 * All functions post to the worker's mailbox and return at once. What they are given belongs to the worker from then on.
 */
#ifndef ISTHMUS_WORKER_H
#define ISTHMUS_WORKER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "latency.h"
#include "openssl-api.h"
#include "policy.h"
#include "wire.h"

#define WORKERS_AT_MOST 64

struct worker_options {
  int tun_fd;            /* opened with IFF_VNET_HDR and offloads; owned from now on */
  uint32_t first_ipv4;   /* host order; slot n has address first_ipv4 + n */
  uint8_t first_ipv6[16]; /* slot n has this plus n; all zero without IPv6 */
  uint32_t slots;        /* sessions at most */
  uint16_t tun_mtu;
  uint32_t flows_at_most; /* entries of the flow table */
};

struct session_options {
  uint32_t id;   /* chosen by JavaScript, unique while the process lives */
  uint32_t slot; /* within the worker's slice; free, or held by an ended session */
  bool has_ipv4, has_ipv6;
  uint16_t mtu;  /* of inner packets */
  uint32_t policy; /* as given to worker_set_policy */
  uint32_t dpd_seconds, keepalive_seconds, idle_seconds; /* 0: off. Peer silent for 3 x dpd: that transport is down */
  uint64_t up_bytes_per_second, down_bytes_per_second;   /* 0: no limit */
  bool logs_flows;   /* whether each flow that is let through is told */
  bool may_compress; /* always false now */
};

/* The TLS connection that became a session's, after its CONNECT was answered. */
struct tls_handover {
  uint32_t session;
  SSL *ssl;            /* its BIO is over `wire` */
  struct wire *wire;   /* malloc */
  int fd;
  uint8_t *unread;     /* malloc: decrypted bytes that came behind the request head; NULL without */
  size_t unread_length;
  uint8_t *unsent;     /* malloc: sealed bytes that the socket has not taken yet, in order; NULL without */
  size_t unsent_length;
};

struct dtls_handover {
  uint32_t session;
  SSL *ssl;
  struct wire *wire;
  int fd; /* UDP, connected to the client */
};

/* Starts worker `index` (0 first, without gaps). False with errno when its thread or descriptors cannot be made. */
bool worker_start(unsigned index, const struct worker_options *options);

void worker_open_session(unsigned worker, const struct session_options *options);
/* Changes mtu, policy, timers and rates of an open session; id and addresses stay. */
void worker_change_session(unsigned worker, const struct session_options *options);
/* Own limit: bytes of what a client is told when its session is closed. */
#define FAREWELL_BYTES_AT_MOST 255
/* Sends CSTP `type` (5 disconnect or 9 terminate) with `text` over TLS, closes the transports and wipes keys. */
void worker_close_session(unsigned worker, uint32_t session, uint8_t type, const char *text);
/* Replaces the session's transport of that kind. Unknown session: everything is closed and freed. */
void worker_attach_tls(unsigned worker, const struct tls_handover *handover);
void worker_attach_dtls(unsigned worker, const struct dtls_handover *handover);
/* Puts `policy` in force under `number` for every session that names it; flows are judged anew. Takes the policy. */
void worker_set_policy(unsigned worker, uint32_t number, struct policy *policy);
/* In place of a frame's type: connections end without a word, as lost ones do, and clients come back by themselves. */
#define FAREWELL_NONE 0
/* Stops every worker, sending CSTP `type` to every session that has TLS; waits for the threads. Nobody may post to a worker any
 * more once this is called. */
void workers_stop(uint8_t type, const char *text);

/* Counters; read from any thread without a lock, each exact, together only nearly so. */
enum worker_counter {
  COUNT_TUN_READS, COUNT_TUN_WRITES, COUNT_TLS_SENDS, COUNT_TLS_RECEIVES, COUNT_UDP_SENDS, COUNT_UDP_RECEIVES,
  COUNT_PACKETS_UP, COUNT_PACKETS_DOWN, COUNT_BYTES_UP, COUNT_BYTES_DOWN,
  COUNT_DROPPED_SPOOFED, COUNT_DROPPED_MALFORMED, COUNT_DROPPED_DENIED, COUNT_DROPPED_UNSOLICITED, COUNT_DROPPED_BACKLOG,
  COUNT_DROPPED_RATE, COUNT_DROPPED_NO_SESSION, COUNT_DROPPED_REPLAYED, COUNT_DROPPED_FORGED, COUNT_DROPPED_FLOW_LIMIT, COUNT_DROPPED_TOO_BIG, COUNT_DROPPED_UNREACHABLE,
  COUNT_MSS_CLAMPED, COUNT_TOO_BIG_ANSWERED, COUNT_SESSIONS, COUNT_FLOWS, COUNT_WAKEUPS, COUNT_CONTROL_FRAMES,
  COUNT_FLOWS_UNTOLD,
  WORKER_COUNTERS
};
void worker_counters(unsigned worker, uint64_t counters[WORKER_COUNTERS]);
/* False: there is no such worker. */
bool worker_latency(unsigned worker, enum latency_way way, struct latency *latency);

struct session_counters {
  uint32_t id;
  uint64_t packets_up, packets_down, bytes_up, bytes_down, dropped;
  uint64_t last_active_ms; /* CLOCK_REALTIME */
  bool has_tls, has_dtls;
};
/* Copies the counters of every session of a worker, at most `room`; returns how many there are. Any thread. */
uint32_t worker_sessions(unsigned worker, struct session_counters *sessions, uint32_t room);

#endif
