#include "admission.h"

#include <stdlib.h>
#include <string.h>
#include "address.h"
#include "openssl-api.h"

#define BUCKETS 4096

struct admission_place {
  struct admission_place *next;
  uint8_t network[16];
  uint32_t count;
};

/* One site of the internet usually has a whole /64 of IPv6, so that is counted as one address. IPv4 begins with 10 zeros. */
static void network_of(const uint8_t address[16], uint8_t network[16]) {
  memset(network, 0, 16);
  memcpy(network, address, address_is_ipv4(address) ? 16 : 8);
}

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
  x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
  return x ^ x >> 32;
}

/* The place of a network, or where a new one is to be linked in. */
static struct admission_place **find(const struct admission *admission, const uint8_t network[16]) {
  uint64_t halves[2];
  memcpy(halves, network, 16);
  uint64_t hash = mix(mix(halves[0] ^ admission->seed) + halves[1]);
  struct admission_place **link = &admission->buckets[hash % BUCKETS];
  while (*link != NULL && memcmp((*link)->network, network, 16) != 0) link = &(*link)->next;
  return link;
}

bool admission_open(struct admission *admission, uint32_t pending, uint32_t pending_per_address) {
  *admission = (struct admission){.pending_at_most = pending, .pending_per_address_at_most = pending_per_address};
  if (RAND_bytes((unsigned char *)&admission->seed, sizeof admission->seed) != 1) return false;
  admission->buckets = calloc(BUCKETS, sizeof *admission->buckets);
  return admission->buckets != NULL;
}

void admission_close(struct admission *admission) {
  for (size_t i = 0; admission->buckets != NULL && i < BUCKETS; i++) {
    while (admission->buckets[i] != NULL) {
      struct admission_place *place = admission->buckets[i];
      admission->buckets[i] = place->next;
      free(place);
    }
  }
  free(admission->buckets);
  admission->buckets = NULL;
}

bool admission_enter(struct admission *admission) {
  if (admission->pending >= admission->pending_at_most) return false;
  admission->pending++;
  return true;
}

bool admission_count(struct admission *admission, const uint8_t address[16]) {
  uint8_t network[16];
  network_of(address, network);
  struct admission_place **link = find(admission, network);
  if (*link == NULL) {
    *link = calloc(1, sizeof **link);
    if (*link == NULL) return false;
    memcpy((*link)->network, network, 16);
  }
  if ((*link)->count >= admission->pending_per_address_at_most) return false;
  (*link)->count++;
  return true;
}

uint32_t admission_of(const struct admission *admission, const uint8_t address[16]) {
  uint8_t network[16];
  network_of(address, network);
  const struct admission_place *place = *find(admission, network);
  return place == NULL ? 0 : place->count;
}

uint32_t admission_most(const struct admission *admission, uint8_t network[16]) {
  uint32_t most = 0;
  for (size_t i = 0; i < BUCKETS; i++) {
    for (const struct admission_place *place = admission->buckets[i]; place != NULL; place = place->next) {
      if (place->count <= most) continue;
      most = place->count;
      memcpy(network, place->network, 16);
    }
  }
  return most;
}

bool admission_is_of(const uint8_t network[16], const uint8_t address[16]) {
  uint8_t own[16];
  network_of(address, own);
  return memcmp(own, network, 16) == 0;
}

void admission_leave(struct admission *admission) { admission->pending--; }

void admission_discount(struct admission *admission, const uint8_t address[16]) {
  uint8_t network[16];
  network_of(address, network);
  struct admission_place **link = find(admission, network);
  if (*link == NULL || --(*link)->count > 0) return;
  struct admission_place *place = *link;
  *link = place->next;
  free(place);
}
