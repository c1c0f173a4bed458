#!/bin/sh
# Builds worker-test against the system's OpenSSL and runs it: plainly with -O3, or with sanitizers ("sanitize").
set -eu
cd "$(dirname "$0")"
out="${TMPDIR:-/tmp}/worker-test.$$"
trap 'rm -f "$out"' EXIT
flags="-O3"
[ "${1:-}" = sanitize ] && flags="-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
sources="worker-test.c worker-test-dtls.c worker-test-streams.c worker-scene.c worker-client.c"
for name in wire mailbox worker worker-mail session session-timers tls-transport dtls-transport up-path up-frame down-path cstp \
  rate-limit tun packet checksum segment coalesce mss-clamp too-big policy flow-table flow-entry; do
  [ -f "../src/$name.c" ] && sources="$sources ../src/$name.c"
done
# shellcheck disable=SC2086
${CC:-cc} $flags -g -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -pthread -o "$out" $sources -lssl -lcrypto
"$out"
