#!/usr/bin/env bash
# First start of the suite in containers: images, a certification authority, enrolment of the three connectors.
#
#   deploy/first-start.sh FOLDER [GATEWAY_NAME]
#
# FOLDER gets the configuration of each service (a copy of deploy/compose to be edited later), the gateway's TLS certificate and
# the root key of the certification authority, which belongs somewhere without a network. GATEWAY_NAME is the name that devices
# connect to (localhost). A gateway certificate that is there already (FOLDER/tunnel-gateway/gateway.pem, gateway.key.pem) is
# used. Needs docker, docker-compose and openssl; root, because the gateway's key is given to the user of the container.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
source_folder="$(cd "$(dirname "$0")/.." && pwd)"
mkdir -p "$1"
ISTHMUS_CONFIG="$(cd "$1" && pwd)"
export ISTHMUS_CONFIG
gateway_name="${2:-localhost}"
user_id=1000
state=/var/lib/isthmus
config=(--config /etc/isthmus/config.json)

compose() { docker-compose --project-name isthmus --file "$source_folder/deploy/compose.yaml" "$@"; }
# One command of a service in a container of its own; its standard output is passed on.
service() { local name="$1"; shift; compose run --rm -T "$name" "$@"; }
state_file() { compose run --rm -T --entrypoint cat "$1" "$state/$2"; }
say() { printf 'first start: %s\n' "$*"; }

[ ! -e "$ISTHMUS_CONFIG/cert-connector" ] || { say "$ISTHMUS_CONFIG is set up already" >&2; exit 1; }
tls="$ISTHMUS_CONFIG/tunnel-gateway"

say "building the images"
cp -R "$source_folder/deploy/compose/." "$ISTHMUS_CONFIG/"
for name in control-plane cert-connector tunnel-gateway comgmt-bridge; do
  docker build --quiet --file "$source_folder/deploy/$name/Dockerfile" --tag "isthmus/$name" "$source_folder" > /dev/null
done

say "making the certification authority"
service cert-connector ca init "${config[@]}" --name "Isthmus" --root-key-out "$state/root-key.pem" > /dev/null
(umask 077 && state_file cert-connector root-key.pem > "$ISTHMUS_CONFIG/root-key.pem"
  state_file cert-connector ca-passphrase > "$ISTHMUS_CONFIG/ca-passphrase")
compose run --rm -T --entrypoint rm cert-connector "$state/root-key.pem"
{ state_file cert-connector ca/root.pem; state_file cert-connector ca/issuing.pem; } > "$tls/device-authorities.pem"
issuer="$(service cert-connector ca status "${config[@]}" --json | sed 's/.*"issuing":{[^}]*"keyId":"\([0-9a-f]*\)".*/\1/')"
sed -i "s/ISSUER_KEY_ID/$issuer/" "$tls/config.json"

if [ ! -e "$tls/gateway.pem" ]; then
  say "making a self-signed certificate for $gateway_name"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$gateway_name" \
    -addext "subjectAltName=DNS:$gateway_name" -keyout "$tls/gateway.key.pem" -out "$tls/gateway.pem" 2> /dev/null
fi
chmod 600 "$tls/gateway.key.pem"
chown "$user_id:$user_id" "$tls/gateway.key.pem"

say "starting the control plane"
compose up --detach --no-build control-plane > /dev/null 2>&1
for _ in $(seq 60); do
  compose exec -T control-plane node /isthmus/deploy/health-check.mjs 2> /dev/null && break
  sleep 1
done

for name in cert-connector tunnel-gateway comgmt-bridge; do
  say "enrolling $name"
  compose exec -T control-plane node /isthmus/control-plane/src/main.ts token create "${config[@]}" --service "$name" --json \
    | sed 's/.*"token":"\([^"]*\)".*/\1/' | service "$name" enrol "${config[@]}" --name "$name" --token-file - > /dev/null
done

say "starting the connectors"
compose up --detach --no-build > /dev/null 2>&1
state_file control-plane ca.pem > "$ISTHMUS_CONFIG/control-plane-authority.pem"

cat <<END

The suite runs: control plane https://localhost:8080, SCEP on port 8081, the gateway on port 8443.

  password of account admin   docker-compose -p isthmus -f deploy/compose.yaml exec control-plane cat $state/initial-admin-password
  authority of its TLS        $ISTHMUS_CONFIG/control-plane-authority.pem
  root key and passphrase     $ISTHMUS_CONFIG/root-key.pem, $ISTHMUS_CONFIG/ca-passphrase: move both to where no network reaches

Next: give the connectors their desired configurations (docs/operations.md). For later commands: export ISTHMUS_CONFIG=$ISTHMUS_CONFIG
END
