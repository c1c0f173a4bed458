/*
 * openssl-api.h: what we use of OpenSSL. The node binary exports libssl and libcrypto 3.5 but a machine that builds us need not
 * have their headers, so that the stable part of their interface is declared here; src/packets/openssl-api.test.ts compares
 * every line with the real headers. Keep a section for each file that adds to it.
 */
#ifndef ISTHMUS_OPENSSL_API_H
#define ISTHMUS_OPENSSL_API_H

#include <stddef.h>
#include <stdint.h>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_method_st SSL_METHOD;
typedef struct ssl_session_st SSL_SESSION;
typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;
typedef union bio_addr_st BIO_ADDR;
typedef struct x509_st X509;
typedef struct X509_name_st X509_NAME;
typedef struct x509_store_st X509_STORE;
typedef struct x509_store_ctx_st X509_STORE_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_md_st EVP_MD;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_mac_st EVP_MAC;
typedef struct evp_mac_ctx_st EVP_MAC_CTX;
typedef struct engine_st ENGINE;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;
typedef struct ossl_param_st OSSL_PARAM;
typedef struct crypto_ex_data_st CRYPTO_EX_DATA;
typedef struct asn1_string_st ASN1_TIME;
typedef struct stack_st OPENSSL_STACK;
struct stack_st_X509;
struct stack_st_SSL_CIPHER;

/* --- connections --- */
#define SSL_ERROR_NONE 0
#define SSL_ERROR_SSL 1
#define SSL_ERROR_WANT_READ 2
#define SSL_ERROR_WANT_WRITE 3
#define SSL_ERROR_SYSCALL 5
#define SSL_ERROR_ZERO_RETURN 6
#define SSL_SENT_SHUTDOWN 1
#define SSL_RECEIVED_SHUTDOWN 2
#define SSL_KEY_UPDATE_NOT_REQUESTED 0
#define SSL_KEY_UPDATE_REQUESTED 1

SSL *SSL_new(SSL_CTX *ctx);
void SSL_free(SSL *ssl);
int SSL_up_ref(SSL *s);
void SSL_set_bio(SSL *s, BIO *rbio, BIO *wbio);
BIO *SSL_get_rbio(const SSL *s);
BIO *SSL_get_wbio(const SSL *s);
void SSL_set_accept_state(SSL *s);
int SSL_do_handshake(SSL *s);
int SSL_accept(SSL *ssl);
int SSL_read(SSL *ssl, void *buf, int num);
int SSL_write(SSL *ssl, const void *buf, int num);
int SSL_get_error(const SSL *s, int ret_code);
int SSL_shutdown(SSL *s);
int SSL_get_shutdown(const SSL *ssl);
void SSL_set_shutdown(SSL *ssl, int mode);
void SSL_set_quiet_shutdown(SSL *ssl, int mode);
int SSL_pending(const SSL *s);
int SSL_has_pending(const SSL *s);
int SSL_is_init_finished(const SSL *s);
int SSL_in_init(const SSL *s);
int SSL_version(const SSL *ssl);
const char *SSL_get_version(const SSL *s);
int SSL_key_update(SSL *s, int updatetype);
long SSL_ctrl(SSL *ssl, int cmd, long larg, void *parg);
int SSL_free_buffers(SSL *ssl);
int SSL_set_ex_data(SSL *ssl, int idx, void *data);
void *SSL_get_ex_data(const SSL *ssl, int idx);
SSL_CTX *SSL_get_SSL_CTX(const SSL *ssl);
const SSL_CIPHER *SSL_get_current_cipher(const SSL *s);
const char *SSL_CIPHER_get_name(const SSL_CIPHER *c);
uint32_t SSL_CIPHER_get_id(const SSL_CIPHER *c);
const char *SSL_get_servername(const SSL *s, const int type);
long SSL_get_verify_result(const SSL *ssl);
void SSL_set_verify_result(SSL *ssl, long v);
X509 *SSL_get0_peer_certificate(const SSL *s);
struct stack_st_X509 *SSL_get_peer_cert_chain(const SSL *s);
int SSL_export_keying_material(SSL *s, unsigned char *out, size_t olen, const char *label, size_t llen,
                               const unsigned char *context, size_t contextlen, int use_context);

/* --- contexts --- */
#define TLS1_2_VERSION 0x0303
#define TLS1_3_VERSION 0x0304
#define SSL_OP_NO_EXTENDED_MASTER_SECRET ((uint64_t)1 << 0)
#define SSL_OP_IGNORE_UNEXPECTED_EOF ((uint64_t)1 << 7)
#define SSL_OP_NO_QUERY_MTU ((uint64_t)1 << 12)
#define SSL_OP_COOKIE_EXCHANGE ((uint64_t)1 << 13)
#define SSL_OP_NO_TICKET ((uint64_t)1 << 14)
#define SSL_OP_NO_COMPRESSION ((uint64_t)1 << 17)
#define SSL_OP_NO_ENCRYPT_THEN_MAC ((uint64_t)1 << 19)
#define SSL_OP_CIPHER_SERVER_PREFERENCE ((uint64_t)1 << 22)
#define SSL_OP_NO_RENEGOTIATION ((uint64_t)1 << 30)
#define SSL_OP_NO_TX_CERTIFICATE_COMPRESSION ((uint64_t)1 << 32)
#define SSL_OP_NO_RX_CERTIFICATE_COMPRESSION ((uint64_t)1 << 33)
#define SSL_MODE_ENABLE_PARTIAL_WRITE 1
#define SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER 2
#define SSL_MODE_AUTO_RETRY 4
#define SSL_MODE_RELEASE_BUFFERS 16
#define SSL_VERIFY_NONE 0
#define SSL_VERIFY_PEER 1
#define SSL_SESS_CACHE_OFF 0
#define SSL_CTRL_MODE 33
#define SSL_CTRL_SET_READ_AHEAD 41
#define SSL_CTRL_SET_SESS_CACHE_MODE 44
#define SSL_CTRL_SET_MAX_CERT_LIST 51
#define SSL_CTRL_SET_MAX_SEND_FRAGMENT 52
#define SSL_CTRL_CHAIN_CERT 89
#define SSL_CTRL_SET_GROUPS_LIST 92
#define SSL_CTRL_SET_DH_AUTO 118
#define SSL_CTRL_SET_MIN_PROTO_VERSION 123
#define SSL_CTRL_SET_MAX_PROTO_VERSION 124
#define SSL_TLSEXT_ERR_OK 0
#define SSL_TLSEXT_ERR_ALERT_FATAL 2
#define SSL_TLSEXT_ERR_NOACK 3
#define TLSEXT_NAMETYPE_host_name 0
#define SSL_CB_HANDSHAKE_START 0x10
#define SSL_CB_HANDSHAKE_DONE 0x20
#define SSL_CB_READ_ALERT 0x4004
#define SSL_CB_WRITE_ALERT 0x4008

const SSL_METHOD *TLS_server_method(void);
SSL_CTX *SSL_CTX_new(const SSL_METHOD *meth);
void SSL_CTX_free(SSL_CTX *ctx);
int SSL_CTX_up_ref(SSL_CTX *ctx);
long SSL_CTX_ctrl(SSL_CTX *ctx, int cmd, long larg, void *parg);
uint64_t SSL_CTX_set_options(SSL_CTX *ctx, uint64_t op);
uint64_t SSL_set_options(SSL *s, uint64_t op);
int SSL_CTX_set_cipher_list(SSL_CTX *ctx, const char *str);
int SSL_CTX_set_ciphersuites(SSL_CTX *ctx, const char *str);
int SSL_CTX_set_num_tickets(SSL_CTX *ctx, size_t num_tickets);
int SSL_CTX_set_max_early_data(SSL_CTX *ctx, uint32_t max_early_data);
int SSL_CTX_set_session_id_context(SSL_CTX *ctx, const unsigned char *sid_ctx, unsigned int sid_ctx_len);
void SSL_CTX_set_verify(SSL_CTX *ctx, int mode, int (*callback)(int preverify_ok, X509_STORE_CTX *x509_ctx));
void SSL_CTX_set_verify_depth(SSL_CTX *ctx, int depth);
void SSL_CTX_set_cert_store(SSL_CTX *ctx, X509_STORE *store);
int SSL_CTX_use_certificate(SSL_CTX *ctx, X509 *x);
int SSL_CTX_use_PrivateKey(SSL_CTX *ctx, EVP_PKEY *pkey);
int SSL_CTX_check_private_key(const SSL_CTX *ctx);
int SSL_CTX_add_client_CA(SSL_CTX *ctx, X509 *x);
void SSL_CTX_set_alpn_select_cb(SSL_CTX *ctx,
                                int (*cb)(SSL *ssl, const unsigned char **out, unsigned char *outlen,
                                          const unsigned char *in, unsigned int inlen, void *arg),
                                void *arg);
void SSL_CTX_set_info_callback(SSL_CTX *ctx, void (*cb)(const SSL *ssl, int type, int val));
void SSL_set_info_callback(SSL *ssl, void (*cb)(const SSL *ssl, int type, int val));
int SSL_CTX_set_ex_data(SSL_CTX *ssl, int idx, void *data);
void *SSL_CTX_get_ex_data(const SSL_CTX *ssl, int idx);

/* --- BIOs (wire.c) --- */
#define BIO_TYPE_SOURCE_SINK 0x0400
#define BIO_FLAGS_READ 0x01
#define BIO_FLAGS_WRITE 0x02
#define BIO_FLAGS_RWS 0x07
#define BIO_FLAGS_SHOULD_RETRY 0x08
#define BIO_CTRL_EOF 2
#define BIO_CTRL_PENDING 10
#define BIO_CTRL_FLUSH 11
#define BIO_CTRL_WPENDING 13
#define BIO_CTRL_DGRAM_QUERY_MTU 40
#define BIO_CTRL_DGRAM_GET_MTU 41
#define BIO_CTRL_DGRAM_SET_MTU 42
#define BIO_CTRL_DGRAM_MTU_EXCEEDED 43
#define BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT 45
#define BIO_CTRL_DGRAM_GET_PEER 46
#define BIO_CTRL_DGRAM_GET_FALLBACK_MTU 47
#define BIO_CTRL_DGRAM_GET_MTU_OVERHEAD 49
#define BIO_CTRL_DGRAM_SET_PEEK_MODE 71

BIO *BIO_new(const BIO_METHOD *type);
BIO *BIO_new_mem_buf(const void *buf, int len);
int BIO_free(BIO *a);
int BIO_up_ref(BIO *a);
int BIO_get_new_index(void);
BIO_METHOD *BIO_meth_new(int type, const char *name);
void BIO_meth_free(BIO_METHOD *biom);
int BIO_meth_set_read(BIO_METHOD *biom, int (*read)(BIO *, char *, int));
int BIO_meth_set_write(BIO_METHOD *biom, int (*write)(BIO *, const char *, int));
int BIO_meth_set_ctrl(BIO_METHOD *biom, long (*ctrl)(BIO *, int, long, void *));
int BIO_meth_set_create(BIO_METHOD *biom, int (*create)(BIO *));
int BIO_meth_set_destroy(BIO_METHOD *biom, int (*destroy)(BIO *));
void BIO_set_init(BIO *a, int init);
void BIO_set_data(BIO *a, void *ptr);
void *BIO_get_data(BIO *a);
void BIO_set_flags(BIO *b, int flags);
void BIO_clear_flags(BIO *b, int flags);

/* --- certificates and keys (tls-context.c) --- */
#define X509_V_OK 0
#define X509_V_FLAG_PARTIAL_CHAIN 0x80000
#define ERR_LIB_PEM 9
#define PEM_R_NO_START_LINE 108

X509 *PEM_read_bio_X509(BIO *out, X509 **x, int (*cb)(char *buf, int size, int rwflag, void *userdata), void *u);
EVP_PKEY *PEM_read_bio_PrivateKey(BIO *out, EVP_PKEY **x, int (*cb)(char *buf, int size, int rwflag, void *userdata),
                                  void *u);
void X509_free(X509 *a);
int X509_up_ref(X509 *x);
int i2d_X509(const X509 *a, unsigned char **out);
void EVP_PKEY_free(EVP_PKEY *pkey);
X509_STORE *X509_STORE_new(void);
void X509_STORE_free(X509_STORE *xs);
int X509_STORE_add_cert(X509_STORE *xs, X509 *x);
int X509_STORE_set_flags(X509_STORE *xs, unsigned long flags);
const char *X509_verify_cert_error_string(long n);
int X509_STORE_CTX_get_error(const X509_STORE_CTX *ctx);
void X509_STORE_CTX_set_error(X509_STORE_CTX *ctx, int s);
int X509_STORE_CTX_get_error_depth(const X509_STORE_CTX *ctx);
void *X509_STORE_CTX_get_ex_data(const X509_STORE_CTX *ctx, int idx);
int SSL_get_ex_data_X509_STORE_CTX_idx(void);
int OPENSSL_sk_num(const OPENSSL_STACK *);
void *OPENSSL_sk_value(const OPENSSL_STACK *, int);

/* --- errors, memory, chance --- */
#define CRYPTO_EX_INDEX_SSL 0
#define CRYPTO_EX_INDEX_SSL_CTX 1

unsigned long ERR_get_error(void);
unsigned long ERR_peek_error(void);
unsigned long ERR_peek_last_error(void);
void ERR_clear_error(void);
const char *ERR_reason_error_string(unsigned long e);
void ERR_error_string_n(unsigned long e, char *buf, size_t len);
void OPENSSL_cleanse(void *ptr, size_t len);
int CRYPTO_memcmp(const void *in_a, const void *in_b, size_t len);
int CRYPTO_get_ex_new_index(int class_index, long argl, void *argp,
                            void (*new_func)(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp),
                            int (*dup_func)(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **from_d, int idx,
                                            long argl, void *argp),
                            void (*free_func)(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
                                              void *argp));
int RAND_bytes(unsigned char *buf, int num);
void OPENSSL_thread_stop(void);
unsigned long OpenSSL_version_num(void);
const char *OpenSSL_version(int type);

/* --- DTLS (dtls-front.c, dtls-context.c) --- */
#define DTLS1_VERSION 0xFEFF
#define DTLS1_2_VERSION 0xFEFD
#define DTLS1_COOKIE_LENGTH 255
#define DTLS1_RT_HEADER_LENGTH 13
#define SSL_CTRL_SET_MTU 17
#define DTLS_CTRL_GET_TIMEOUT 73
#define DTLS_CTRL_HANDLE_TIMEOUT 74
#define DTLS_CTRL_SET_LINK_MTU 120
#define DTLS_CTRL_GET_LINK_MIN_MTU 121
#define SSL_OP_PRIORITIZE_CHACHA ((uint64_t)1 << 21)
#define SSL_CLIENT_HELLO_SUCCESS 1
#define SSL_CLIENT_HELLO_ERROR 0
#define SSL_CLIENT_HELLO_RETRY (-1)
#define SSL_AD_HANDSHAKE_FAILURE 40
#define SSL_AD_ILLEGAL_PARAMETER 47
#define SSL_AD_ACCESS_DENIED 49
#define SSL_AD_INTERNAL_ERROR 80
#define SSL_MAX_SSL_SESSION_ID_LENGTH 32
#define SSL_MAX_MASTER_KEY_LENGTH 48
#define SSL_SESS_CACHE_SERVER 0x0002
#define SSL_SESS_CACHE_NO_INTERNAL 0x0300

const SSL_METHOD *DTLS_server_method(void);
int DTLSv1_listen(SSL *s, BIO_ADDR *client);
void DTLS_set_timer_cb(SSL *s, unsigned int (*cb)(SSL *s, unsigned int timer_us));
size_t DTLS_get_data_mtu(const SSL *s);
BIO_ADDR *BIO_ADDR_new(void);
void BIO_ADDR_free(BIO_ADDR *);
void BIO_ADDR_clear(BIO_ADDR *ap);
int BIO_ADDR_rawmake(BIO_ADDR *ap, int family, const void *where, size_t wherelen, unsigned short port);
void SSL_CTX_set_cookie_generate_cb(SSL_CTX *ctx,
                                    int (*app_gen_cookie_cb)(SSL *ssl, unsigned char *cookie, unsigned int *cookie_len));
void SSL_CTX_set_cookie_verify_cb(SSL_CTX *ctx,
                                  int (*app_verify_cookie_cb)(SSL *ssl, const unsigned char *cookie,
                                                              unsigned int cookie_len));
void SSL_CTX_set_psk_server_callback(SSL_CTX *ctx, unsigned int (*cb)(SSL *ssl, const char *identity, unsigned char *psk,
                                                                      unsigned int max_psk_len));
int SSL_CTX_use_psk_identity_hint(SSL_CTX *ctx, const char *identity_hint);
const char *SSL_get_psk_identity(const SSL *s);
void SSL_CTX_set_client_hello_cb(SSL_CTX *c, int (*cb)(SSL *s, int *al, void *arg), void *arg);
size_t SSL_client_hello_get0_session_id(SSL *s, const unsigned char **out);
size_t SSL_client_hello_get0_ciphers(SSL *s, const unsigned char **out);
size_t SSL_client_hello_get0_random(SSL *s, const unsigned char **out);
unsigned int SSL_client_hello_get0_legacy_version(SSL *s);
int SSL_client_hello_get0_ext(SSL *s, unsigned int type, const unsigned char **out, size_t *outlen);
SSL_SESSION *SSL_SESSION_new(void);
void SSL_SESSION_free(SSL_SESSION *ses);
int SSL_SESSION_up_ref(SSL_SESSION *ses);
int SSL_SESSION_set1_id(SSL_SESSION *s, const unsigned char *sid, unsigned int sid_len);
int SSL_SESSION_set1_id_context(SSL_SESSION *s, const unsigned char *sid_ctx, unsigned int sid_ctx_len);
int SSL_SESSION_set1_master_key(SSL_SESSION *sess, const unsigned char *in, size_t len);
int SSL_SESSION_set_cipher(SSL_SESSION *s, const SSL_CIPHER *cipher);
int SSL_SESSION_set_protocol_version(SSL_SESSION *s, int version);
long SSL_SESSION_set_timeout(SSL_SESSION *s, long t);
const unsigned char *SSL_SESSION_get_id(const SSL_SESSION *s, unsigned int *len);
void SSL_CTX_sess_set_get_cb(SSL_CTX *ctx, SSL_SESSION *(*get_session_cb)(struct ssl_st *ssl, const unsigned char *data,
                                                                           int len, int *copy));
int SSL_CTX_add_session(SSL_CTX *ctx, SSL_SESSION *session);
int SSL_set_session(SSL *to, SSL_SESSION *session);
SSL_SESSION *SSL_get_session(const SSL *ssl);
int SSL_session_reused(const SSL *s);
int SSL_set_cipher_list(SSL *s, const char *str);
const SSL_CIPHER *SSL_CIPHER_find(SSL *ssl, const unsigned char *ptr);
struct stack_st_SSL_CIPHER *SSL_get_ciphers(const SSL *s);
void SSL_CTX_set_security_level(SSL_CTX *ctx, int level);
void SSL_set_security_level(SSL *s, int level);
void SSL_set_verify(SSL *s, int mode, int (*callback)(int preverify_ok, X509_STORE_CTX *x509_ctx));

/* --- digests and AEAD --- */
#define EVP_MAX_MD_SIZE 64
#define EVP_CTRL_AEAD_SET_IVLEN 0x9
#define EVP_CTRL_AEAD_GET_TAG 0x10
#define EVP_CTRL_AEAD_SET_TAG 0x11

const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *evp_md, const void *key, int key_len, const unsigned char *data, size_t data_len,
                    unsigned char *md, unsigned int *md_len);
const EVP_CIPHER *EVP_aes_128_gcm(void);
const EVP_CIPHER *EVP_aes_256_gcm(void);
const EVP_CIPHER *EVP_chacha20_poly1305(void);
EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *c);
int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr);
int EVP_EncryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, ENGINE *impl, const unsigned char *key,
                       const unsigned char *iv);
int EVP_EncryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in, int inl);
int EVP_EncryptFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl);
int EVP_DecryptInit_ex(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, ENGINE *impl, const unsigned char *key,
                       const unsigned char *iv);
int EVP_DecryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in, int inl);
int EVP_DecryptFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *outm, int *outl);

/* --- chains that were verified before (verified-chains.c) --- */
#define CRYPTO_EX_INDEX_SSL_CTX 1

struct tm;
void SSL_CTX_set_cert_verify_callback(SSL_CTX *ctx, int (*cb)(X509_STORE_CTX *, void *), void *arg);
int X509_verify_cert(X509_STORE_CTX *ctx);
struct stack_st_X509 *X509_STORE_CTX_get0_untrusted(const X509_STORE_CTX *ctx);
struct stack_st_X509 *X509_STORE_CTX_get0_chain(const X509_STORE_CTX *ctx);
X509 *X509_STORE_CTX_get0_cert(const X509_STORE_CTX *ctx);
int X509_digest(const X509 *data, const EVP_MD *type, unsigned char *md, unsigned int *len);
const ASN1_TIME *X509_get0_notBefore(const X509 *x);
const ASN1_TIME *X509_get0_notAfter(const X509 *x);
int ASN1_TIME_to_tm(const ASN1_TIME *s, struct tm *tm);
int EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned int *size, const EVP_MD *type, ENGINE *impl);

#endif
