/*
 * worker-state.h: what a packet thread holds. Included by the files that run on it.
 */
#ifndef ISTHMUS_WORKER_STATE_H
#define ISTHMUS_WORKER_STATE_H

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include "clock.h"
#include "coalesce.h"
#include "cstp.h"
#include "flow-table.h"
#include "mailbox.h"
#include "pace.h"
#include "packet.h"
#include "segment.h"
#include "session.h"
#include "tun.h"
#include "worker.h"

/* After a start, flows of the process before are taken up: longer than the DPD of most clients. */
#define ADOPTS_FOR_MS 300000
#define ID_BUCKETS 4096
#define PLAINTEXT_AT_MOST 16384 /* of one record, RFC 8446 section 5.1 */
#define RECORD_OVERHEAD_AT_MOST 320 /* header, nonce, MAC and padding of any cipher of TLS 1.2, with room to spare */

/* --- our own sizes: what one event may handle before the next session has its turn --- */
/* More at once makes longer bursts of acknowledgements, which overflow the client's queue: 256 KiB cost a tenth of its packets. */
#define TLS_RECEIVE_BYTES (64 * 1024)
#define ARENA_BYTES (256 * 1024)
#define TLS_OUT_BYTES (64 * 1024)
#define DTLS_OUT_BYTES 65000
#define DATAGRAMS_PER_RECEIVE 64
#define DATAGRAM_BYTES 65536
/* Buffers a multiple of 4 KiB apart would share the same few lines of the cache. */
#define DATAGRAM_STRIDE (DATAGRAM_BYTES + 1664)
#define TUN_READS_PER_WAKE 64
#define TUN_BYTES_PER_WAKE (24 * 1024)
/* More at once overflow the socket of a client that is a little busy (its default holds about 90). */
#define SEGMENTS_PER_SEND 32
#define TICK_MS 250

/* A policy's number and what is in force under it. Sessions keep pointing to it when the policy changes. */
struct policy_place {
  struct policy_place *next;
  uint32_t number;
  uint32_t generation;
  struct policy *policy; /* NULL: nothing may pass */
};

/* What waits for a write: packets, and when the first of them came. */
struct waiting {
  uint64_t since_us;
  uint32_t packets;
};

/* Sealed bytes of one session on their way to its socket. */
struct tls_out {
  struct session *session;
  size_t length;
  struct waiting waiting;
  uint8_t bytes[TLS_OUT_BYTES];
};

struct dtls_out {
  struct session *session;
  size_t length, segment;
  struct waiting waiting;
  bool is_closed; /* the last record was shorter than `segment` */
  uint8_t bytes[DTLS_OUT_BYTES];
};

/* What is left of the packet in `tun_in`, whose client has enough for now. */
struct rest {
  struct session *session; /* NULL: nothing */
  struct packet view;
  struct segmenter segmenter;
  uint64_t came_us;
  uint16_t mtu;
};

struct worker {
  unsigned index;
  pthread_t thread;
  struct worker_options options;
  struct mailbox mailbox;
  int epoll_fd;
  bool has_ipv6, is_stopping, is_tun_broken;
  bool is_network_off; /* the TUN is not waited for, as a client is held back */

  struct session **by_slot;
  struct session *by_id[ID_BUCKETS];
  struct session_record *records; /* by slot */
  uint64_t *due_ms;               /* by slot: when the session's timers want a look; UINT64_MAX: free */
  uint64_t *block_due_ms;         /* of a block of slots: none of theirs is earlier */
  struct session *broken;
  struct policy_place *policies;
  uint32_t next_generation; /* of transports and policies alike */
  struct flow_table *flows;

  uint64_t now_us, now_ms, started_ms, realtime_offset_ms;
  uint64_t next_tick_ms;
  uint32_t packets_in_wake; /* handled since the last wait */
  uint64_t last_wake_us;
  struct pace pace;
  uint64_t recent_packets; /* handled lately, fading; see worker.c */
  bool is_quiet;           /* they were few */
  struct flow_log_second flows_told; /* of all sessions */

  uint64_t counters[WORKER_COUNTERS];
  struct latency latency[LATENCY_WAYS];
  uint64_t came_us;  /* the thread woke for the packet that it handles */
  uint64_t up_timed; /* of COUNT_PACKETS_UP, how many `latency` has */
  struct coalescer coalescer;
  struct tls_out tls_out;
  struct dtls_out dtls_out;
  struct rest rest;

  uint8_t received[TLS_RECEIVE_BYTES];
  uint8_t arena[ARENA_BYTES]; /* plaintext of one session, until the coalescer is flushed */
  uint8_t tun_in[TUN_HEADER_BYTES + 65536];
  uint8_t plain[CSTP_HEADER_BYTES + PLAINTEXT_AT_MOST];
  uint8_t datagrams[DATAGRAMS_PER_RECEIVE][DATAGRAM_STRIDE];
};

/* What an epoll event is about: kind, the generation of the transport it was asked for, and the slot. */
enum watch_kind { WATCH_MAILBOX = 1, WATCH_TUN, WATCH_TLS, WATCH_DTLS };
#define GENERATIONS 0xffffffu
static inline uint64_t watch_token(enum watch_kind kind, uint32_t generation, uint32_t slot) {
  return (uint64_t)kind << 56 | (uint64_t)(generation & GENERATIONS) << 32 | slot;
}
bool worker_watch(struct worker *worker, int operation, int fd, uint32_t events, uint64_t token);

/* Counters have one writer, so that a plain store is enough for readers to see whole numbers. */
static inline void add_to(uint64_t *counter, uint64_t number) {
  __atomic_store_n(counter, *counter + number, __ATOMIC_RELAXED);
}
static inline void count(struct worker *worker, enum worker_counter counter) { add_to(&worker->counters[counter], 1); }

/* So many packets that came at `since_us` or later were written just now. */
static inline void count_latency(struct worker *worker, enum latency_way way, uint64_t since_us, uint64_t packets) {
  if (packets > 0) latency_count(&worker->latency[way], clock_us(CLOCK_MONOTONIC) - since_us, packets);
}

static inline void count_drop(struct session *session, enum worker_counter reason) {
  count(session->worker, reason);
  add_to(&session->record->dropped, 1);
}

/* The slot that an IPv6 address would have; none that exists where it lies outside of the slice. */
static inline uint32_t slot_of_ipv6(const struct worker *worker, const uint8_t address[16]) {
  if (!worker->has_ipv6 || memcmp(address, worker->options.first_ipv6, 8) != 0) return UINT32_MAX;
  uint64_t low, first;
  memcpy(&low, address + 8, sizeof low);
  memcpy(&first, worker->options.first_ipv6 + 8, sizeof first);
  uint64_t slot = be64toh(low) - be64toh(first);
  return slot < worker->options.slots ? (uint32_t)slot : UINT32_MAX;
}

static inline struct flow_session session_flow(const struct session *session) {
  struct flow_session flow = {.slot = session->options.slot};
  if (session->policy == NULL) return flow;
  flow.policy = session->policy->policy;
  flow.generation = session->policy->generation;
  flow.adopts = session->worker->now_ms - session->worker->started_ms < ADOPTS_FOR_MS;
  return flow;
}

/* A user packet has passed. */
static inline void session_active(struct session *session) {
  struct worker *worker = session->worker;
  session->last_data_ms = worker->now_ms;
  __atomic_store_n(&session->record->last_active_ms, worker->now_ms + worker->realtime_offset_ms, __ATOMIC_RELAXED);
}

/* up-path.c: from the client. */
void up_receive_tls(struct session *session);
void up_receive_dtls(struct session *session);
/* Decrypted bytes that came along with a hand-over, and what libssl holds. */
void up_take_over(struct session *session, const uint8_t *unread, size_t length);
void up_write(void *worker, const struct iovec *parts, int number);

/* up-frame.c: what a frame of the client is about. */
enum transport_kind { OVER_TLS, OVER_DTLS };
void up_frame(struct session *session, enum transport_kind way, uint8_t type, uint8_t *payload, size_t length);

/* down-path.c: from the network. False: there may be more. */
bool down_receive(struct worker *worker);

/* session-timers.c */
/* False: memory is out; worker.c frees what there is. */
bool timers_make(struct worker *worker);
void timers_start(struct session *session);
void timers_end(struct session *session);
/* libssl is about to take its record buffers: they are to be given back some time after. */
void timers_buffers_used(struct session *session, bool *has_large_buffers);
/* At most once per TICK_MS does the work. */
void timers_tick(struct worker *worker);

#endif
