// sources: tls-context.c verified-chains.c
// libraries: ssl crypto
/*
 * What a handshake records of the client's chain.
 */
#include <string.h>
#include "cases.h"
#include "tls-context.h"

#define ISSUER_UNKNOWN 20 /* X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY */

const SSL_METHOD *TLS_client_method(void);
const BIO_METHOD *BIO_s_mem(void);
void SSL_set_connect_state(SSL *s);
int BIO_up_ref(BIO *a);

/* Two faults: nobody knows its issuer, and it has expired. The gateway's own, too, as the client looks at nothing. */
static const char LEAF[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBDTCBs6ADAgECAgEBMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBk5vYm9keTAe\n"
    "Fw0yMDAxMDEwMDAwMDBaFw0yMDAxMDIwMDAwMDBaMA8xDTALBgNVBAMMBExlYWYw\n"
    "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATnpgg1bHQ3z6wtI1jXp6HCEe1EOdZu\n"
    "pKeLUDitZ23WFWjVKs6B5rmmkjMxcNPB+ctu512Q+ohatBwprVWokVzAMAoGCCqG\n"
    "SM49BAMCA0kAMEYCIQD7xSHJ5J8NNlx7BjFIB4f/+V4GK075VFldfSDoKaAAFgIh\n"
    "ALQfZzjh4VJz5F/Oq4p82mXmo8RCG2H+MJkcZ0AxIHai\n"
    "-----END CERTIFICATE-----\n";
static const char KEY[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdpJ3GUGFPfaI/Esi\n"
    "KPMCysmhQR+EZJQARr3zvZuptgihRANCAATnpgg1bHQ3z6wtI1jXp6HCEe1EOdZu\n"
    "pKeLUDitZ23WFWjVKs6B5rmmkjMxcNPB+ctu512Q+ohatBwprVWokVzA\n"
    "-----END PRIVATE KEY-----\n";

static SSL *side(SSL_CTX *context, BIO *in, BIO *out) {
  SSL *ssl = SSL_new(context);
  BIO_up_ref(in);
  BIO_up_ref(out);
  SSL_set_bio(ssl, in, out);
  return ssl;
}

static void the_first_fault_of_a_chain_is_recorded_and_nothing_behind_it_is_looked_at(void) {
  char reason[256];
  struct tls_identity identity = {.certificate = LEAF, .key = KEY};
  SSL_CTX *context = tls_context_new(&identity, reason, sizeof reason), *clients = SSL_CTX_new(TLS_client_method());
  HOLDS(context != NULL);
  BIO *bio = BIO_new_mem_buf(LEAF, -1);
  X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  BIO_free(bio);
  bio = BIO_new_mem_buf(KEY, -1);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
  BIO_free(bio);
  HOLDS(SSL_CTX_use_certificate(clients, certificate) == 1 && SSL_CTX_use_PrivateKey(clients, key) == 1);
  BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
  SSL *server = side(context, up, down), *client = side(clients, down, up);
  SSL_set_accept_state(server);
  SSL_set_connect_state(client);
  int first_error;
  HOLDS(tls_watch_verification(server, &first_error));
  for (int turns = 0; turns < 8 && !SSL_is_init_finished(server); turns++) {
    SSL_do_handshake(client);
    SSL_do_handshake(server);
  }
  HOLDS(SSL_is_init_finished(server) && SSL_get0_peer_certificate(server) != NULL);
  HOLDS(first_error == ISSUER_UNKNOWN);
  HOLDS(SSL_get_verify_result(server) == first_error);
  SSL_free(server);
  SSL_free(client);
  BIO_free(up);
  BIO_free(down);
  X509_free(certificate);
  EVP_PKEY_free(key);
  SSL_CTX_free(clients);
  SSL_CTX_free(context);
}

int main(void) {
  HOLDS(tls_context_start());
  RUN(the_first_fault_of_a_chain_is_recorded_and_nothing_behind_it_is_looked_at);
  return 0;
}
