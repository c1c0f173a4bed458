/* Cases of worker.test.c: TCP through the tunnel, from a network namespace whose TUN the client feeds. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "cases.h"
#include "worker-scene.h"

#define PORT 5001

struct device {
  struct client *client;
  int tun, stopped; /* no more is relayed */
  size_t megabytes;
  uint64_t sum; /* of what the device's program has read */
  bool is_whole;
  pthread_t relay, program;
};

static int open_device_tun(void) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  strcpy(request.ifr_name, "c0");
  CHECK(fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0);
  CHECK(system("ip link set lo up; ip addr add 10.77.0.9/24 dev c0; ip link set c0 mtu 1400 up") == 0);
  return fd;
}

static void *relay(void *argument) {
  struct device *device = argument;
  static uint8_t out[65536], in[65536];
  while (!__atomic_load_n(&device->stopped, __ATOMIC_ACQUIRE)) {
    struct pollfd waits[2] = {{.fd = device->tun, .events = POLLIN}, {.fd = device->client->fd, .events = POLLIN}};
    poll(waits, 2, 50);
    if ((waits[1].revents & POLLHUP) != 0) break;
    for (int number = 0; number < 64; number++) {
      ssize_t bytes = read(device->tun, out, sizeof out);
      if (bytes <= 0) break;
      if (!client_send(device->client, CSTP_DATA, out, (size_t)bytes)) return NULL;
    }
    uint8_t kind;
    size_t bytes;
    for (int number = 0; number < 256 && client_poll(device->client, &kind, in, &bytes); number++)
      if (kind == CSTP_DATA && write(device->tun, in, bytes) < 0) continue;
  }
  return NULL;
}

static uint64_t sum_of(const uint8_t *bytes, ssize_t number, uint64_t sum) {
  for (ssize_t at = 0; at < number; at++) sum = sum * 31 + bytes[at];
  return sum;
}

/* Sends so much of a pattern, then reads as much. */
static bool exchange(int fd, size_t megabytes, bool is_first, uint64_t *sum) {
  static _Thread_local uint8_t bytes[65536];
  for (int turn = 0; turn < 2; turn++) {
    bool is_sending = (turn == 0) == is_first;
    for (size_t left = megabytes << 20; left > 0;) {
      if (is_sending)
        for (size_t at = 0; at < sizeof bytes; at++) bytes[at] = (uint8_t)(at * 7 + left / sizeof bytes);
      size_t each = left < sizeof bytes ? left : sizeof bytes;
      if (is_sending) {
        for (size_t at = 0; at < each;) {
          ssize_t sent = send(fd, bytes + at, each - at, MSG_NOSIGNAL);
          if (sent <= 0) return false;
          at += (size_t)sent;
        }
        left -= each;
      } else {
        ssize_t got = recv(fd, bytes, each, 0);
        if (got <= 0) return false;
        *sum = sum_of(bytes, got, *sum);
        left -= (size_t)got;
      }
    }
  }
  return true;
}

static void *device_program(void *argument) {
  struct device *device = argument;
  CHECK(unshare(CLONE_NEWNET) == 0);
  device->tun = open_device_tun();
  CHECK(pthread_create(&device->relay, NULL, relay, device) == 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(GATEWAY), .sin_port = htons(PORT)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval limit = {.tv_sec = 20};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  device->is_whole = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && exchange(fd, device->megabytes, true, &device->sum);
  close(fd);
  __atomic_store_n(&device->stopped, 1, __ATOMIC_RELEASE);
  pthread_join(device->relay, NULL);
  close(device->tun);
  return NULL;
}

static int listen_on_port(void) {
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(GATEWAY), .sin_port = htons(PORT)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  CHECK(bind(fd, (struct sockaddr *)&own, sizeof own) == 0 && listen(fd, 4) == 0);
  return fd;
}

static void stream_over(uint32_t id, bool is_dtls, size_t megabytes, bool is_cut) {
  struct client *tls = open_client(id, 8);
  static struct device device;
  memset(&device, 0, sizeof device);
  device.client = is_dtls ? client_connect_dtls(id) : tls;
  device.megabytes = megabytes;
  uint64_t reads = counter(COUNT_TUN_READS), writes = counter(COUNT_TUN_WRITES), up = counter(COUNT_PACKETS_UP);
  uint64_t down = counter(COUNT_PACKETS_DOWN), sum = 0;
  uint64_t up_timed = timed(LATENCY_UP);
  int listening = listen_on_port();
  CHECK(pthread_create(&device.program, NULL, device_program, &device) == 0);
  int fd = accept(listening, NULL, NULL);
  CHECK(fd >= 0);
  if (is_cut) {
    uint8_t bytes[65536];
    while (counter(COUNT_PACKETS_UP) < up + 2000) CHECK(recv(fd, bytes, sizeof bytes, 0) > 0);
    worker_close_session(0, id, CSTP_TERMINATE, "cut");
    UNTIL(find_event(EVENT_SESSION_CLOSED, id) != NULL);
    shutdown(fd, SHUT_RDWR);
    __atomic_store_n(&device.stopped, 1, __ATOMIC_RELEASE);
  } else {
    CHECK(exchange(fd, megabytes, false, &sum));
  }
  close(fd);
  close(listening);
  if (!is_cut) {
    pthread_join(device.program, NULL);
    CHECK(device.is_whole && device.sum == sum);
    printf("  %lu packets up in %lu writes, %lu down in %lu reads\n", counter(COUNT_PACKETS_UP) - up,
           counter(COUNT_TUN_WRITES) - writes, counter(COUNT_PACKETS_DOWN) - down, counter(COUNT_TUN_READS) - reads);
    UNTIL(timed(LATENCY_UP) - up_timed == counter(COUNT_PACKETS_UP) - up);
    if (is_dtls) client_free(device.client);
    close_client(tls, id);
  } else {
    pthread_detach(device.program);
  }
}

static void a_stream_goes_both_ways_over_tls(void) { stream_over(40, false, 32, false); }
static void a_stream_goes_both_ways_over_dtls(void) { stream_over(41, true, 32, false); }
static void a_session_can_be_closed_while_data_flows(void) { stream_over(42, false, 1024, true); }

void stream_cases(void) {
  RUN(a_stream_goes_both_ways_over_tls);
  RUN(a_stream_goes_both_ways_over_dtls);
  RUN(a_session_can_be_closed_while_data_flows);
}
