#!/usr/bin/env bash
# Builds bin/busybox from Debian's source: its shell as Debian's installer has it,
# which passes on variables with a dash in their names, a wget with -T, and printenv. The
# shell of the package busybox-static drops such variables, Debian's wget crashes, and
# printenv is left out there. Kubernetes' tests need all three.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$PWD/bin
[ ! "$bin/busybox" -nt hack/busybox.sh ] || exit 0

hack/packages.sh dpkg-dev gcc libc6-dev make
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/sources"
# The machine's own sources, for what they hold in source form.
for list in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$list" ] || sed 's/^Types: deb$/Types: deb-src/' "$list" >"$work/sources/${list##*/}"
done
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$list" ] || sed -n 's/^deb /deb-src /p' "$list" >"$work/sources/${list##*/}"
done
apt=(-qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources" -o "Dir::State::Lists=$work/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
cd "$work"
{
    apt-get "${apt[@]}" update
    apt-get "${apt[@]}" source busybox
    cd busybox-*/
    sed '/FEATURE_DI_ENV_HACK/d; /FEATURE_WGET_TIMEOUT/d; /PRINTENV/d' debian/config/pkg/deb >.config
    printf 'CONFIG_%s=y\n' FEATURE_DI_ENV_HACK FEATURE_WGET_TIMEOUT PRINTENV >>.config
    make oldconfig </dev/null
    make -j"$(nproc)"
} >"$work/log" 2>&1 || {
    tail -20 "$work/log" >&2
    exit 1
}
install -m 0755 "$work"/busybox-*/busybox "$bin/busybox"
