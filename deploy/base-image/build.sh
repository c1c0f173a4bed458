#!/usr/bin/env bash
# Builds a stand-in for node:24-bookworm-slim from Debian and npm packages, for networks that reach no container registry.
# Where the registry is reachable the real image is used and this script is not needed.
#
# Needs: root, debootstrap, docker, npm. Environment:
#   IMAGE            what to tag (node:24-bookworm-slim)
#   DEBIAN_MIRROR    where Debian's packages come from (http://deb.debian.org/debian)
#   NODE_EXTRA_CA_CERTS or SSL_CERT_FILE
#                    a CA bundle of this network; it goes into the image, so that npm works inside it too
set -euo pipefail

image="${IMAGE:-node:24-bookworm-slim}"
mirror="${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
authorities="${NODE_EXTRA_CA_CERTS:-${SSL_CERT_FILE:-}}"

for tool in debootstrap docker npm; do
  command -v "$tool" > /dev/null || { echo "$tool is missing: apt-get install $tool" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root" >&2; exit 1; }

work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
root="$work/root"

debootstrap --variant=minbase --include=ca-certificates,libatomic1 bookworm "$root" "$mirror" > "$work/debootstrap.log" \
  || { tail -n 5 "$work/debootstrap.log" >&2; exit 1; }
chroot "$root" useradd --uid 1000 --user-group --create-home --shell /bin/bash node
chroot "$root" apt-get clean
rm -rf "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,locale}/* "$root"/var/log/*.log

# Node and npm as npm packages: the same builds as the official archives.
mkdir "$work/packages"
echo '{ "private": true, "dependencies": { "node": "^24", "npm": "^11" }, "allowScripts": { "node": true } }' \
  > "$work/packages/package.json"
(cd "$work/packages" && npm install --no-audit --no-fund > "$work/npm.log" 2>&1) \
  || { tail -n 5 "$work/npm.log" >&2; exit 1; }
install -m 755 "$work/packages/node_modules/node/bin/node" "$root/usr/local/bin/node"
# Its headers, as the official image has them: packages with a native part are compiled against them. Those of OpenSSL are 60 MB.
mkdir -p "$root/usr/local/include" "$root/usr/local/lib/node_modules"
cp -R "$work/packages/node_modules/node/node_modules/node-linux-"*/include/node "$root/usr/local/include/node"
rm -rf "$root/usr/local/include/node/openssl"
cp -R "$work/packages/node_modules/npm" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"

changes=(--change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'CMD ["node"]')
if [ -n "$authorities" ]; then
  install -m 644 "$authorities" "$root/etc/ssl/certs/network-authorities.pem"
  changes+=(--change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/network-authorities.pem')
fi

tar -C "$root" -c . | docker import "${changes[@]}" - "$image" > /dev/null
docker run --rm "$image" node -e 'console.log(`node ${process.version}`)'
