/*
 * flow-entry.h: where flow-table.c keeps its flows: one array, chained from buckets of a keyed hash; each session's flows in a list
 * from the one used last to the oldest.
 */
#ifndef ISTHMUS_FLOW_ENTRY_H
#define ISTHMUS_FLOW_ENTRY_H

#include "flow-table.h"

/* Seconds without a packet until a flow is forgotten; RFC 5382 and 4787 ask for at least as much of established TCP and of UDP. */
#define FLOW_OPENING_SECONDS 30
#define FLOW_ESTABLISHED_SECONDS 7440
#define FLOW_HALF_CLOSED_SECONDS 300
#define FLOW_CLOSING_SECONDS 30
#define FLOW_UDP_SECONDS 120
#define FLOW_ICMP_SECONDS 30
#define FLOW_OTHER_SECONDS 120
#define FRAGMENT_SECONDS 30

#define FRAGMENTS_PER_SESSION 16
#define NO_ENTRY UINT32_MAX

/* 0-1 remote address | 2 slot, remote port, client port | 3 ICMP id, family, protocol */
struct flow_key {
  uint64_t words[4];
};

enum { FLOW_ANSWERED = 1, FLOW_FINISHED_UP = 2, FLOW_FINISHED_DOWN = 4, FLOW_FINISHED = 6, FLOW_RESET = 8 };

struct flow_entry {
  struct flow_key key;
  uint32_t next;         /* in its bucket, or of the free ones */
  uint32_t newer, older; /* in its session's list */
  uint32_t seen, rule, generation;
  uint8_t state;
  bool is_used;
};

struct fragment_key {
  uint8_t remote[16];
  uint32_t id, generation;
  uint8_t protocol, family;
  bool is_up, is_used;
};

struct fragment {
  struct fragment_key key;
  uint32_t seen, rule;
};

struct slot {
  uint32_t newest, oldest, count, next_fragment;
};

struct flow_table {
  struct flow_table_options options;
  uint32_t *buckets;
  uint32_t bucket_mask, count, untouched, free, expire_at, victim_at, sessions;
  struct flow_entry *entries;
  struct slot *slots;
  struct fragment (*fragments)[FRAGMENTS_PER_SESSION];
};

struct flow_entry *flow_find(struct flow_table *table, const struct flow_key *key);
/* NULL where there is no place that this session may take. */
struct flow_entry *flow_insert(struct flow_table *table, uint32_t slot, const struct flow_key *key, uint32_t now);
void flow_remove(struct flow_table *table, struct flow_entry *entry);
void flow_touch(struct flow_table *table, struct flow_entry *entry, uint32_t now);
bool flow_has_timed_out(const struct flow_entry *entry, uint32_t now);

/* NULL where the first fragment was not allowed lately under the same policy. */
const struct fragment *fragment_find(const struct flow_table *table, uint32_t slot, const struct fragment_key *key, uint32_t now);
void fragment_remember(struct flow_table *table, uint32_t slot, const struct fragment_key *key, uint32_t rule, uint32_t now);

#endif
