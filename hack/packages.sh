#!/usr/bin/env bash
# Installs the missing Debian packages for building and running Garret's test host.
# The tests start their own database servers, so this leaves none running that Debian
# would start with the machine. Arguments are packages to install instead.
set -euo pipefail

packages=(busybox-static conntrack containernetworking-plugins ethtool iproute2 iptables kmod mariadb-server nftables postgresql runc socat util-linux)
[ $# -eq 0 ] || packages=("$@")

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "these Debian packages are missing, and installing them needs root: ${missing[*]}" >&2
    exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
# A machine that has just come up may be installing packages of its own, and a
# mirror may be away for a moment.
for attempt in 1 2 3; do
    if apt-get update -qq &&
        apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends "${missing[@]}" >/dev/null; then
        break
    fi
    [ $attempt -lt 3 ] || exit 1
    sleep 10
done
for service in postgresql mariadb; do
    if [[ " ${missing[*]} " == *" $service"* ]] && [ -d /run/systemd/system ]; then
        systemctl disable --quiet "$service"
    fi
done
