/*
 * verified-chains.h: client chains that libssl has found good, so that the connections of one client behind each other (login,
 * tunnel, every return) have their chain's signatures checked once. That the client holds the key is proved in each handshake
 * all the same. Only good ones are kept, each as long as all its certificates are valid; what a verification rests on beside the
 * time, trust anchors and settings, belongs to the context, and each context has chains of its own.
 *
 *     SHA-256(SHA-256(leaf) SHA-256(every certificate that the client sent) ...)  ->  valid from, valid until
 */
#ifndef ISTHMUS_VERIFIED_CHAINS_H
#define ISTHMUS_VERIFIED_CHAINS_H

#include <stdbool.h>
#include <time.h>
#include "openssl-api.h"

#define CHAIN_KEY_BYTES 32

struct verified_chains;

/* Once per process, before any thread starts. */
bool verified_chains_start(void);

/* The context's own, freed with it; NULL without memory. Used on the thread of its handshakes alone. */
struct verified_chains *verified_chains_of_context(SSL_CTX *context);

/* False: the chain is too long to be remembered. */
bool verified_chains_key(const X509_STORE_CTX *chain, uint8_t key[CHAIN_KEY_BYTES]);

bool verified_chains_know(const struct verified_chains *chains, const uint8_t key[CHAIN_KEY_BYTES], time_t now);

/* `chain` has just been verified without a fault. */
void verified_chains_add(struct verified_chains *chains, const uint8_t key[CHAIN_KEY_BYTES], const X509_STORE_CTX *chain);

#endif
