#include "tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Linux 6.2 and later: large UDP packets, too. Older headers do not know them. */
#define OFFLOAD_UDP (0x20 | 0x40) /* TUN_F_USO4, TUN_F_USO6 */

static int give_up(int fd, const char **step, const char *failed) {
  int error = errno;
  *step = failed;
  close(fd);
  errno = error;
  return -1;
}

int tun_open(const char *name, const char **step) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  if (strlen(name) >= sizeof request.ifr_name) {
    *step = "name of the device";
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(request.ifr_name, name, strlen(name));
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    *step = "open /dev/net/tun";
    return -1;
  }
  if (ioctl(fd, TUNSETIFF, &request) < 0) return give_up(fd, step, "TUNSETIFF");
  int header_bytes = TUN_HEADER_BYTES;
  if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0) return give_up(fd, step, "TUNSETVNETHDRSZ");
  unsigned offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (ioctl(fd, TUNSETOFFLOAD, offload | OFFLOAD_UDP) < 0 && ioctl(fd, TUNSETOFFLOAD, offload) < 0)
    return give_up(fd, step, "TUNSETOFFLOAD");
  return fd;
}
