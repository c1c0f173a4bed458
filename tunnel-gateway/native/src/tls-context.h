/*
 * tls-context.h: what a TLS handshake is made with. TLS 1.2 and 1.3 with forward secret AEAD suites; no tickets, no 0-RTT, no
 * renegotiation, no sessions: nothing lets a client skip its certificate. The client's certificate is asked for but not
 * demanded, and what OpenSSL says of its chain is recorded, as JavaScript decides.
 */
#ifndef ISTHMUS_TLS_CONTEXT_H
#define ISTHMUS_TLS_CONTEXT_H

#include <stdbool.h>
#include "openssl-api.h"

struct tls_identity {
  const char *certificate; /* PEM, leaf first */
  const char *key;         /* PEM */
  const char *const *authorities; /* PEM, any number of certificates in each */
  size_t authorities_count;
};

/* Once per process, before any thread starts. */
bool tls_context_start(void);

/* NULL, with what OpenSSL says in `reason`, of a bad identity. */
SSL_CTX *tls_context_new(const struct tls_identity *identity, char *reason, size_t room);

/* Records in `first_error` the first fault (X509_V_ERR_*) of the chain that the client will show, X509_V_OK without.
 * NULL: nothing any more. */
bool tls_watch_verification(SSL *ssl, int *first_error);

/* What this thread's last OpenSSL call failed of, as a text without details of ours; and forgets it. */
const char *tls_take_error(const char *otherwise);

#endif
