#include "dtls-socket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* As the kernel allows (net.core.rmem_max): a burst of clients that come back after a restart waits here. */
#define RECEIVE_BUFFER_BYTES (4 << 20)
#define CONTROL_BYTES 64

static bool set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/*
 * SO_REUSEPORT lets sockets of clients stand beside the first one, and is for processes of our own user alone. SO_REUSEADDR is not: with
 * it on both sides anybody on this host could bind the port to an address of it, and have what clients send there.
 */
static int open_bound(const union endpoint *local) {
  int fd = socket(local->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  bool is_set = set(fd, SOL_SOCKET, SO_REUSEPORT, 1) &&
                (local->family != AF_INET6 || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0));
  if (is_set && bind(fd, &local->any, endpoint_length(local)) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int dtls_socket_listen(const union endpoint *address) {
  int fd = open_bound(address);
  if (fd < 0) return -1;
  set(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  bool is_told = address->family == AF_INET6 ? set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                                             : set(fd, IPPROTO_IP, IP_PKTINFO, 1);
  if (is_told) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int dtls_socket_connect(const union endpoint *local, const union endpoint *peer) {
  int fd = open_bound(local);
  if (fd < 0 || connect(fd, &peer->any, endpoint_length(peer)) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* The kernel tells an IPv4 destination on an IPv6 socket in its mapped form. */
static void read_destination(struct msghdr *header, union endpoint *local) {
  for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
    if (local->family == AF_INET6 && item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
      struct in6_pktinfo info;
      memcpy(&info, CMSG_DATA(item), sizeof info);
      local->v6.sin6_addr = info.ipi6_addr;
      local->v6.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
    } else if (local->family == AF_INET && item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
      struct in_pktinfo info;
      memcpy(&info, CMSG_DATA(item), sizeof info);
      local->v4.sin_addr = info.ipi_addr;
    }
  }
}

bool dtls_socket_receive(int fd, const union endpoint *bound, struct datagrams *datagrams, unsigned at_most) {
  struct mmsghdr messages[DTLS_DATAGRAMS_AT_ONCE];
  struct iovec parts[DTLS_DATAGRAMS_AT_ONCE];
  _Alignas(struct cmsghdr) uint8_t controls[DTLS_DATAGRAMS_AT_ONCE][CONTROL_BYTES];
  for (unsigned i = 0; i < at_most; i++) {
    struct datagram *datagram = &datagrams->each[i];
    memset(&datagram->peer, 0, sizeof datagram->peer);
    parts[i] = (struct iovec){.iov_base = datagram->bytes, .iov_len = sizeof datagram->bytes};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &datagram->peer,
                                          .msg_namelen = sizeof datagram->peer,
                                          .msg_iov = &parts[i],
                                          .msg_iovlen = 1,
                                          .msg_control = controls[i],
                                          .msg_controllen = CONTROL_BYTES};
  }
  int count = recvmmsg(fd, messages, at_most, MSG_DONTWAIT, NULL);
  datagrams->count = count < 0 ? 0 : (unsigned)count;
  for (unsigned i = 0; i < datagrams->count; i++) {
    struct datagram *datagram = &datagrams->each[i];
    datagram->local = *bound;
    read_destination(&messages[i].msg_hdr, &datagram->local);
    bool is_whole = (messages[i].msg_hdr.msg_flags & MSG_TRUNC) == 0 && datagram->peer.family == bound->family &&
                    endpoint_port(&datagram->peer) != 0 && !endpoint_is_wildcard(&datagram->local);
    datagram->length = is_whole ? messages[i].msg_len : 0;
  }
  /* An ICMP error of an earlier answer is reported in place of a datagram: there may be more behind it. */
  return count > 0 || (count < 0 && errno != EAGAIN && errno != EINTR && errno != EBADF);
}

void dtls_socket_answer(int fd, const struct datagram *to, const uint8_t *bytes, size_t length) {
  _Alignas(struct cmsghdr) uint8_t control[CONTROL_BYTES] = {0};
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
  struct msghdr header = {.msg_name = (void *)&to->peer,
                          .msg_namelen = endpoint_length(&to->peer),
                          .msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = control};
  struct cmsghdr *item = (struct cmsghdr *)control;
  if (to->local.family == AF_INET6) {
    struct in6_pktinfo info = {.ipi6_addr = to->local.v6.sin6_addr, .ipi6_ifindex = to->local.v6.sin6_scope_id};
    item->cmsg_level = IPPROTO_IPV6;
    item->cmsg_type = IPV6_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(item), &info, sizeof info);
    header.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    struct in_pktinfo info = {.ipi_spec_dst = to->local.v4.sin_addr};
    item->cmsg_level = IPPROTO_IP;
    item->cmsg_type = IP_PKTINFO;
    item->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(item), &info, sizeof info);
    header.msg_controllen = CMSG_SPACE(sizeof info);
  }
  while (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
}
