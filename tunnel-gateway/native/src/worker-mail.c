/* What other threads ask of a packet thread, as messages to its mailbox. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "worker-start.h"
#include "worker-state.h"

struct request {
  struct message message; /* first: a message is its request */
  union {
    struct session_options options;
    struct tls_handover tls;
    struct dtls_handover dtls;
    struct {
      uint32_t session;
      uint8_t type;
      char text[FAREWELL_BYTES_AT_MOST + 1];
    } farewell;
    struct {
      uint32_t number;
      struct policy *policy;
    } policy;
  };
};

static void drop_plain(struct message *message) { free(message); }

static void drop_tls(const struct tls_handover *handover) {
  SSL_free(handover->ssl);
  free(handover->wire);
  if (handover->unread != NULL) OPENSSL_cleanse(handover->unread, handover->unread_length);
  free(handover->unread);
  free(handover->unsent);
  close(handover->fd);
}

static void drop_dtls(const struct dtls_handover *handover) {
  SSL_free(handover->ssl);
  free(handover->wire);
  close(handover->fd);
}

static struct request *request_new(void (*run)(struct message *, void *), void (*drop)(struct message *)) {
  struct request *request = calloc(1, sizeof *request);
  /* As Node does. A lost request would leave a session open that was ended, or a policy in force that was withdrawn. */
  if (request == NULL) abort();
  request->message.run = run;
  request->message.drop = drop;
  return request;
}

static void post(unsigned index, struct request *request) {
  struct worker *worker = worker_at(index);
  if (worker == NULL) request->message.drop(&request->message);
  else mailbox_post(&worker->mailbox, &request->message);
}

static void run_open(struct message *message, void *worker) {
  struct request *request = (struct request *)message;
  session_open(worker, &request->options);
  free(request);
}

void worker_open_session(unsigned worker, const struct session_options *options) {
  struct request *request = request_new(run_open, drop_plain);
  request->options = *options;
  post(worker, request);
}

static void run_change(struct message *message, void *worker) {
  struct request *request = (struct request *)message;
  struct session *session = session_by_id(worker, request->options.id);
  if (session != NULL) session_change(session, &request->options);
  free(request);
}

void worker_change_session(unsigned worker, const struct session_options *options) {
  struct request *request = request_new(run_change, drop_plain);
  request->options = *options;
  post(worker, request);
}

static void run_close(struct message *message, void *worker) {
  struct request *request = (struct request *)message;
  struct session *session = session_by_id(worker, request->farewell.session);
  if (session != NULL) session_close(session, request->farewell.type, request->farewell.text);
  free(request);
}

void worker_close_session(unsigned worker, uint32_t session, uint8_t type, const char *text) {
  struct request *request = request_new(run_close, drop_plain);
  request->farewell.session = session;
  request->farewell.type = type;
  memcpy(request->farewell.text, text, strnlen(text, sizeof request->farewell.text - 1));
  post(worker, request);
}

static void drop_attach_tls(struct message *message) {
  drop_tls(&((struct request *)message)->tls);
  free(message);
}

static void run_attach_tls(struct message *message, void *worker) {
  struct request *request = (struct request *)message;
  struct session *session = session_by_id(worker, request->tls.session);
  if (session == NULL) {
    drop_attach_tls(message);
    return;
  }
  session_attach_tls(session, &request->tls);
  if (request->tls.unread != NULL) OPENSSL_cleanse(request->tls.unread, request->tls.unread_length);
  free(request->tls.unread);
  free(request);
}

void worker_attach_tls(unsigned worker, const struct tls_handover *handover) {
  struct request *request = request_new(run_attach_tls, drop_attach_tls);
  request->tls = *handover;
  post(worker, request);
}

static void drop_attach_dtls(struct message *message) {
  drop_dtls(&((struct request *)message)->dtls);
  free(message);
}

static void run_attach_dtls(struct message *message, void *worker) {
  struct request *request = (struct request *)message;
  struct session *session = session_by_id(worker, request->dtls.session);
  if (session == NULL) {
    drop_attach_dtls(message);
    return;
  }
  session_attach_dtls(session, &request->dtls);
  free(request);
}

void worker_attach_dtls(unsigned worker, const struct dtls_handover *handover) {
  struct request *request = request_new(run_attach_dtls, drop_attach_dtls);
  request->dtls = *handover;
  post(worker, request);
}

static void drop_policy(struct message *message) {
  struct request *request = (struct request *)message;
  if (request->policy.policy != NULL) policy_release(request->policy.policy);
  free(request);
}

static void run_set_policy(struct message *message, void *worker) {
  struct request *request = (struct request *)message;
  session_set_policy(worker, request->policy.number, request->policy.policy);
  free(request);
}

void worker_set_policy(unsigned worker, uint32_t number, struct policy *policy) {
  struct request *request = request_new(run_set_policy, drop_policy);
  request->policy.number = number;
  request->policy.policy = policy;
  post(worker, request);
}

static void run_stop(struct message *message, void *owner) {
  struct request *request = (struct request *)message;
  struct worker *worker = owner;
  worker->is_stopping = true;
  for (uint32_t slot = 0; slot < worker->options.slots; slot++)
    if (worker->by_slot[slot] != NULL)
      session_close(worker->by_slot[slot], request->farewell.type, request->farewell.text);
  free(request);
}

bool worker_ask_to_stop(struct worker *worker, uint8_t type, const char *text) {
  struct request *request = request_new(run_stop, drop_plain);
  request->farewell.type = type;
  memcpy(request->farewell.text, text, strnlen(text, sizeof request->farewell.text - 1));
  mailbox_post(&worker->mailbox, &request->message);
  return true;
}
