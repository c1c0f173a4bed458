/*
 * The end of the front's part: a connection becomes the TLS transport of a session, on the session's packet thread.
 */
#include <string.h>
#include <sys/epoll.h>
#include "dtls-front.h"
#include "front-thread.h"
#include "tls-context.h"
#include "worker.h"

static const char PSK_LABEL[] = "EXPORTER-openconnect-psk";

static bool fill_offer(struct connection *connection, const struct front_attachment *attachment, struct dtls_offer *offer) {
  memcpy(offer->id, attachment->id, sizeof offer->id);
  offer->session = attachment->session;
  offer->worker = attachment->worker;
  if (attachment->offer == OFFER_PSK) {
    offer->kind = DTLS_OFFER_PSK;
    return SSL_export_keying_material(connection->ssl, offer->key.psk, sizeof offer->key.psk, PSK_LABEL,
                                      sizeof PSK_LABEL - 1, NULL, 0, 0) == 1;
  }
  offer->kind = DTLS_OFFER_RESUMPTION;
  memcpy(offer->key.master_secret, attachment->master_secret, sizeof offer->key.master_secret);
  return dtls_offer_cipher(attachment->cipher, offer->cipher);
}

/* Without its offer the session still has TLS. */
static void put_offer(struct connection *connection, const struct front_attachment *attachment) {
  struct dtls_front *dtls = connection->front->dtls;
  struct dtls_offer offer = {0};
  /* What the session was offered with an earlier connection ends with that. */
  if (dtls != NULL) dtls_front_forget(dtls, attachment->session);
  if (attachment->offer == OFFER_NONE) return;
  if (dtls == NULL || !fill_offer(connection, attachment, &offer) || !dtls_front_offer(dtls, &offer))
    events_tell(EVENT_SESSION_DTLS_DOWN, attachment->session, "DTLS cannot be offered");
  OPENSSL_cleanse(&offer, sizeof offer);
}

void connection_attach(struct connection *connection, const struct front_attachment *attachment, const uint8_t *head,
                       size_t length) {
  struct front *front = connection->front;
  put_offer(connection, attachment);
  if (!connection_write(connection, head, length)) {
    if (front->dtls != NULL) dtls_front_forget(front->dtls, attachment->session);
    return events_tell(EVENT_SESSION_TLS_DOWN, attachment->session, "the connection broke");
  }
  /* Nothing is unread: what came was decrypted to the last record and told. */
  struct tls_handover handover = {
      .session = attachment->session, .ssl = connection->ssl, .wire = connection->wire, .fd = connection->fd};
  handover.unsent = byte_queue_take(&connection->unsent, &handover.unsent_length);
  tls_watch_verification(connection->ssl, NULL);
  connection->wire->in = NULL;
  connection->wire->in_left = 0;
  epoll_ctl(front->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
  connection->ssl = NULL;
  connection->wire = NULL;
  connection->fd = -1;
  connection_free(connection);
  front_count(front, COUNT_ATTACHED);
  worker_attach_tls(attachment->worker, &handover);
}
