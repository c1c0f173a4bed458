#include "flow-entry.h"

#include <stdlib.h>
#include <string.h>

#define FLOWS_AT_MOST_OF_ALL (1U << 26)
/* Sessions looked at for one that has more than its share, when the table is full. */
#define VICTIMS_LOOKED_AT 64

static uint64_t mix(uint64_t one, uint64_t other) {
  __uint128_t product = (__uint128_t)one * other;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t *bucket_of(struct flow_table *table, const struct flow_key *key) {
  const uint64_t *seed = table->options.seed;
  uint64_t hash = mix(key->words[0] ^ seed[0], key->words[1] ^ seed[1]);
  hash = mix(key->words[2] ^ hash, key->words[3] ^ seed[0] ^ 0x9e3779b97f4a7c15);
  return &table->buckets[(uint32_t)mix(hash ^ seed[1], 0xbf58476d1ce4e5b9) & table->bucket_mask];
}

static bool is_key(const struct flow_entry *entry, const struct flow_key *key) {
  const uint64_t *one = entry->key.words, *other = key->words;
  return ((one[0] ^ other[0]) | (one[1] ^ other[1]) | (one[2] ^ other[2]) | (one[3] ^ other[3])) == 0;
}

struct flow_table *flow_table_new(const struct flow_table_options *options) {
  if (options->slots == 0 || options->flows_at_most == 0 || options->flows_at_most > FLOWS_AT_MOST_OF_ALL) return NULL;
  struct flow_table *table = calloc(1, sizeof *table);
  if (table == NULL) return NULL;
  uint32_t buckets = 1;
  while (buckets < options->flows_at_most) buckets *= 2;
  table->options = *options;
  if (options->flows_per_session_at_most == 0) table->options.flows_per_session_at_most = FLOWS_PER_SESSION_AT_MOST;
  table->bucket_mask = buckets - 1;
  table->free = NO_ENTRY;
  table->buckets = malloc(buckets * sizeof *table->buckets);
  /* Zeroed memory is not there until it is used. */
  table->entries = calloc(options->flows_at_most, sizeof *table->entries);
  table->slots = calloc(options->slots, sizeof *table->slots);
  table->fragments = calloc(options->slots, sizeof *table->fragments);
  if (table->buckets == NULL || table->entries == NULL || table->slots == NULL || table->fragments == NULL) {
    flow_table_free(table);
    return NULL;
  }
  memset(table->buckets, 0xff, buckets * sizeof *table->buckets);
  for (uint32_t slot = 0; slot < options->slots; slot++) table->slots[slot].newest = table->slots[slot].oldest = NO_ENTRY;
  return table;
}

void flow_table_free(struct flow_table *table) {
  if (table == NULL) return;
  free(table->buckets);
  free(table->entries);
  free(table->slots);
  free(table->fragments);
  free(table);
}

static uint32_t index_of(const struct flow_table *table, const struct flow_entry *entry) {
  return (uint32_t)(entry - table->entries);
}

static struct slot *slot_of(struct flow_table *table, const struct flow_entry *entry) {
  return &table->slots[entry->key.words[2] >> 32];
}

struct flow_entry *flow_find(struct flow_table *table, const struct flow_key *key) {
  for (uint32_t at = *bucket_of(table, key); at != NO_ENTRY; at = table->entries[at].next)
    if (is_key(&table->entries[at], key)) return &table->entries[at];
  return NULL;
}

static void link_newest(struct flow_table *table, struct flow_entry *entry) {
  struct slot *slot = slot_of(table, entry);
  uint32_t at = index_of(table, entry);
  entry->newer = NO_ENTRY;
  entry->older = slot->newest;
  if (slot->newest == NO_ENTRY) slot->oldest = at;
  else table->entries[slot->newest].newer = at;
  slot->newest = at;
}

static void unlink_entry(struct flow_table *table, const struct flow_entry *entry) {
  struct slot *slot = slot_of(table, entry);
  if (entry->newer == NO_ENTRY) slot->newest = entry->older;
  else table->entries[entry->newer].older = entry->older;
  if (entry->older == NO_ENTRY) slot->oldest = entry->newer;
  else table->entries[entry->older].newer = entry->newer;
}

void flow_remove(struct flow_table *table, struct flow_entry *entry) {
  uint32_t at = index_of(table, entry), *link = bucket_of(table, &entry->key);
  while (*link != at) link = &table->entries[*link].next;
  *link = entry->next;
  unlink_entry(table, entry);
  if (--slot_of(table, entry)->count == 0) table->sessions--;
  table->count--;
  entry->is_used = false;
  entry->next = table->free;
  table->free = at;
}

void flow_touch(struct flow_table *table, struct flow_entry *entry, uint32_t now) {
  if (entry->seen == now) return;
  entry->seen = now;
  if (entry->newer == NO_ENTRY) return;
  unlink_entry(table, entry);
  link_newest(table, entry);
}

/* Of the table, for each session that has flows and for `slot`. */
static uint32_t share(const struct flow_table *table, const struct slot *slot) {
  uint32_t share = table->options.flows_at_most / (table->sessions + (slot->count == 0 ? 1 : 0));
  return share == 0 ? 1 : share;
}

/* In a full table: whose oldest flow makes room for one more of `slot`. */
static struct slot *victim_for(struct flow_table *table, struct slot *slot) {
  uint32_t fair = share(table, slot);
  if (slot->count >= fair) return slot;
  for (uint32_t looked = 0; looked < VICTIMS_LOOKED_AT && looked < table->options.slots; looked++) {
    table->victim_at = table->victim_at + 1 < table->options.slots ? table->victim_at + 1 : 0;
    struct slot *other = &table->slots[table->victim_at];
    if (other != slot && other->count > fair) return other;
  }
  return slot->count > 0 ? slot : NULL;
}

static bool make_room(struct flow_table *table, struct slot *slot) {
  struct slot *victim = slot;
  if (slot->count < table->options.flows_per_session_at_most) {
    if (table->free != NO_ENTRY || table->untouched < table->options.flows_at_most) return true;
    victim = victim_for(table, slot);
  }
  if (victim == NULL) return false;
  flow_remove(table, &table->entries[victim->oldest]);
  return true;
}

struct flow_entry *flow_insert(struct flow_table *table, uint32_t slot_number, const struct flow_key *key, uint32_t now) {
  struct slot *slot = &table->slots[slot_number];
  if (!make_room(table, slot)) return NULL;
  uint32_t at = table->free;
  if (at == NO_ENTRY) at = table->untouched++;
  else table->free = table->entries[at].next;
  struct flow_entry *entry = &table->entries[at];
  uint32_t *bucket = bucket_of(table, key);
  *entry = (struct flow_entry){.key = *key, .next = *bucket, .seen = now, .is_used = true};
  *bucket = at;
  link_newest(table, entry);
  if (slot->count++ == 0) table->sessions++;
  table->count++;
  return entry;
}

static uint32_t seconds_of(const struct flow_entry *entry) {
  uint8_t family = (uint8_t)(entry->key.words[3] >> 8), protocol = (uint8_t)entry->key.words[3];
  if (protocol == PROTOCOL_UDP) return FLOW_UDP_SECONDS;
  if (protocol == (family == 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) return FLOW_ICMP_SECONDS;
  if (protocol != PROTOCOL_TCP) return FLOW_OTHER_SECONDS;
  uint8_t finished = entry->state & FLOW_FINISHED;
  if ((entry->state & FLOW_RESET) != 0 || finished == FLOW_FINISHED) return FLOW_CLOSING_SECONDS;
  if ((entry->state & FLOW_ANSWERED) == 0) return FLOW_OPENING_SECONDS;
  return finished != 0 ? FLOW_HALF_CLOSED_SECONDS : FLOW_ESTABLISHED_SECONDS;
}

bool flow_has_timed_out(const struct flow_entry *entry, uint32_t now) { return now - entry->seen >= seconds_of(entry); }

void flow_expire(struct flow_table *table, uint32_t now, uint32_t budget) {
  for (uint32_t looked = 0; looked < budget && looked < table->untouched; looked++) {
    if (table->expire_at >= table->untouched) table->expire_at = 0;
    struct flow_entry *entry = &table->entries[table->expire_at++];
    if (entry->is_used && flow_has_timed_out(entry, now)) flow_remove(table, entry);
  }
}

void flow_drop_session(struct flow_table *table, uint32_t slot_number) {
  if (slot_number >= table->options.slots) return;
  struct slot *slot = &table->slots[slot_number];
  while (slot->count > 0) flow_remove(table, &table->entries[slot->oldest]);
  /* Only where something was remembered: writing would make the memory there. */
  if (slot->next_fragment != 0) memset(table->fragments[slot_number], 0, sizeof table->fragments[slot_number]);
  slot->next_fragment = 0;
}

uint32_t flow_count(const struct flow_table *table) { return table->count; }

uint32_t flow_count_of(const struct flow_table *table, uint32_t slot) {
  return slot < table->options.slots ? table->slots[slot].count : 0;
}

static bool is_fragment(const struct fragment *fragment, const struct fragment_key *key) {
  const struct fragment_key *own = &fragment->key;
  return own->is_used && own->id == key->id && own->generation == key->generation && own->protocol == key->protocol &&
         own->family == key->family && own->is_up == key->is_up && memcmp(own->remote, key->remote, 16) == 0;
}

const struct fragment *fragment_find(const struct flow_table *table, uint32_t slot, const struct fragment_key *key, uint32_t now) {
  for (uint32_t at = 0; at < FRAGMENTS_PER_SESSION; at++) {
    const struct fragment *fragment = &table->fragments[slot][at];
    if (is_fragment(fragment, key)) return now - fragment->seen < FRAGMENT_SECONDS ? fragment : NULL;
  }
  return NULL;
}

void fragment_remember(struct flow_table *table, uint32_t slot_number, const struct fragment_key *key, uint32_t rule,
                       uint32_t now) {
  struct slot *slot = &table->slots[slot_number];
  struct fragment *fragment = NULL;
  for (uint32_t at = 0; at < FRAGMENTS_PER_SESSION && fragment == NULL; at++)
    if (is_fragment(&table->fragments[slot_number][at], key)) fragment = &table->fragments[slot_number][at];
  if (fragment == NULL) fragment = &table->fragments[slot_number][slot->next_fragment++ % FRAGMENTS_PER_SESSION];
  *fragment = (struct fragment){.key = *key, .seen = now, .rule = rule};
  fragment->key.is_used = true;
}
