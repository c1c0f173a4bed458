/*
 * admission.h: bounds what strangers can hold. A connection counts from its acceptance until it is a session's, is handed to
 * Node, or has gone: in all, and by address. Front thread only.
 */
#ifndef ISTHMUS_ADMISSION_H
#define ISTHMUS_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

struct admission {
  uint32_t pending_at_most, pending_per_address_at_most;
  uint32_t pending;
  struct admission_place **buckets;
  uint64_t seed;
};

bool admission_open(struct admission *admission, uint32_t pending, uint32_t pending_per_address);
void admission_close(struct admission *admission);

/* One more in all, address not known yet. False where there is no place. */
bool admission_enter(struct admission *admission);
/* One more of this address; after admission_enter. */
bool admission_count(struct admission *admission, const uint8_t address[16]);

/* How many this address has. */
uint32_t admission_of(const struct admission *admission, const uint8_t address[16]);
/* How many the address with most of them has; `network` is what admission_is_of tells its connections by. */
uint32_t admission_most(const struct admission *admission, uint8_t network[16]);
bool admission_is_of(const uint8_t network[16], const uint8_t address[16]);

/* Undo them. */
void admission_leave(struct admission *admission);
void admission_discount(struct admission *admission, const uint8_t address[16]);

#endif
