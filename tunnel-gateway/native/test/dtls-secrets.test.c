// sources: dtls-offers.c
// libraries: crypto
/* dtls-secrets.test.c: no block that the table of DTLS offers gives back has a session's secret in it. */
#include <string.h>
#include "cases.h"
#include "dtls-offers.h"

/* Of the address sanitizer: called with each block before it is freed. */
int __sanitizer_install_malloc_and_free_hooks(void (*made)(const volatile void *, size_t), void (*freed)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *block);

#define SECRET_BYTE 0xa5
#define SECRET_PART 8

static unsigned blocks_freed;

static void made(const volatile void *block, size_t length) { (void)block, (void)length; }

static void freed(const volatile void *block) {
  uint8_t secret[SECRET_PART];
  if (block == NULL) return;
  memset(secret, SECRET_BYTE, sizeof secret);
  blocks_freed++;
  HOLDS(memmem((const void *)block, __sanitizer_get_allocated_size(block), secret, sizeof secret) == NULL);
}

static struct dtls_offer offer_of(uint32_t session, uint8_t id) {
  struct dtls_offer offer = {.session = session, .kind = DTLS_OFFER_RESUMPTION};
  memset(offer.id, id, sizeof offer.id);
  memset(offer.key.master_secret, SECRET_BYTE, sizeof offer.key.master_secret);
  return offer;
}

static void a_secret_is_wiped_when_its_offer_ends(void) {
  struct dtls_offers *offers = dtls_offers_open(2);
  struct dtls_offer first = offer_of(1, 1), replacing = offer_of(1, 2), other = offer_of(2, 3), refused = offer_of(3, 4);
  blocks_freed = 0;
  HOLDS(dtls_offers_put(offers, &first) && dtls_offers_put(offers, &other) && blocks_freed == 0);
  HOLDS(memcmp(&dtls_offers_find(offers, first.id)->key, &first.key, sizeof first.key) == 0);
  HOLDS(dtls_offers_put(offers, &replacing) && blocks_freed == 1);
  HOLDS(!dtls_offers_put(offers, &refused) && blocks_freed == 1);
  dtls_offers_forget(offers, 1);
  HOLDS(blocks_freed == 2);
  dtls_offers_close(offers);
  HOLDS(blocks_freed == 6); /* the other's, two arrays of chains and the table */
}

int main(void) {
  HOLDS(__sanitizer_install_malloc_and_free_hooks(made, freed) > 0);
  RUN(a_secret_is_wiped_when_its_offer_ends);
  return 0;
}
