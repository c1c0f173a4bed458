# Prepares the network namespace of a gateway with a VPN: tunnels, addresses, forwarding, address translation. Runs as root with
# NET_ADMIN, before the gateway and in its network namespace; the gateway itself then needs no capability.
# Build: docker build -f deploy/tunnel-gateway/host-setup.Dockerfile -t isthmus/tunnel-gateway-host-setup deploy/tunnel-gateway
ARG GATEWAY=isthmus/tunnel-gateway
FROM ${GATEWAY}
USER root
RUN apt-get update && apt-get install -y --no-install-recommends iproute2 nftables procps && rm -rf /var/lib/apt/lists/*
# It listens nowhere.
HEALTHCHECK NONE
CMD ["host-setup", "--config", "/etc/isthmus/config.json"]
