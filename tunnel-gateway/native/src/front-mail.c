/*
 * What JavaScript asks of the front, as messages. They may carry passwords and secrets: they are wiped.
 */
#include <stdlib.h>
#include <string.h>
#include "dtls-front.h"
#include "front-running.h"
#include "front-thread.h"

struct front_message {
  struct message message; /* first */
  struct front_attachment attachment; /* its connection and session serve the others, too */
  bool is_clean, is_wanted;
  SSL_CTX *tls;
  size_t length;
  uint8_t bytes[];
};

static void drop(struct message *self) {
  struct front_message *message = (struct front_message *)self;
  SSL_CTX_free(message->tls);
  OPENSSL_cleanse(message, sizeof *message + message->length);
  free(message);
}

/* Gives the message away; frees it where there is no front. */
static void post(struct front_message *message) {
  struct front *front = front_running();
  if (front == NULL) drop(&message->message);
  else mailbox_post(&front->mailbox, &message->message);
}

static struct front_message *message_new(void (*run)(struct message *, void *), const uint8_t *bytes, size_t length) {
  struct front_message *message = calloc(1, sizeof *message + length);
  if (message == NULL) abort(); /* what Node does, too */
  message->message.run = run;
  message->message.drop = drop;
  message->length = length;
  if (length > 0) memcpy(message->bytes, bytes, length);
  return message;
}

/* Still open; one that has closed was told of, and JavaScript may not have heard yet. */
static struct connection *open_connection(struct front *front, uint32_t id) {
  struct connection *connection = connection_find(front, id);
  return connection != NULL && connection->stage == STAGE_OPEN ? connection : NULL;
}

static void run_stop(struct message *self, void *owner) {
  ((struct front *)owner)->is_stopping = true;
  drop(self);
}

static void run_set_tls(struct message *self, void *owner) {
  struct front_message *message = (struct front_message *)self;
  struct front *front = owner;
  SSL_CTX_free(front->options.tls);
  front->options.tls = message->tls;
  message->tls = NULL;
  drop(self);
}

static void run_write(struct message *self, void *owner) {
  struct front_message *message = (struct front_message *)self;
  struct connection *connection = open_connection(owner, message->attachment.connection);
  if (connection != NULL) connection_write(connection, message->bytes, message->length);
  drop(self);
}

static void run_stream(struct message *self, void *owner) {
  struct front_message *message = (struct front_message *)self;
  struct connection *connection = open_connection(owner, message->attachment.connection);
  if (connection != NULL) connection_stream(connection, message->is_wanted);
  drop(self);
}

static void run_end(struct message *self, void *owner) {
  struct front_message *message = (struct front_message *)self;
  struct connection *connection = open_connection(owner, message->attachment.connection);
  if (connection != NULL) connection_end(connection, message->is_clean);
  drop(self);
}

static void run_attach(struct message *self, void *owner) {
  struct front_message *message = (struct front_message *)self;
  struct connection *connection = open_connection(owner, message->attachment.connection);
  if (connection != NULL) connection_attach(connection, &message->attachment, message->bytes, message->length);
  else events_tell(EVENT_SESSION_TLS_DOWN, message->attachment.session, "the connection had closed");
  drop(self);
}

static void run_forget_offers(struct message *self, void *owner) {
  struct front_message *message = (struct front_message *)self;
  struct front *front = owner;
  if (front->dtls != NULL) dtls_front_forget(front->dtls, message->attachment.session);
  drop(self);
}

void front_ask_to_stop(struct front *front) {
  mailbox_post(&front->mailbox, &message_new(run_stop, NULL, 0)->message);
}

void front_set_tls(SSL_CTX *tls) {
  struct front_message *message = message_new(run_set_tls, NULL, 0);
  message->tls = tls;
  post(message);
}

void front_write(uint32_t connection, const uint8_t *bytes, size_t length) {
  struct front_message *message = message_new(run_write, bytes, length);
  message->attachment.connection = connection;
  post(message);
}

void front_stream(uint32_t connection, bool is_wanted) {
  struct front_message *message = message_new(run_stream, NULL, 0);
  message->attachment.connection = connection;
  message->is_wanted = is_wanted;
  post(message);
}

void front_end(uint32_t connection, bool is_clean) {
  struct front_message *message = message_new(run_end, NULL, 0);
  message->attachment.connection = connection;
  message->is_clean = is_clean;
  post(message);
}

void front_attach(const struct front_attachment *attachment, const uint8_t *head, size_t length) {
  struct front_message *message = message_new(run_attach, head, length);
  message->attachment = *attachment;
  post(message);
}

void front_forget_offers(uint32_t session) {
  struct front_message *message = message_new(run_forget_offers, NULL, 0);
  message->attachment.session = session;
  post(message);
}
