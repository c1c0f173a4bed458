#include "dtls-offers.h"

#include <stdlib.h>
#include <string.h>
#include "openssl-api.h"

struct entry {
  struct entry *next_of_id;
  struct entry *next_of_session;
  struct dtls_offer offer;
  unsigned hellos; /* in the second that began at */
  uint64_t since_ms;
};

struct dtls_offers {
  uint32_t count;
  uint32_t at_most;
  uint32_t mask;
  uint64_t serial;
  struct entry **by_id;
  struct entry **by_session;
};

static const struct {
  const char *name;
  uint8_t cipher[2];
} resumable[] = {
    {"AES256-GCM-SHA384", {0x00, 0x9d}},
    {"AES128-GCM-SHA256", {0x00, 0x9c}},
    {"ECDHE-RSA-AES256-GCM-SHA384", {0xc0, 0x30}},
    {"ECDHE-RSA-AES128-GCM-SHA256", {0xc0, 0x2f}},
};

bool dtls_offer_cipher(const char *name, uint8_t cipher[2]) {
  for (size_t i = 0; i < sizeof resumable / sizeof resumable[0]; i++) {
    if (strcmp(name, resumable[i].name) != 0) continue;
    memcpy(cipher, resumable[i].cipher, 2);
    return true;
  }
  return false;
}

/* Ids are random and made by us: a stranger chooses what is looked for, never what lies in a chain. */
static struct entry **id_chain(const struct dtls_offers *offers, const uint8_t id[DTLS_ID_BYTES]) {
  uint32_t hash;
  memcpy(&hash, id, sizeof hash);
  return &offers->by_id[hash & offers->mask];
}

static struct entry **session_chain(const struct dtls_offers *offers, uint32_t session) {
  return &offers->by_session[session & offers->mask];
}

struct dtls_offers *dtls_offers_open(uint32_t at_most) {
  struct dtls_offers *offers = calloc(1, sizeof *offers);
  if (offers == NULL) return NULL;
  uint32_t chains = 16;
  while (chains < at_most && chains < DTLS_OFFERS_AT_MOST) chains *= 2;
  offers->at_most = at_most;
  offers->mask = chains - 1;
  offers->by_id = calloc(chains, sizeof(struct entry *));
  offers->by_session = calloc(chains, sizeof(struct entry *));
  if (offers->by_id != NULL && offers->by_session != NULL) return offers;
  dtls_offers_close(offers);
  return NULL;
}

static void release(struct entry *entry) {
  OPENSSL_cleanse(entry, sizeof *entry);
  free(entry);
}

void dtls_offers_close(struct dtls_offers *offers) {
  if (offers == NULL) return;
  for (uint32_t i = 0; offers->by_id != NULL && i <= offers->mask; i++) {
    for (struct entry *entry = offers->by_id[i]; entry != NULL;) {
      struct entry *next = entry->next_of_id;
      release(entry);
      entry = next;
    }
  }
  free(offers->by_id);
  free(offers->by_session);
  free(offers);
}

static struct entry *find(const struct dtls_offers *offers, const uint8_t id[DTLS_ID_BYTES]) {
  struct entry *entry = *id_chain(offers, id);
  while (entry != NULL && memcmp(entry->offer.id, id, DTLS_ID_BYTES) != 0) entry = entry->next_of_id;
  return entry;
}

const struct dtls_offer *dtls_offers_find(const struct dtls_offers *offers, const uint8_t id[DTLS_ID_BYTES]) {
  const struct entry *entry = find(offers, id);
  return entry == NULL ? NULL : &entry->offer;
}

bool dtls_offers_admit(struct dtls_offers *offers, const struct dtls_offer *offer, uint64_t now_ms) {
  struct entry *entry = find(offers, offer->id);
  if (entry == NULL) return false;
  if (now_ms - entry->since_ms >= 1000) {
    entry->since_ms = now_ms;
    entry->hellos = 0;
  }
  if (entry->hellos >= DTLS_HELLOS_PER_SESSION) return false;
  entry->hellos++;
  return true;
}

void dtls_offers_forget(struct dtls_offers *offers, uint32_t session) {
  struct entry **at = session_chain(offers, session);
  while (*at != NULL && (*at)->offer.session != session) at = &(*at)->next_of_session;
  struct entry *entry = *at;
  if (entry == NULL) return;
  *at = entry->next_of_session;
  struct entry **by_id = id_chain(offers, entry->offer.id);
  while (*by_id != entry) by_id = &(*by_id)->next_of_id;
  *by_id = entry->next_of_id;
  offers->count--;
  release(entry);
}

bool dtls_offers_put(struct dtls_offers *offers, const struct dtls_offer *offer) {
  const struct dtls_offer *standing = dtls_offers_find(offers, offer->id);
  if (standing != NULL && standing->session != offer->session) return false;
  /* Before the count is looked at: a full table still lets a session change its offer. */
  dtls_offers_forget(offers, offer->session);
  if (offers->count >= offers->at_most) return false;
  struct entry *entry = malloc(sizeof *entry);
  if (entry == NULL) return false;
  *entry = (struct entry){.offer = *offer};
  entry->offer.serial = ++offers->serial;
  struct entry **by_id = id_chain(offers, offer->id);
  struct entry **by_session = session_chain(offers, offer->session);
  entry->next_of_id = *by_id;
  entry->next_of_session = *by_session;
  *by_id = *by_session = entry;
  offers->count++;
  return true;
}

uint32_t dtls_offers_count(const struct dtls_offers *offers) { return offers->count; }
